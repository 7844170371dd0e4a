"""The build wizard: from a folder of images to a build that runs on its own, in three steps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Button, DirectoryTree, Footer, Input, Static, TabbedContent, TabPane

from stemcls.config.imaging import BuildConfig
from stemcls.config.options import Option, options_of
from stemcls.errors import InputError, StemclsError
from tui import tasks
from tui.buildplan import FolderView, Plan, grouping, scan
from tui.commands import bindings
from tui.tasks import Task
from tui.widgets.cellpreview import CellPreview
from tui.widgets.jobform import Fields
from tui.widgets.setting import Setting

JUDGE_AFTER_SECONDS = 0.05
_STEPS = ("images", "cells", "crops")
# Settings that belong to the first two steps; all others are of the third.
_OF_IMAGES = (("kind",), ("group",), ("group_what",))
_OF_CELLS = ("detect", "read")


class Folders(DirectoryTree):
    """Only the folders of a tree of files."""

    def filter_paths(self, paths: Any) -> list[Path]:
        """Leave out files and hidden folders."""
        return [path for path in paths if path.is_dir() and not path.name.startswith(".")]


class BuildScreen(Screen[Task | None]):
    """Pick images, see which cells are found, and build; returns the task that it started.

    Args:
        workspace: Where the store is made.
    """

    PLACE = "build"
    BINDINGS: ClassVar[list[BindingType]] = bindings("build")
    CSS = """
    BuildScreen Folders { height: 1fr; min-height: 3; }
    BuildScreen .line { height: 1; padding: 0 1; }
    BuildScreen .line > Static { width: 16; }
    BuildScreen .line > Input { width: 1fr; }
    BuildScreen .told { height: auto; max-height: 6; padding: 0 1; color: $text-muted; }
    BuildScreen .told.-bad { color: $text-error; text-style: bold; }
    BuildScreen #images Fields { height: auto; }
    BuildScreen #find { width: 40; }
    BuildScreen #find .name { width: 20; }
    BuildScreen #find Input, BuildScreen #find Choice { width: 15; }
    BuildScreen #find .help { display: none; }
    BuildScreen #bar { height: auto; min-height: 3; max-height: 7; border-top: solid $panel;
                       padding: 0 1; }
    BuildScreen #verdict { width: 1fr; height: auto; }
    BuildScreen.-cells #bar { height: 5; }
    BuildScreen.-cells #verdict { height: 1fr; }
    BuildScreen #verdict.-bad { color: $text-error; text-style: bold; }
    BuildScreen Button { width: auto; }
    """

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._workspace = workspace
        self._seen: FolderView | None = None
        self._unseen = ""
        self._told = ""
        self._judging: Timer | None = None

    def compose(self) -> ComposeResult:
        """Title, three steps, verdict and button, footer."""
        yield Static("build a store", classes="title", markup=False)
        with TabbedContent():
            with TabPane("1 Images", id="images"):
                yield _line("folder", "", "folder", "folder of images, absolute or as typed here")
                yield Folders(self._workspace)
                yield Static("", id="folder-told", classes="told", markup=False)
                yield _line("store name", "", "name", "name of the store")
                yield _line("manifest", "", "manifest", "CSV with path, label, group; optional")
                yield _line("cells", "", "known", "CSV with field, x_px, y_px, label; optional")
                with Fields():
                    yield from (Setting(one, BuildConfig) for one in _settings_of("images"))
            with TabPane("2 Cells", id="cells"), Horizontal():
                with Fields(id="find"):
                    yield from (Setting(one, BuildConfig) for one in _settings_of("cells"))
                yield CellPreview(self._wanted)
            with TabPane("3 Crops", id="crops"), Fields():
                yield from (Setting(one, BuildConfig) for one in _settings_of("crops"))
        with Horizontal(id="bar"):
            yield Static("", id="verdict", markup=False)
            yield Button("Build", variant="primary", compact=True, id="launch")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin at the folder."""
        self.query_one("#folder", Input).focus()
        self._judge_soon()

    # --- images -------------------------------------------------------------------------------

    def on_directory_tree_directory_selected(self, event: DirectoryTree.DirectorySelected) -> None:
        """Take the folder of the tree."""
        self.query_one("#folder", Input).value = str(event.path)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look into the folder while it is typed."""
        if event.input.id == "folder":
            self._scan(event.value)
        self._judge_soon()

    @work(exclusive=True, group="scan")
    async def _scan(self, typed: str) -> None:
        folder = (self._workspace / Path(typed).expanduser()).resolve() if typed else None
        self._seen, self._unseen = None, ""
        if folder is not None:
            try:
                self._seen = await asyncio.to_thread(scan, folder)
            except (StemclsError, OSError) as error:
                self._unseen = str(error)
        tree = self.query_one(Folders)
        if self._seen is not None and not self._seen.folder.is_relative_to(tree.path):
            tree.path = self._seen.folder.parent
        name = self.query_one("#name", Input)
        name.placeholder = folder.name if folder else "name of the store"
        self.query_one(CellPreview).offer(folder, self._seen.likely_images if self._seen else ())
        self._describe()
        self._judge_soon()

    def _describe(self) -> None:
        """Say what is in the folder, and what the grouping makes of it."""
        if self._seen is None:
            self._tell("#folder-told", self._unseen, bad=True)
            return
        pattern = self._setting(("group",)).value
        try:
            # Without parentheses it names a column of the manifest or of the table of cells.
            told = pattern and "(" in pattern
            groups = f"\n{grouping(self._seen.files, pattern)}" if told else ""
        except StemclsError as error:
            self._tell("#folder-told", str(error), bad=True)
        else:
            self._tell("#folder-told", self._seen.about + groups)

    # --- cells --------------------------------------------------------------------------------

    def on_setting_changed(self, event: Setting.Changed) -> None:
        """Judge, and find the cells anew where that may change them."""
        keys = event.setting.option.keys
        if keys[0] in _OF_CELLS:
            self.query_one(CellPreview).look_soon()
        elif keys == ("group",):
            self._describe()
        self._judge_soon()

    def on_tabbed_content_tab_activated(self) -> None:
        """Find the cells when they are wanted."""
        self.set_class(self._step == "cells", "-cells")
        self.query_one(CellPreview).look_soon()

    def on_descendant_focus(self) -> None:
        """Say what the setting beside the picture is for."""
        focused = self.focused
        setting = focused.parent if focused is not None else None
        if isinstance(setting, Setting) and setting.option.keys[0] in _OF_CELLS:
            self._judge_soon()

    def _wanted(self) -> list[tuple[Option, Any]]:
        """Return the settings of reading and finding that are not the usual ones."""
        kind = self._setting(("kind",)).value
        if kind in ("crops", "fields"):
            raise InputError(f"With kind {kind} no cells are looked for.")
        if problem := self._problem("cells"):
            raise InputError(problem)
        return self._changed("cells")

    # --- build --------------------------------------------------------------------------------

    def _setting(self, keys: tuple[str, ...]) -> Setting:
        return next(one for one in self.query(Setting) if one.option.keys == keys)

    def _changed(self, *steps: str) -> list[tuple[Option, Any]]:
        found = []
        for setting in self.query(Setting):
            default = setting.option.default
            default = list(default) if isinstance(default, tuple) else default
            value = None if setting.value == "" else setting.value
            if value not in (default, None) and _step_of(setting.option) in steps:
                found.append((setting.option, value))
        return found

    def _problem(self, *steps: str) -> str:
        problems = (one.problem for one in self.query(Setting) if _step_of(one.option) in steps)
        return next(filter(None, problems), "")

    @property
    def _step(self) -> str:
        return self.query_one(TabbedContent).active

    def _plan(self) -> Plan:
        folder = self._seen.folder if self._seen else Path()
        name = self.query_one("#name", Input).value.strip() or folder.name
        out = self._workspace / "datasets" / f"{name.removesuffix('.h5')}.h5"
        manifest, cells = (
            self._workspace / Path(typed).expanduser() if typed else None
            for typed in (self.query_one(f"#{one}", Input).value.strip()
                          for one in ("manifest", "known"))
        )
        return Plan(folder, out, self._changed(*_STEPS), manifest, cells)

    def _judge_soon(self) -> None:
        """Judge once for a burst of changes."""
        if self._judging is not None:
            self._judging.stop()
        self._judging = self.set_timer(JUDGE_AFTER_SECONDS, self._judge)

    def _judge(self) -> str:
        """Show and return the first thing that is wrong, "" if nothing is."""
        problem = self._problem(*_STEPS)
        plan = self._plan()
        if not problem and (self._seen is None or not self._seen.files):
            problem = "step 1: choose a folder that holds images"
        elif not problem:
            try:
                plan.check()
            except StemclsError as error:
                problem = str(error)
        verdict = self.query_one("#verdict", Static)
        verdict.set_class(bool(problem), "-bad")
        text = f"! {problem}" if problem else f"ctrl+l builds {plan.out.name}."
        focused = self.focused
        if focused is not None and isinstance(focused.parent, Setting) and self._step == "cells":
            text += f" {focused.parent.option.keys[-1]}: {focused.parent.option.help}"
        # A line of help changes at every step of the focus; laying all out again is slow.
        verdict.update(text, layout=problem != self._told or self._step != "cells")
        self._told = problem
        self.query_one("#launch", Button).disabled = bool(problem)
        return problem

    def _tell(self, where: str, text: str, bad: bool = False) -> None:
        told = self.query_one(where, Static)
        told.set_class(bad, "-bad")
        told.update(text)

    def action_step(self, step: int) -> None:
        """Go to the next or the previous step."""
        tabs = self.query_one(TabbedContent)
        number = min(max(_STEPS.index(tabs.active) + step, 0), len(_STEPS) - 1)
        tabs.active = _STEPS[number]
        first = {"images": "#folder", "cells": "#find Input, #find Select", "crops": "#crops Input"}
        self.query(first[tabs.active]).first().focus()

    def on_button_pressed(self) -> None:
        """Build."""
        self.action_launch()

    def action_launch(self) -> None:
        """Start the build and go back, unless something is wrong."""
        if problem := self._judge():
            self.app.notify(problem, title="Not built", severity="error", markup=False)
            return
        plan = self._plan()
        try:
            task = tasks.start(
                self._workspace, "build", plan.out.name, plan.arguments, plan.out
            )
        except (StemclsError, OSError) as error:
            self.app.notify(str(error), title="Not built", severity="error", markup=False)
            return
        self.dismiss(task)

    def action_back(self) -> None:
        """Go back without building."""
        self.dismiss(None)


def _step_of(option: Option) -> str:
    if option.keys in _OF_IMAGES or option.keys[0] == "files":
        return "images"
    return "cells" if option.keys[0] in _OF_CELLS else "crops"


def _settings_of(step: str) -> Iterator[Option]:
    return (option for option in options_of(BuildConfig) if _step_of(option) == step)


def _line(label: str, value: str, name: str, placeholder: str) -> Horizontal:
    return Horizontal(
        Static(label, markup=False),
        Input(value, placeholder=placeholder, compact=True, id=name), classes="line",
    )
