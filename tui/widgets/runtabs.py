"""The tabs of a run's results: each is filled where what it shows has changed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Log, TabbedContent, TabPane

from stemcls.errors import StemclsError
from stemcls.runs import Run
from tui.reading import RunView, version_of
from tui.scored import (
    OWN,
    Origin,
    PredictionsShelf,
    Scored,
    find_origin,
    groups_of,
    predictions_path,
)
from tui.widgets.compare import ComparePane
from tui.widgets.confusion import ConfusionPane
from tui.widgets.explained import ExplainedPane
from tui.widgets.groups import GroupsPane
from tui.widgets.history import HistoryPane
from tui.widgets.scores import ScoresPane
from tui.widgets.table import Table
from tui.widgets.threshold import ThresholdPane
from tui.widgets.use import UsePane

# Tabs in order, and what takes the keys in each.
INSIDE = {
    "scores": "ScoresPane", "confusion": "#confusion-table", "threshold": "ThresholdPane",
    "groups": "#groups-table", "history": "#history-table", "log": "#log-lines",
    "use": "UsePane", "explained": "#explained-table", "compare": "#compare-runs",
}


class RunTabs(Vertical):
    """Everything that a run's folder says about it, in tabs.

    Args:
        workspace: Of the run.
    """

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._workspace = workspace
        self._run: Run | None = None
        self._set = OWN
        self._view: RunView | None = None
        self._shelf = PredictionsShelf()
        self._detailed: tuple[Any, ...] = ()

    def compose(self) -> ComposeResult:
        """A pane for each tab."""
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
                yield UsePane(self._workspace)
            with TabPane("Explained", id="explained"):
                yield ExplainedPane()
            with TabPane("Compare", id="compare"):
                yield ComparePane(self._workspace)

    def on_mount(self) -> None:
        """Leave the keys to what can be scrolled."""
        self.query_one(ScoresPane).focus()

    def show(self, run: Run, name: str, view: RunView) -> None:
        """Show a run, with the scores of its set `name`."""
        before = self._view if (run, name) == (self._run, self._set) else None
        if before is None:
            self._detailed = ()
        self._run, self._set, self._view = run, name, view
        if before is None or _scored(before) != _scored(view):
            self.query_one(ScoresPane).show(view)
            self.query_one(ConfusionPane).show(view.evaluation)
        if before is None or before.epochs != view.epochs:
            self.query_one(HistoryPane).show(view.epochs)
        if before is None or before.log != view.log:
            log = self.query_one(Log)
            log.clear()
            log.write_lines(view.log or ["The log is empty."])
        state = view.summary["state"]
        if before is None or before.use != view.use or before.summary["state"] != state:
            self.query_one(UsePane).show(run, state, view.use)
        if before is None or before.explained != view.explained:
            self.query_one(ExplainedPane).show(run.path, view.explained)

    async def show_details(self) -> None:
        """Show what takes every prediction to know, where its tab is looked at.
        """
        run, view = self._run, self._view
        tab = self.query_one(TabbedContent).active
        if run is None or view is None or tab not in ("threshold", "groups"):
            return
        path = predictions_path(run, self._set)
        wanted = (tab, path, await asyncio.to_thread(version_of, path))
        if wanted == self._detailed:
            return
        self._detailed = wanted
        problem = ""
        try:
            scored, origin = await self.read_cells(run)
            groups = await asyncio.to_thread(groups_of, scored, origin) if tab == "groups" else []
        except StemclsError as error:
            problem = str(error)
        if not (self.is_attached and self.app.is_running):
            return
        if problem and tab == "threshold":
            self.query_one(ThresholdPane).show(None, {}, problem)
        elif problem:
            self.query_one(GroupsPane).show([], (), "group", problem)
        elif tab == "threshold":
            metrics = view.evaluation["metrics"] if view.evaluation else {}
            self.query_one(ThresholdPane).show(scored, metrics)
        else:
            what = origin.store.group_what if origin.store and origin.by == "group" else origin.by
            self.query_one(GroupsPane).show(groups, scored.classes, what, origin.note)

    async def read_cells(self, run: Run) -> tuple[Scored, Origin]:
        """Return what was predicted of every cell of a run's shown set, and where the cells are.

        Raises:
            StemclsError: There are no predictions, or they are damaged.
        """
        name = self._set

        def read() -> tuple[Scored, Origin]:
            scored = self._shelf.read(predictions_path(run, name))
            return scored, find_origin(run, name, self._workspace)

        return await asyncio.to_thread(read)

    def turn(self, step: int) -> None:
        """Go to the tab before or after, and into what can be moved there."""
        tabs = self.query_one(TabbedContent)
        names = list(INSIDE)
        tabs.active = names[(names.index(tabs.active) + step) % len(names)]
        self.query_one(INSIDE[tabs.active]).focus()

    @property
    def tables(self) -> list[Table]:
        """The tables of the open tab that hold something."""
        tabs = self.query_one(TabbedContent)
        pane = tabs.get_pane(tabs.active)
        return [table for table in pane.query(Table) if table.row_count]


def _scored(view: RunView) -> tuple[Any, ...]:
    return view.evaluation, view.folds, view.problem, view.externals, view.calibrated
