"""The mode Explain: which pixels the chosen run's model looks at, and new explanations of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from stemcls.runs import Run
from tui.commands import bindings
from tui.reading import read_explanations
from tui.screens.choose import ChooseRunScreen
from tui.screens.maps import MapsScreen
from tui.screens.mode import ModeScreen
from tui.tasks import Task
from tui.widgets.explained import ExplainedPane
from tui.widgets.taskline import TaskLine

REFRESH_SECONDS = 1.0
NO_RUN = "No run is chosen: press c and choose a finished one."


class ExplainScreen(ModeScreen):
    """The explanations of a run."""

    MODE = "explain"
    PLACE = "explain"
    BINDINGS: ClassVar[list[BindingType]] = bindings("explain")

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[Path, list[dict[str, object]]] | None = None

    def compose_body(self) -> ComposeResult:
        """The run, its explanations, what is under way."""
        yield Static(NO_RUN, id="explain-title", classes="title", markup=False)
        yield ExplainedPane()
        yield TaskLine(self.stemcls.workspace, "explain")

    def on_mount(self) -> None:
        """Leave the keys to the table."""
        self.query_one("#explained-table").focus()

    def show_chosen(self) -> None:
        """Show the explanations of the chosen run."""
        self._watch()

    @work(exclusive=True)
    async def _watch(self) -> None:
        while self.is_shown:
            path = self.stemcls.chosen_run
            if path is not None:
                there = await asyncio.to_thread(path.is_dir)
                rows = await asyncio.to_thread(read_explanations, Run(path))
                if not self.is_shown:
                    return
                self.query_one("#explain-title", Static).update(
                    f"explain   {path.name}" if there else f"{path.name} is gone: press c"
                )
                if self._shown != (path, rows):
                    self._shown = (path, rows)
                    self.query_one(ExplainedPane).show(path, rows)
            await asyncio.sleep(REFRESH_SECONDS)

    def on_explained_pane_opened(self, event: ExplainedPane.Opened) -> None:
        """Open the pictures of a method."""
        self.app.push_screen(MapsScreen(event.folder, event.method))

    def action_choose_run(self) -> None:
        """Choose another run."""

        def chosen(path: Path | None) -> None:
            if path is not None:
                self.stemcls.chosen_run = path
                self.show_chosen()

        rows = self.stemcls.runs.rows if self.stemcls.runs else []
        self.app.push_screen(ChooseRunScreen(rows, "Explain which run?"), chosen)

    def action_new(self) -> None:
        """Open the form, where the run can be explained."""
        path = self.stemcls.chosen_run
        if path is None:
            self.action_choose_run()
            return
        run = Run(path)
        if not run.model_path.is_file():
            self.app.notify(unfinished(run), severity="warning", markup=False)
            return
        from tui.screens.explainform import ExplainForm

        self.app.push_screen(ExplainForm(self.stemcls.workspace, run), self._started)

    def _started(self, task: Task | None) -> None:
        if task is not None:
            self.query_one(TaskLine).follow()

    def action_stop(self) -> None:
        """Stop what is under way."""
        self.query_one(TaskLine).stop()


def unfinished(run: Run) -> str:
    """Say why a run has no model to work with, and what to do."""
    if not run.path.is_dir():
        return f"{run.name} is gone; press c and choose another run"
    if run.folds():
        return (
            f"{run.name} is a cross-validation and holds a model per fold; choose a single run, "
            "or train one model on all folds"
        )
    if run.is_study:
        return f"{run.name} is a study; choose its best run (press 4 to see which)"
    return f"{run.name} has no model: it is {run.summary()['state']}; press c for another run"
