"""The mode Predict: a run's model put to work on new images, and what came of it."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from stemcls.errors import StemclsError
from stemcls.runs import Run
from tui.commands import bindings
from tui.opening import copy_serve_command
from tui.predicted import TableEntry, TableShelf, read_table
from tui.screens.taskform import TaskForm
from tui.screens.taskmode import ModelMode
from tui.widgets.scores import fill
from tui.widgets.table import Table
from tui.widgets.taskline import TaskLine

REFRESH_SECONDS = 1.0
SHOWN = 1000
NO_RUN = "predict   No run is chosen: press c."
EMPTY = (
    "No prediction yet. Press n, choose a folder of fields, crops or stores, and ctrl+l; or run: "
    "stemcls predict RUN FOLDER --out predictions/NAME/cells.csv"
)


class PredictScreen(ModelMode):
    """The predictions of a workspace."""

    MODE = "predict"
    PLACE = "predict"
    QUESTION = "Predict with which run?"
    BINDINGS: ClassVar[list[BindingType]] = bindings("predict")
    CSS = """
    #predictions { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._shelf = TableShelf(self.stemcls.workspace)
        self._entries: list[TableEntry] | None = None

    def compose_body(self) -> ComposeResult:
        """The run, the predictions, what is under way."""
        yield Static(NO_RUN, id="predict-title", classes="title", markup=False)
        yield Static("", id="predict-empty", classes="empty", markup=False)
        yield Table(cursor_type="row", id="predictions")
        yield TaskLine(self.stemcls.workspace, "predict")

    def on_mount(self) -> None:
        """Leave the keys to the table."""
        self.query_one(Table).focus()

    def show_chosen(self) -> None:
        """Follow the workspace while the mode is open."""
        path = self.stemcls.chosen_run
        self.query_one("#predict-title", Static).update(
            NO_RUN if path is None else f"predict   with {path.name}"
        )
        self._watch()

    @work(exclusive=True)
    async def _watch(self) -> None:
        while self.is_shown:
            entries = await asyncio.to_thread(self._shelf.read)
            if not self.is_shown:
                return
            if entries != self._entries:
                self._show(entries)
            await asyncio.sleep(REFRESH_SECONDS)

    def _show(self, entries: list[TableEntry]) -> None:
        self._entries = entries
        self.query_one("#predict-empty", Static).update("" if entries else EMPTY)
        self.query_one("#predict-empty").display = not entries
        rows = [
            [entry.name, str(entry.n_cells),
             time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry.written))]
            for entry in entries[:SHOWN]
        ]
        fill(self.query_one(Table), ("prediction", "cells", "written (UTC)"), rows)

    def form(self, run: Run) -> TaskForm:
        """Which images, and how cells are found in them."""
        from tui.screens.predictform import PredictForm

        return PredictForm(self.stemcls.workspace, run)

    def action_serve(self) -> None:
        """Say how the run's model is shown as a web page."""
        if (run := self.chosen_model()) is not None:
            copy_serve_command(self.app, run)

    def on_task_line_finished(self, event: TaskLine.Finished) -> None:
        """Say that it can be opened."""
        self.app.notify("Enter opens it.", title=f"{event.task.about} is finished", markup=False)

    @work(exclusive=True, group="open")
    async def action_open(self) -> None:
        """Browse the selected prediction."""
        place = self.query_one(Table).cursor_row
        if not self._entries or not 0 <= place < len(self._entries):
            self.app.notify("There is no prediction yet: press n.", severity="warning")
            return
        entry = self._entries[place]
        try:
            table = await asyncio.to_thread(read_table, entry.path)
        except StemclsError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return
        if not self.is_shown:
            return
        from tui.screens.predicted import PredictedScreen

        self.app.push_screen(PredictedScreen(table, entry.name))

    def on_data_table_row_selected(self) -> None:
        """A second click opens."""
        self.action_open()
