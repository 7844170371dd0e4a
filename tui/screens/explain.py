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
from tui.screens.maps import MapsScreen
from tui.screens.taskform import TaskForm
from tui.screens.taskmode import ModelMode
from tui.widgets.explained import ExplainedPane
from tui.widgets.taskline import TaskLine

REFRESH_SECONDS = 1.0
NO_RUN = "No run is chosen: press c and choose a finished one."


class ExplainScreen(ModelMode):
    """The explanations of a run."""

    MODE = "explain"
    PLACE = "explain"
    QUESTION = "Explain which run?"
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

    def form(self, run: Run) -> TaskForm:
        """Which cells, by which methods."""
        from tui.screens.explainform import ExplainForm

        return ExplainForm(self.stemcls.workspace, run)
