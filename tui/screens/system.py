"""The mode System: devices and memory, disk, versions, settings, and what doctor finds."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Select, Static

from stemcls.config.options import options_of
from stemcls.errors import StemclsError
from tui.commands import bindings
from tui.devices import GIB
from tui.drawing import bar
from tui.machine import Machine, Watch, run_doctor, versions
from tui.screens.mode import ModeScreen
from tui.settings import Settings
from tui.themes import THEMES
from tui.widgets.audit import MARKS
from tui.widgets.table import Table

REFRESH_SECONDS = 2.0
_BAR = 20
_LOW_DISK = 5 * GIB
_GRAVEST_FIRST = ("fail", "warn", "pass")
_CHECKS = ("", "check", "why")


class SystemScreen(ModeScreen):
    """This machine, and the settings of the person."""

    MODE = "system"
    PLACE = "system"
    BINDINGS: ClassVar[list[BindingType]] = bindings("system")
    CSS = """
    SystemScreen #machine { height: auto; max-height: 14; padding: 0 1; }
    SystemScreen #settings { height: 1; margin: 1 0 0 0; }
    SystemScreen #settings Static { width: auto; padding: 0 1; }
    SystemScreen #settings Select { width: 26; }
    SystemScreen #doctor { height: 1fr; min-height: 4; border-top: solid $panel; margin: 1 0 0 0; }
    SystemScreen #doctor-note { height: auto; padding: 0 1; color: $text-muted; }
    SystemScreen #check { height: auto; max-height: 4; padding: 0 1; border-top: solid $panel; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._watching: Watch | None = None
        self._checks: list[dict[str, Any]] = []

    def compose_body(self) -> ComposeResult:
        """Machine, settings, doctor."""
        with VerticalScroll(id="machine"):
            yield Static("Looking ...", id="facts", markup=False)
        with Horizontal(id="settings"):
            yield Static("theme", markup=False)
            names = [theme.name for theme in THEMES]
            yield Select([(name, name) for name in names], id="theme", compact=True,
                         value=self.app.theme if self.app.theme in names else Select.NULL)
            yield Static("pictures", markup=False)
            choices = next(one for one in options_of(Settings) if one.keys == ("pictures",)).choices
            yield Select([(name, name) for name in choices or ()], id="pictures", compact=True,
                         value=self.stemcls.settings.pictures, allow_blank=False)
        with Vertical(id="doctor"):
            yield Static("d runs stemcls doctor: backends, devices, image formats, weights, "
                         "workspace.", id="doctor-note", markup=False)
            yield Table(cursor_type="row", id="checks")
        yield Static("", id="check", markup=False)

    def on_mount(self) -> None:
        """Lay out the table of checks."""
        table = self.query_one("#checks", Table)
        for name in _CHECKS:
            table.add_column(name, key=name)
        table.focus()

    def show_chosen(self) -> None:
        """Look at the machine again and again while the mode is open."""
        self._watch()

    @work(exclusive=True, group="watch")
    async def _watch(self) -> None:
        watch = self._watching = self._watching or Watch(self.stemcls.workspace)
        shown = self.query_one("#facts", Static)
        known = await asyncio.to_thread(versions)
        while self.is_current:
            machine = await asyncio.to_thread(watch.look)
            shown.update(facts(machine, known, str(self.stemcls.workspace)))
            await asyncio.sleep(REFRESH_SECONDS)

    def on_select_changed(self, event: Select.Changed) -> None:
        """Change a setting, and keep it."""
        value = event.value
        if not isinstance(value, str):
            return
        if event.select.id == "theme":
            self.app.theme = value
        elif value != self.stemcls.settings.pictures:
            self.stemcls.change_settings(pictures=value)
            asked = {"textual_image", "tui.terminal"} if value == "auto" else {"textual_image"}
            if value in ("auto", "kitty", "sixel") and asked.isdisjoint(sys.modules):
                self.notify(
                    "The terminal is asked for pictures when stemcls starts: open it again.",
                    severity="warning",
                )

    def action_set(self, name: str) -> None:
        """Open the choice of a setting."""
        select = self.query_one(f"#{name}", Select)
        select.focus()
        select.action_show_overlay()

    @work(exclusive=True, group="doctor")
    async def action_doctor(self) -> None:
        """Run the checks, in a process of their own."""
        note, table = self.query_one("#doctor-note", Static), self.query_one("#checks", Table)
        note.update("doctor is looking ...")
        try:
            checks = await run_doctor(self.stemcls.workspace)
        except (StemclsError, OSError) as error:
            note.update(Text(f"doctor could not be run: {error}", style="red"))
            return
        self._checks = sorted(checks, key=lambda check: _GRAVEST_FIRST.index(check["status"]))
        table.clear()
        for check in self._checks:
            table.add_row(*_row(check))
        worse = sum(check["status"] != "pass" for check in checks)
        note.update(f"{len(checks)} checks, {worse} to look at" if worse else
                    f"{len(checks)} checks, everything is fine")


    def on_data_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        """Say all about the check under the cursor."""
        if event.cursor_row < len(self._checks):
            check = self._checks[event.cursor_row]
            found = "" if check["value"] in (None, []) else f"\n{check['value']}"
            self.query_one("#check", Static).update(f"{check['name']}: {check['why']}{found}")


def facts(machine: Machine, known: dict[str, str], workspace: str) -> Text:
    """Return devices, memory, disk and versions as lines."""
    text = Text()
    for device in machine.devices:
        used = 1 - device.free / device.total if device.total else 0.0
        text.append(f"{bar(used, _BAR):·<{_BAR}} ", style="cyan")
        text.append(device.label)
        if device.key == "cpu" and machine.load is not None:
            text.append(f", load {machine.load:.1f}")
        text.append("\n")
    for device, seen in machine.vanished:
        when = time.strftime("%H:%M:%S", time.localtime(seen))
        text.append(f"✗ {device.title} vanished; it was last seen at {when}\n", style="bold red")
    if not any(device.key != "cpu" for device in machine.devices):
        text.append("no NVIDIA GPU here: models run on the processor\n", style="dim")
    if machine.disk_total:
        used = 1 - machine.disk_free / machine.disk_total
        text.append(f"{bar(used, _BAR):·<{_BAR}} ", style="cyan")
        text.append(f"disk of {workspace}, {machine.disk_free / GIB:.1f} of "
                    f"{machine.disk_total / GIB:.1f} GiB free\n")
        if machine.disk_free < _LOW_DISK:
            text.append("! less than 5 GiB are free: builds and runs may not fit\n", style="yellow")
    if machine.trouble:
        text.append(f"✗ the workspace cannot be asked: {machine.trouble}\n", style="bold red")
    elif not machine.writable:
        text.append(f"! {workspace} cannot be written: nothing can be built or trained here\n",
                    style="yellow")
    shown = "  ".join(f"{name} {number}" for name, number in known.items())
    return text.append(f"\n{shown}", style="dim")


def _row(check: dict[str, Any]) -> list[Text]:
    mark, colour = MARKS[check["status"]]
    return [
        Text(f"{mark} {check['status']}", style=colour), Text(check["name"]), Text(check["why"]),
    ]
