"""The tab of runs: a live table, newest first, and where the selected one stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from stemcls.errors import StemclsError
from stemcls.runs import Run
from tui import jobs
from tui.commands import bindings
from tui.drawing import duration, number, state_text
from tui.reading import RunsView
from tui.widgets.table import Table

_COLUMNS = ("state", "run", "at", "recall", "AUROC", "time")


class RunsPane(Vertical):
    """Runs and jobs of a workspace.

    Args:
        workspace: Its saved_models/ is shown.
    """

    PLACE = "runs"
    BINDINGS: ClassVar[list[BindingType]] = bindings("runs")

    class Opened(Message):
        """The user wants to see one run."""

        def __init__(self, run: Run) -> None:
            super().__init__()
            self.run = run

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._workspace = workspace
        self._rows: list[dict[str, Any]] = []
        self._following = ""

    def compose(self) -> ComposeResult:
        """Table above, a note on the selected run below."""
        yield Table(cursor_type="row", id="run-table")
        yield Static("Looking ...", classes="note", id="run-note", markup=False)

    def on_mount(self) -> None:
        """Lay out the columns."""
        table = self.query_one(Table)
        for name in _COLUMNS:
            table.add_column(name, key=name)

    def show(self, view: RunsView) -> None:
        """Show these runs: cells change in place, rows only when runs come or go."""
        table = self.query_one(Table)
        before, self_rows = self.selected, self._rows
        keys = [row["key"] for row in view.rows]
        same = keys == [row["key"] for row in self_rows]
        self._rows = view.rows
        if same:
            for old, row in zip(self_rows, view.rows, strict=True):
                if old != row:
                    for name, cell in zip(_COLUMNS, _cells(row), strict=True):
                        table.update_cell(row["key"], name, cell, update_width=True)
        else:
            table.clear()
            for row in view.rows:
                table.add_row(*_cells(row), key=row["key"])
            wanted = before["key"] if before is not None else ""
            if self._following in keys:
                wanted, self._following = self._following, ""
            # A job that became a run leaves the cursor on the first row: the newest run is its.
            table.move_cursor(row=keys.index(wanted) if wanted in keys else 0)
        self._describe()

    def follow(self, job: jobs.Job) -> None:
        """Put the cursor on a job as soon as it is listed."""
        self._following = job.record

    @property
    def selected(self) -> dict[str, Any] | None:
        """The row under the cursor, as from `Run.summary`."""
        row = self.query_one(Table).cursor_row
        return self._rows[row] if 0 <= row < len(self._rows) else None

    def on_data_table_row_highlighted(self) -> None:
        """Describe the run that the cursor came to."""
        self._describe()

    def _describe(self) -> None:
        row = self.selected
        if row is None:
            text = (
                f"No runs in {self._workspace / 'saved_models'} yet.\n"
                "Press 1, choose a store and press t to train on it, or run: stemcls demo"
            )
        else:
            text = row["message"] or row["path"]
            if row["state"] in ("crashed", "cancelled", "failed"):
                text = f"r resumes it, Enter shows its log. {text}"
        self.query_one("#run-note", Static).update(Text(text))

    def action_open(self) -> None:
        """Open the selected run."""
        row = self.selected
        if row is not None and row["path"]:
            self.post_message(self.Opened(Run(Path(row["path"]))))
        elif row is not None:
            self.app.notify("It is still loading and has no run folder yet.")

    def action_stop(self) -> None:
        """Ask the selected run to stop."""
        row = self.selected
        if row is not None:
            stop_run(self, row)

    def action_resume(self) -> None:
        """Go on with the selected run."""
        row = self.selected
        if row is not None:
            resume_run(self, self._workspace, row)


def stop_run(widget: Widget, row: dict[str, Any]) -> None:
    """Stop the run of a row and say what came of it."""
    try:
        if not row["path"]:
            raise StemclsError("It is still loading; stop it once its run has begun.")
        jobs.stop(Run(Path(row["path"])))
    except StemclsError as error:
        widget.app.notify(str(error), severity="warning", markup=False)
    else:
        widget.app.notify(f"{row['run']} stops at its next step; r resumes it.", markup=False)


def resume_run(widget: Widget, workspace: Path, row: dict[str, Any]) -> None:
    """Resume the run of a row and say what came of it."""
    try:
        if not row["path"]:
            raise StemclsError("It is only just starting.")
        jobs.resume(workspace, Run(Path(row["path"])))
    except StemclsError as error:
        widget.app.notify(str(error), severity="warning", markup=False)
    else:
        widget.app.notify(f"{row['run']} goes on in a new process.", markup=False)


def _cells(row: dict[str, Any]) -> list[Text]:
    metrics = row["metrics"] or {}
    return [
        state_text(row["state"]),
        Text(row["run"]),
        Text(place(row)),
        Text(number(metrics.get("mean_recall")), justify="right"),
        Text(number(metrics.get("auroc")), justify="right"),
        Text(duration(row["seconds"]), justify="right"),
    ]


def place(row: dict[str, Any]) -> str:
    """Return stage and epoch of a summary, as `finetune 3/10`."""
    epoch = f"{row['epoch']}/{row['epochs']}" if row["epoch"] is not None else ""
    return f"{row['stage'] or ''} {epoch}".strip()
