"""The mode of runs: all of them, as they happen."""

from __future__ import annotations

from textual.app import ComposeResult

from tui.reading import RunsView
from tui.screens.mode import ModeScreen
from tui.widgets.runs import RunsPane


class RunsScreen(ModeScreen):
    """A live table of the runs of the workspace."""

    MODE = "runs"

    def compose_body(self) -> ComposeResult:
        """The table of runs and a note on the selected one."""
        yield RunsPane(self.stemcls.workspace)

    def show_runs(self, view: RunsView) -> None:
        """List the runs."""
        self.query_one(RunsPane).show(view)

    def on_runs_pane_opened(self, event: RunsPane.Opened) -> None:
        """Show what the run has come to."""
        self.stemcls.go("results", run=event.run.path)
