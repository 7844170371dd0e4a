"""The form of a job: store, preset, device, every setting of the experiment, and its TOML."""

from __future__ import annotations

import asyncio
import shlex
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Static

from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, merged, options_of, to_toml
from stemcls.config.recipes import RECIPES, recipe
from stemcls.errors import StemclsError
from stemcls.store.cropstore import CropStore
from tui import commandlines
from tui.commandlines import DEFAULT_BACKEND, Task
from tui.commands import bindings
from tui.devices import Device, check_device, list_devices
from tui.jobs import Job
from tui.reading import RunsView, StoreEntry
from tui.widgets.experiment import sections, value_at
from tui.widgets.pick import Pick
from tui.widgets.setting import Setting

DEVICES_SECONDS = 4.0
JUDGE_SECONDS = 0.05
WIDE_COLUMNS = 140
DEFAULTS = "defaults"
# A preset says how to train, not what the run is called or what it is tested on.
KEPT_BY_PRESETS = ("name", "seed", "split")


class Fields(VerticalScroll, inherit_bindings=False):
    """The settings; up and down go from one to the next."""

    PLACE = "fields"
    BINDINGS: ClassVar[list[BindingType]] = bindings("fields")
    can_focus = False


class JobForm(Vertical):
    """Fill in a job and launch it.

    Args:
        kind: `Training` or `Search`.
        workspace: Where its run is made.
    """

    PLACE = "form"
    BINDINGS: ClassVar[list[BindingType]] = bindings("form")
    DEFAULT_CSS = """
    JobForm .section { text-style: bold; padding: 1 1 0 1; color: $text-accent; height: auto; }
    JobForm #sheet { height: 1fr; }
    JobForm Fields { width: 3fr; }
    JobForm #preview { width: 2fr; border-left: solid $panel; padding: 0 1; }
    JobForm #preview:focus { border-left: solid $accent; }
    JobForm.-narrow #preview { display: none; }
    JobForm.-narrow.-preview #preview { display: block; border-left: none; }
    JobForm.-narrow.-preview Fields { display: none; }
    JobForm #bar { height: auto; max-height: 4; border-top: solid $panel; padding: 0 1; }
    JobForm #verdict { width: 1fr; height: auto; }
    JobForm #verdict.-bad { color: $text-error; text-style: bold; }
    JobForm Button { width: auto; }
    """

    class Launched(Message):
        """A job was started or queued."""

        def __init__(self, job: Job) -> None:
            super().__init__()
            self.job = job

    def __init__(self, kind: type[Task], workspace: Path) -> None:
        super().__init__()
        self._kind, self._workspace = kind, workspace
        self._stores: dict[str, CropStore] = {}
        self._runs: RunsView | None = None
        self._waits_for_judge = False

    def compose(self) -> ComposeResult:
        """What the job is about, its settings, TOML, verdict and button."""
        with Horizontal(id="sheet"):
            with Fields():
                yield Pick("store", "What it trains on.")
                yield Pick("preset", "A published way; keeps name, seed, split.")
                yield Pick("device", "It waits while another job is there.",
                           "GPU {} (gone)")
                yield Static(f"job: {self._kind.__doc__}", classes="section", markup=False)
                for entry in options_of(self._kind):
                    yield Setting(entry, self._kind)
                yield from sections()
            with VerticalScroll(id="preview"):
                yield Static("", id="toml", markup=False)
        with Horizontal(id="bar"):
            yield Static("", id="verdict", markup=False)
            yield Button("Launch", variant="primary", compact=True, id="launch")

    def on_mount(self) -> None:
        """Offer the presets, and look for devices."""
        presets = [(DEFAULTS, DEFAULTS), *((name.capitalize(), name) for name in RECIPES)]
        self.query_one("#pick-preset", Pick).offer(presets)

    def on_resize(self) -> None:
        """Show form and TOML side by side where there is room."""
        self.set_class(self.size.width < WIDE_COLUMNS, "-narrow")

    def offer_stores(self, entries: Sequence[StoreEntry], wanted: Path | None = None) -> None:
        """Offer the stores that can be read."""
        self._stores = {str(entry.path): entry.store for entry in entries if entry.store}
        pick = self.query_one("#pick-store", Pick)
        known = str(wanted) if wanted and str(wanted) in self._stores else ""
        pick.offer([(Path(path).name, path) for path in self._stores], known)
        self._judge_soon()

    def know_runs(self, view: RunsView) -> None:
        """Know what is on the devices."""
        self._runs = view
        self._judge_soon()

    @work(exclusive=True)
    async def watch_devices(self) -> None:
        """Offer the devices that are there, with their free memory, until the screen is left."""
        while self.screen.is_current:
            devices = await asyncio.to_thread(list_devices)
            if not self.query(Pick):
                return  # the UI was closed meanwhile
            self._offer_devices(devices)
            await asyncio.sleep(DEVICES_SECONDS)

    def _offer_devices(self, devices: list[Device]) -> None:
        choices = [(device.label, device.key) for device in devices]
        gpus = sorted(device.key for device in devices if device.key != "cpu")
        if len(gpus) > 1:
            choices.insert(-1, (f"GPUs {', '.join(gpus)} together", ",".join(gpus)))
        self.query_one("#pick-device", Pick).offer(choices)

    def on_pick_changed(self, event: Pick.Changed) -> None:
        """Take a preset over, and judge."""
        event.stop()
        if event.pick.id == "pick-preset":
            self._take(event.pick.value)
        self._judge_soon()

    def _take(self, preset: str) -> None:
        """Set what a preset says; stages that it does not have get no epochs."""
        experiment = from_mapping(Experiment, {} if preset == DEFAULTS else recipe(preset))
        for setting in self.query(Setting):
            keys = setting.option.keys
            if setting.cls is Experiment and keys[0] not in KEPT_BY_PRESETS:
                setting.put(value_at(experiment, keys, setting.option.default))

    def on_setting_changed(self) -> None:
        """Say whether the form can be launched."""
        self._judge_soon()

    def _judge_soon(self) -> None:
        # A preset changes tens of settings at once; they are judged together.
        if not self._waits_for_judge:
            self._waits_for_judge = True
            self.set_timer(JUDGE_SECONDS, self._judge)

    def _judge(self) -> str:
        """Show and return the first thing that is wrong, "" if nothing is."""
        self._waits_for_judge = False
        problems = [setting.problem for setting in self.query(Setting) if setting.problem]
        problem = problems[0] if problems else ""
        toml = ""
        if not problem:
            try:
                task, experiment = self.read()
                problem = self._unlaunchable(task, experiment)
                toml = self._header(task) + to_toml(experiment)
            except StemclsError as error:
                problem = str(error)
        verdict = self.query_one("#verdict", Static)
        verdict.set_class(bool(problem), "-bad")
        fine = f"All settings are valid. ctrl+l launches{self._ahead()}."
        verdict.update(f"! {problem}" if problem else fine)
        self.query_one("#launch", Button).disabled = bool(problem)
        self.query_one("#toml", Static).update(toml or f"# not yet: {problem}")
        return problem

    def read(self) -> tuple[Task, Experiment]:
        """Return what is filled in.

        Raises:
            InputError: It does not fit together.
        """
        mapping: dict[type, dict[str, Any]] = {self._kind: {}, Experiment: {}}
        for setting in self.query(Setting):
            mapping[setting.cls] = merged(mapping[setting.cls], setting.nested)
        experiment = {**mapping[Experiment], "store": self.query_one("#pick-store", Pick).value}
        return from_mapping(self._kind, mapping[self._kind]), from_mapping(Experiment, experiment)

    def _header(self, task: Task) -> str:
        argv = commandlines.argv_of(
            task, Path(self._store_path), Path("FILE"), self._workspace, self._device
        )
        return f"# {shlex.join(['stemcls', *argv[3:]])}\n\n"

    @property
    def _store_path(self) -> str:
        return self.query_one("#pick-store", Pick).value

    @property
    def _device(self) -> str:
        return self.query_one("#pick-device", Pick).value

    def _ahead(self) -> str:
        """Say how many jobs are before it on its device."""
        wanted, here = set(self._device.split(",")), socket.gethostname()
        ahead = [
            row for row in (self._runs.rows if self._runs else [])
            if row["state"] in ("running", "stalled", "starting", "queued")
            and row["host"] == here and wanted & set(str(row["device"]).split(","))
        ]
        if not ahead:
            return ""
        many = "one job is" if len(ahead) == 1 else f"{len(ahead)} jobs are"
        return f"; {many} before it on {self._device}, and it waits its turn"

    def _unlaunchable(self, task: Task, experiment: Experiment) -> str:
        """Return what a valid form still cannot be launched with, "" if nothing."""
        store = self._stores.get(self._store_path)
        if store is None and self._store_path:
            return f"{Path(self._store_path).name} is gone or cannot be read: choose another store"
        if store is None:
            return "there is no store yet: build one in mode 1, or run: stemcls demo"
        if task.backend != DEFAULT_BACKEND and find_spec(task.backend) is None:
            extra = f"pip install 'stemcls[{task.backend}]'"
            return f"backend {task.backend!r} is not installed; {extra}"
        unknown = [name for name in experiment.split.classes if name not in store.classes]
        if unknown:
            return f"split.classes: {unknown[0]!r} is not a class of {store.path.name}"
        return ""

    def on_button_pressed(self) -> None:
        """Launch."""
        self.action_launch()

    def action_preview(self) -> None:
        """Show the TOML in place of the form, or the form."""
        self.toggle_class("-preview")

    @work(exclusive=True, group="launch")
    async def action_launch(self) -> None:
        """Start the job, unless something is wrong."""
        problem = self._judge()
        if not problem:
            task, experiment = self.read()
            try:
                job = await asyncio.to_thread(
                    _start, self._workspace, Path(self._store_path), experiment, task, self._device
                )
            except (StemclsError, OSError) as error:
                problem = str(error)
        if problem:
            self.app.notify(problem, title="Not launched", severity="error", markup=False)
        else:
            self.post_message(self.Launched(job))


def _start(
    workspace: Path, store: Path, experiment: Experiment, task: Task, device: str
) -> Job:
    check_device(device)
    return commandlines.start(workspace, store, experiment, task, device)
