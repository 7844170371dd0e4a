"""The mode of results: what one run's model can do, and the cells behind each number."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Log, Static, TabbedContent, TabPane

from stemcls.errors import StemclsError
from stemcls.runs import Run
from tui import tasks
from tui.commands import bindings
from tui.comparing import COMPARISONS, DOCUMENT
from tui.drawing import duration, state_text
from tui.exports import EXPORTS, write_export
from tui.listing import place
from tui.opening import open_page
from tui.reading import RunsView, RunView, read_run
from tui.records import new_path
from tui.scored import OWN, PredictionsShelf, find_origin, groups_of, predictions_path
from tui.screens.cells import CellsScreen, Entry
from tui.screens.maps import MapsScreen
from tui.screens.taskmode import TaskMode
from tui.widgets.compare import ComparePane
from tui.widgets.confusion import ConfusionPane
from tui.widgets.explained import ExplainedPane
from tui.widgets.groups import GroupsPane
from tui.widgets.history import HistoryPane
from tui.widgets.runactions import resume_run, stop_run
from tui.widgets.scores import ScoresPane
from tui.widgets.table import Table
from tui.widgets.taskline import TaskLine
from tui.widgets.threshold import ThresholdPane
from tui.widgets.use import UsePane

REFRESH_SECONDS = 1.0
# Tabs in order, and what takes the keys in each.
INSIDE = {
    "scores": "ScoresPane", "confusion": "#confusion-table", "threshold": "ThresholdPane",
    "groups": "#groups-table", "history": "#history-table", "log": "#log-lines",
    "use": "UsePane", "explained": "#explained-table", "compare": "#compare-runs",
}
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
        self._shelf = PredictionsShelf()
        self._detailed: tuple[Any, ...] = ()

    def compose_body(self) -> ComposeResult:
        """Title and state, tabs."""
        yield Static("", id="run-title", classes="title", markup=False)
        yield Static(NOTHING_CHOSEN, id="run-state", markup=False)
        with TabbedContent():
            with TabPane("Scores", id="scores"):
                yield ScoresPane()
            with TabPane("Confusion", id="confusion"):
                yield ConfusionPane()
            with TabPane("Threshold", id="threshold"):
                yield ThresholdPane()
            with TabPane("Groups", id="groups"):
                yield GroupsPane()
            with TabPane("History", id="history"):
                yield HistoryPane()
            with TabPane("Log", id="log"):
                yield Log(id="log-lines", auto_scroll=True)
            with TabPane("Use", id="use"):
                yield UsePane(self.stemcls.workspace)
            with TabPane("Explained", id="explained"):
                yield ExplainedPane()
            with TabPane("Compare", id="compare"):
                yield ComparePane(self.stemcls.workspace)
        yield TaskLine(self.stemcls.workspace, "report", "compare", "export")

    def on_mount(self) -> None:
        """Leave the keys to what can be scrolled."""
        self.query_one(ScoresPane).focus()

    def show_chosen(self) -> None:
        """Show the chosen run, from now on as it changes."""
        path = self.stemcls.chosen_run
        if path is None:
            return
        if self._shown_run is None or self._shown_run.path != path:
            self._shown_run, self._view, self._set = Run(path), None, OWN
            self._detailed = ()
        self._watch()

    def show_runs(self, view: RunsView) -> None:
        """Keep the list of runs to compare with up to date."""
        self.query_one(ComparePane).show(view.rows, self.stemcls.chosen_run)

    @work(exclusive=True)
    async def _watch(self) -> None:
        while self.is_shown and self._shown_run is not None:
            view = await asyncio.to_thread(_read, self._shown_run, self._set)
            if not self.is_shown:
                return
            if view is None:
                self.query_one("#run-state", Static).update(GONE)
            elif view != self._view:
                self._show(self._shown_run, view)
            await self._show_details()
            await asyncio.sleep(REFRESH_SECONDS)

    def _show(self, run: Run, view: RunView) -> None:
        before, self._view = self._view, view
        of = f"   on {self._set}" if self._set != OWN else ""
        self.query_one("#run-title", Static).update(f"run   {run.path.name}{of}")
        state = state_text(view.summary["state"])
        state.append(f"  {place(view.summary)}  {duration(view.summary['seconds'])}", style="none")
        if view.summary["message"]:
            state.append(f"\n{view.summary['message']}", style="none")
        self.query_one("#run-state", Static).update(state)
        if before is None or _scored(before) != _scored(view):
            self.query_one(ScoresPane).show(view)
            self.query_one(ConfusionPane).show(view.evaluation)
        if before is None or before.epochs != view.epochs:
            self.query_one(HistoryPane).show(view.epochs)
        if before is None or before.log != view.log:
            log = self.query_one(Log)
            log.clear()
            log.write_lines(view.log or ["The log is empty."])
        state_of = view.summary["state"]
        if before is None or before.use != view.use or before.summary["state"] != state_of:
            self.query_one(UsePane).show(run, state_of, view.use)
        if before is None or before.explained != view.explained:
            self.query_one(ExplainedPane).show(run.path, view.explained)

    async def _show_details(self) -> None:
        """Show what takes every prediction to know, once it is looked at."""
        run, view = self._shown_run, self._view
        tab = self.query_one(TabbedContent).active
        if run is None or view is None or tab not in ("threshold", "groups"):
            return
        path = predictions_path(run, self._set)
        wanted = (tab, path, await asyncio.to_thread(_version, path))
        if wanted == self._detailed:
            return
        self._detailed = wanted
        metrics = view.evaluation["metrics"] if view.evaluation else {}
        try:
            scored = await asyncio.to_thread(self._shelf.read, path)
        except StemclsError as error:
            if not self.is_shown:
                return
            if tab == "threshold":
                self.query_one(ThresholdPane).show(None, metrics, str(error))
            else:
                self.query_one(GroupsPane).show([], (), "group", str(error))
            return
        if not self.is_shown:
            return
        if tab == "threshold":
            self.query_one(ThresholdPane).show(scored, metrics)
            return
        origin = await asyncio.to_thread(self._origin, run)
        groups = await asyncio.to_thread(groups_of, scored, origin)
        what = origin.store.group_what if origin.store and origin.by == "group" else origin.by
        if self.is_shown:
            self.query_one(GroupsPane).show(groups, scored.classes, what, origin.note)

    def _origin(self, run: Run) -> Any:
        stores = [entry.store for entry in self.stemcls.stores or () if entry.store is not None]
        return find_origin(run, self._set, self.stemcls.workspace, stores)

    def on_tabbed_content_tab_activated(self) -> None:
        """Fill a tab that is looked at for the first time, without waiting for the next look."""
        self._watch()

    def action_tab(self, step: int) -> None:
        """Go to the tab before or after, and into what can be moved there."""
        tabs = self.query_one(TabbedContent)
        names = list(INSIDE)
        tabs.active = names[(names.index(tabs.active) + step) % len(names)]
        self.query_one(INSIDE[tabs.active]).focus()

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
        self._view, self._detailed = None, ()
        self._watch()

    @work(exclusive=True, group="cells")
    async def on_confusion_pane_opened(self, event: ConfusionPane.Opened) -> None:
        """Open the cells of an entry."""
        run = self._shown_run
        if run is None:
            return
        try:
            path = predictions_path(run, self._set)
            scored = await asyncio.to_thread(self._shelf.read, path)
        except StemclsError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return
        origin = await asyncio.to_thread(self._origin, run)
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
        tabs = self.query_one(TabbedContent)
        pane = tabs.get_pane(tabs.active)
        tables = [table for table in pane.query(Table) if table.row_count]
        if run is None or not tables:
            self.app.notify("There is no table on this tab.", severity="warning")
            return
        try:
            written = [_export(self.stemcls.workspace, f"{run.name}-{table.id}", table)
                       for table in tables]
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
    """Read a run, the scores of its set `name` in place of its own; None where it is gone."""
    if not run.path.is_dir():
        return None
    view = read_run(run)
    if name == OWN:
        return view
    try:
        document = run.read_json(f"evaluation/{name}/metrics.json")
    except (StemclsError, OSError) as error:
        return replace(view, evaluation=None, problem=str(error))
    if not document or not {"metrics", "confusion", "labels"} <= set(document):
        return replace(view, evaluation=None, problem=f"the scores on {name} have an unknown form")
    return replace(view, evaluation=document)


def _version(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _scored(view: RunView) -> tuple[Any, ...]:
    return view.evaluation, view.folds, view.problem, view.externals, view.calibrated


def _export(workspace: Path, name: str, table: Table) -> Path:
    columns = [column.label.plain for column in table.ordered_columns]
    rows = []
    for key, row in table.rows.items():
        label = [row.label.plain.strip()] if row.label else []
        rows.append([*label, *(cell.plain.strip() for cell in table.get_row(key))])
    named = any(row.label for row in table.rows.values())
    return write_export(workspace, name, ["", *columns] if named else columns, rows)
