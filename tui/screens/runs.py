"""The mode of runs: all of them, as they happen."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from tui.commands import bindings
from tui.listing import Row
from tui.reading import RunsView
from tui.screens.mode import ModeScreen
from tui.widgets import runactions
from tui.widgets.rundetail import RunDetail
from tui.widgets.runs import RunList


class RunsScreen(ModeScreen):
    """A live table of the runs of the workspace, their curves and logs."""

    MODE = "runs"
    PLACE = "runs"
    BINDINGS: ClassVar[list[BindingType]] = bindings("runs")
    CSS = """
    RunList { height: 3fr; }
    """

    def compose_body(self) -> ComposeResult:
        """The list of runs, then curves and log."""
        yield RunList(self.stemcls.workspace)
        yield RunDetail()

    def show_runs(self, view: RunsView) -> None:
        """List the runs."""
        self.query_one(RunList).show(view)
        self._detail()

    def show_chosen(self) -> None:
        """Follow curves and log while the mode is open."""
        self.query_one(RunDetail).follow()

    def on_run_list_chosen(self) -> None:
        """Show what is told of another run."""
        self._detail()

    def _detail(self) -> None:
        runs = self.query_one(RunList)
        self.query_one(RunDetail).show(runs.compared, runs.selected)

    @property
    def _row(self) -> Row | None:
        return self.query_one(RunList).selected

    def on_run_list_opened(self) -> None:
        """Show what the selected run has come to."""
        if (row := self._row) is None:
            return
        if row["path"]:
            self.stemcls.go("results", run=Path(row["path"]))
        else:
            self.notify("It is still loading and has no run folder yet.")

    def action_stop(self) -> None:
        """Ask the selected run to stop."""
        if row := self._row:
            runactions.stop_run(self, row)

    def action_resume(self) -> None:
        """Go on with the selected run."""
        if row := self._row:
            runactions.resume_run(self, self.stemcls.workspace, row)

    def action_again(self) -> None:
        """Launch the selected run once more."""
        if row := self._row:
            runactions.run_again(self, self.stemcls.workspace, row)

    def action_rename(self) -> None:
        """Give the selected run a title."""
        if row := self._row:
            runactions.rename_run(self, row)

    def action_tag(self) -> None:
        """Tag the selected run."""
        if row := self._row:
            runactions.tag_run(self, row)

    def action_note(self) -> None:
        """Write a note on the selected run."""
        if row := self._row:
            runactions.note_run(self, row)

    def action_delete(self) -> None:
        """Delete the selected run."""
        if row := self._row:
            runactions.delete_run(self, self.stemcls.workspace, row)

    def action_recipes(self) -> None:
        """Open the recipes of papers."""
        from tui.screens.recipes import RecipesScreen

        self.app.push_screen(RecipesScreen())

    def action_turn(self) -> None:
        """Show the log in place of the curves, or the curves."""
        self.query_one(RunDetail).turn()

    def action_value(self) -> None:
        """Draw the next value."""
        self.query_one(RunDetail).next_value()
