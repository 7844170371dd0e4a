"""The mode of results: what one run's model can do, and the cells behind each number."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from stemcls.errors import StemclsError
from stemcls.runs import Run
from tui import tasks
from tui.commands import bindings
from tui.comparing import COMPARISONS, DOCUMENT
from tui.drawing import duration, state_text
from tui.exports import EXPORTS, write_export
from tui.listing import place
from tui.opening import open_page
from tui.reading import RunsView, RunView, read_run, read_run_on
from tui.records import new_path
from tui.scored import OWN
from tui.screens.cells import CellsScreen, Entry
from tui.screens.maps import MapsScreen
from tui.screens.taskmode import TaskMode
from tui.verdict import read_verdict_lines
from tui.widgets.compare import ComparePane
from tui.widgets.confusion import ConfusionPane
from tui.widgets.explained import ExplainedPane
from tui.widgets.runactions import resume_run, stop_run
from tui.widgets.runtabs import RunTabs
from tui.widgets.scores import ScoresPane
from tui.widgets.taskline import TaskLine

REFRESH_SECONDS = 1.0
NOTHING_CHOSEN = "No run is chosen: press 3, go to a run and press Enter."
GONE = "This run's folder is gone. Press 3 and choose another run."


class ResultsScreen(TaskMode):
    """Everything that the chosen run's folder says about it."""

    MODE = "results"
    PLACE = "results"
    BINDINGS: ClassVar[list[BindingType]] = bindings("results")
    CSS = """
    ScoresPane DataTable, UsePane DataTable { height: auto; margin-bottom: 1; }
    #compare-runs { height: 1fr; }
    #compare-scores { height: auto; max-height: 10; border-top: solid $panel; }
    #run-state { padding: 0 1; height: auto; max-height: 9; overflow-y: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown_run: Run | None = None
        self._view: RunView | None = None
        self._set = OWN

    def compose_body(self) -> ComposeResult:
        """Title and state, tabs."""
        yield Static("", id="run-title", classes="title", markup=False)
        yield Static(NOTHING_CHOSEN, id="run-state", markup=False)
        yield RunTabs(self.stemcls.workspace)
        yield TaskLine(self.stemcls.workspace, "report", "compare", "export")

    def show_chosen(self) -> None:
        """Show the chosen run, from now on as it changes."""
        path = self.stemcls.chosen_run
        if path is None:
            return
        if self._shown_run is None or self._shown_run.path != path:
            self._shown_run, self._view, self._set = Run(path), None, OWN
        self._watch()

    def show_runs(self, view: RunsView) -> None:
        """Keep the list of runs to compare with up to date."""
        self.query_one(ComparePane).show(view.rows, self.stemcls.chosen_run)

    @work(exclusive=True)
    async def _watch(self) -> None:
        while self.is_shown and self._shown_run is not None:
            run = self._shown_run
            view = await asyncio.to_thread(_read, run, self._set)
            if not self.is_shown:
                return
            if view is None:
                self.query_one("#run-state", Static).update(GONE)
            elif view != self._view:
                self._show(run, view)
            await self.query_one(RunTabs).show_details()
            await asyncio.sleep(REFRESH_SECONDS)

    def _show(self, run: Run, view: RunView) -> None:
        self._view = view
        of = f"   on {self._set}" if self._set != OWN else ""
        self.query_one("#run-title", Static).update(f"run   {run.path.name}{of}")
        state = state_text(view.summary["state"])
        state.append(f"  {place(view.summary)}  {duration(view.summary['seconds'])}", style="none")
        if view.summary["message"]:
            state.append(f"\n{view.summary['message']}", style="none")
        self.query_one("#run-state", Static).update(state)
        self.query_one(RunTabs).show(run, self._set, view)
        self._sum_up(run, self._set)

    @work(exclusive=True, group="verdict")
    async def _sum_up(self, run: Run, name: str) -> None:
        lines = await asyncio.to_thread(read_verdict_lines, run, name)
        if self.is_shown and self._shown_run == run and self._set == name:
            self.query_one(ScoresPane).sum_up(lines)

    def on_tabbed_content_tab_activated(self) -> None:
        """Fill a tab that is looked at for the first time, without waiting for the next look."""
        self._watch()

    def action_tab(self, step: int) -> None:
        """Go to the tab before or after, and into what can be moved there."""
        self.query_one(RunTabs).turn(step)

    def action_next_set(self) -> None:
        """Show the scores on the next set of crops."""
        if self._view is None:
            return
        names = [OWN, *(store["name"] for store in self._view.externals)]
        if len(names) == 1:
            self.app.notify("It was scored on its own test crops only; stemcls evaluate RUN STORE")
            return
        at = names.index(self._set) if self._set in names else 0
        self._set = names[(at + 1) % len(names)]
        self._view = None
        self._watch()

    @work(exclusive=True, group="cells")
    async def on_confusion_pane_opened(self, event: ConfusionPane.Opened) -> None:
        """Open the cells of an entry."""
        run = self._shown_run
        if run is None:
            return
        try:
            scored, origin = await self.query_one(RunTabs).read_cells(run)
        except StemclsError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return
        if not self.is_shown:
            return
        if max(event.truth, event.predicted) >= len(scored.classes):
            self.app.notify("The predictions know fewer classes than the matrix; evaluate again.",
                            severity="error")
            return
        entry = Entry(run, scored, origin, event.truth, event.predicted)
        self.app.push_screen(CellsScreen(entry))

    def on_explained_pane_opened(self, event: ExplainedPane.Opened) -> None:
        """Open the pictures of a method."""
        self.app.push_screen(MapsScreen(event.folder, event.method))

    def on_compare_pane_wanted(self, event: ComparePane.Wanted) -> None:
        """Test whether the differences of runs hold, in a process."""
        out = new_path(self.stemcls.workspace / COMPARISONS)
        arguments = [*map(str, event.runs), "--out", str(out)]
        names = " ".join(path.name for path in event.runs)
        self._start("compare", names, arguments, out / DOCUMENT)

    def action_report(self) -> None:
        """Open the report, or have it written."""
        run = self._shown_run
        if run is None:
            return
        page = run.path / "report.html"
        if page.is_file():
            open_page(self.app, page)
        else:
            self._start("report", run.name, [str(run.path)], page)

    def _start(self, kind: str, about: str, arguments: list[str], result: Path) -> None:
        workspace = self.stemcls.workspace
        self.begin(lambda: tasks.start(workspace, kind, about, arguments, result))

    def on_task_line_finished(self, event: TaskLine.Finished) -> None:
        """Show what a task has left."""
        if event.task.kind == "report":
            open_page(self.app, Path(event.task.result))
        elif self.stemcls.runs is not None:
            self.show_runs(self.stemcls.runs)

    def action_export(self) -> None:
        """Write the tables of the open tab as CSV."""
        run = self._shown_run
        tables = self.query_one(RunTabs).tables
        if run is None or not tables:
            self.app.notify("There is no table on this tab.", severity="warning")
            return
        try:
            written = [
                write_export(self.stemcls.workspace, f"{run.name}-{table.id}", *table.plain)
                for table in tables
            ]
        except OSError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return
        names = "\n".join(f"{EXPORTS}/{path.name}" for path in written)
        self.app.notify(names, title="Written", markup=False)

    def action_stop(self) -> None:
        """Ask the run to stop."""
        if self._view:
            stop_run(self, self._view.summary)

    def action_resume(self) -> None:
        """Go on with the run."""
        if self._view:
            resume_run(self, self.stemcls.workspace, self._view.summary)


def _read(run: Run, name: str) -> RunView | None:
    """Read a run with the scores of its set `name`; None where it is gone."""
    if not run.path.is_dir():
        return None
    return read_run(run) if name == OWN else read_run_on(run, name)
