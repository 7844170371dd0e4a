"""The training form: every setting of an experiment, made from its dataclass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, get_type_hints

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Button, Footer, Static

from stemcls.config.experiment import Experiment, StageConfig
from stemcls.config.options import from_mapping, merged, option, options_of
from stemcls.errors import StemclsError
from stemcls.store.cropstore import CropStore
from tui import jobs
from tui.commands import bindings
from tui.widgets.setting import Setting

DEFAULT_BACKEND = "default"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a job is started; not part of the experiment that it keeps."""

    folds: int = option(0, "Cross-validate in this many grouped folds; 0: one run.", least=0)
    backend: str = option(
        DEFAULT_BACKEND, "What Keras runs on; default: KERAS_BACKEND, else tensorflow.",
        choices=(DEFAULT_BACKEND, *jobs.BACKENDS),
    )


class Fields(VerticalScroll, inherit_bindings=False):
    """The settings; up and down go from one to the next."""

    PLACE = "fields"
    BINDINGS: ClassVar[list[BindingType]] = bindings("fields")
    can_focus = False


class TrainingForm(Screen[jobs.Job | None]):
    """Fill in an experiment and launch it; returns the job that it started.

    Args:
        workspace: Where the run is made.
        store: What it trains on.
    """

    PLACE = "form"
    BINDINGS: ClassVar[list[BindingType]] = bindings("form")
    CSS = """
    TrainingForm .section { text-style: bold; padding: 1 1 0 1; color: $text-accent; height: auto; }
    TrainingForm #bar { height: auto; max-height: 3; border-top: solid $panel; padding: 0 1; }
    TrainingForm #verdict { width: 1fr; height: auto; }
    TrainingForm #verdict.-bad { color: $text-error; text-style: bold; }
    TrainingForm Button { width: auto; }
    """

    def __init__(self, workspace: Path, store: CropStore) -> None:
        super().__init__()
        self._workspace = workspace
        self._store = store

    def compose(self) -> ComposeResult:
        """Title, sections of settings, verdict and button, footer."""
        classes = ", ".join(self._store.classes)
        yield Static(
            f"train on {self._store.path.name}   {len(self._store)} crops of {classes}",
            classes="title", markup=False,
        )
        with Fields(id="fields"):
            yield Static(f"job: {Launch.__doc__}", classes="section", markup=False)
            for entry in options_of(Launch):
                yield Setting(entry, Launch)
            yield from _sections()
        with Horizontal(id="bar"):
            yield Static("", id="verdict", markup=False)
            yield Button("Launch", variant="primary", compact=True, id="launch")
        yield Footer()

    def on_mount(self) -> None:
        """Begin at the first setting."""
        self.query("Setting Input").first().focus()
        self._judge()

    def on_setting_changed(self) -> None:
        """Say whether the form can be launched."""
        self._judge()

    def _judge(self) -> str:
        """Show and return the first thing that is wrong, "" if nothing is."""
        problems = [setting.problem for setting in self.query(Setting) if setting.problem]
        problem = problems[0] if problems else ""
        if not problem:
            try:
                launch, experiment = self._read()
            except StemclsError as error:
                problem = str(error)
            else:
                problem = _unlaunchable(launch, experiment, self._store)
        verdict = self.query_one("#verdict", Static)
        verdict.set_class(bool(problem), "-bad")
        verdict.update(f"! {problem}" if problem else "All settings are valid. ctrl+l launches.")
        self.query_one("#launch", Button).disabled = bool(problem)
        return problem

    def _read(self) -> tuple[Launch, Experiment]:
        mapping: dict[str, dict[str, Any]] = {"launch": {}, "experiment": {}}
        for setting in self.query(Setting):
            part = "experiment" if setting.cls is Experiment else "launch"
            mapping[part] = merged(mapping[part], setting.nested)
        experiment = {**mapping["experiment"], "store": str(self._store.path)}
        return from_mapping(Launch, mapping["launch"]), from_mapping(Experiment, experiment)

    def on_button_pressed(self) -> None:
        """Launch."""
        self.action_launch()

    def action_launch(self) -> None:
        """Start the job and go back, unless something is wrong."""
        if problem := self._judge():
            self.app.notify(problem, title="Not launched", severity="error", markup=False)
            return
        launch, experiment = self._read()
        backend = "" if launch.backend == DEFAULT_BACKEND else launch.backend
        try:
            job = jobs.launch_training(
                self._workspace, self._store.path, experiment, launch.folds, backend
            )
        except (StemclsError, OSError) as error:
            self.app.notify(str(error), title="Not launched", severity="error", markup=False)
            return
        self.dismiss(job)

    def action_back(self) -> None:
        """Go back without starting anything."""
        self.dismiss(None)


def _sections() -> Iterator[Static | Setting]:
    """Yield a heading and the settings of each section of `Experiment`, its own ones first."""
    hints = get_type_hints(Experiment)
    about = {field.name: hints[field.name].__doc__ for field in fields(Experiment)
             if is_dataclass(hints[field.name])}
    about["stages"] = StageConfig.__doc__
    section: tuple[str, ...] = ()
    yield Static("experiment", classes="section", markup=False)
    for entry in options_of(Experiment):
        if entry.keys == ("store",):
            continue
        if entry.keys[:-1] != section:
            section = entry.keys[:-1]
            title = f"{' '.join(section)}: {about[section[0]]}"
            yield Static(title, classes="section", markup=False)
        yield Setting(entry, Experiment)


def _unlaunchable(launch: Launch, experiment: Experiment, store: CropStore) -> str:
    """Return what a valid form still cannot be launched with, "" if nothing."""
    if launch.folds == 1:
        return "folds: expected 0 for one run, or 2 and more, found 1"
    if launch.backend != DEFAULT_BACKEND and find_spec(launch.backend) is None:
        extra = f"pip install 'stemcls[{launch.backend}]'"
        return f"backend {launch.backend!r} is not installed; {extra}"
    unknown = [name for name in experiment.split.classes if name not in store.classes]
    if unknown:
        return f"split.classes: {unknown[0]!r} is not a class of {store.path.name}"
    return ""
