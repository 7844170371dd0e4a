"""The start screen: the workspace's stores and its runs, one tab each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widgets import Footer, Static, TabbedContent, TabPane

from tui import keymap
from tui.jobs import Job
from tui.reading import RunBoard, StoreShelf
from tui.screens.detail import RunScreen
from tui.screens.form import TrainingForm
from tui.widgets.datasets import DatasetsPane
from tui.widgets.runs import RunsPane

REFRESH_SECONDS = 1.0


class MainScreen(Screen[None]):
    """Tabs over one workspace, read again every second in a thread.

    Args:
        workspace: Folder that holds datasets/ and saved_models/.
    """

    BINDINGS: ClassVar[list[BindingType]] = keymap.MAIN

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self.workspace = workspace
        self._shelf = StoreShelf(workspace)
        self._board = RunBoard(workspace)

    def compose(self) -> ComposeResult:
        """Title, tabs, footer."""
        yield Static(f"stemcls   {self.workspace}", classes="title", markup=False)
        with TabbedContent():
            with TabPane("1 Datasets", id="datasets"):
                yield DatasetsPane(self.workspace)
            with TabPane("2 Runs", id="runs"):
                yield RunsPane(self.workspace)
        yield Footer()

    def on_mount(self) -> None:
        """Start looking at the disk."""
        self._watch()

    @work
    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except NoMatches:  # the screen was taken down while the disk was read
                return
            await asyncio.sleep(REFRESH_SECONDS)

    async def look(self) -> None:
        """Read the workspace once, in a thread, and show it."""
        runs = await asyncio.to_thread(self._board.read)
        self.query_one(RunsPane).show(runs)
        self.query_one(DatasetsPane).show(await asyncio.to_thread(self._shelf.read))
        for job in runs.dead:
            self.app.notify(
                job.last_words(), title=f"{job.name} ended before its run began",
                severity="error", timeout=20, markup=False,
            )

    def action_show_tab(self, tab: str) -> None:
        """Go to a tab and into its table."""
        self.query_one(TabbedContent).active = tab
        self.query_one(f"#{tab}").query("DataTable").first().focus()

    def on_datasets_pane_train(self, event: DatasetsPane.Train) -> None:
        """Open the training form; a job that it starts is looked for among the runs."""

        def started(job: Job | None) -> None:
            if job is not None:
                self.query_one(RunsPane).follow(job)
                self.action_show_tab("runs")
                self.app.notify(
                    f"Started {job.name}. Its run shows up here in some seconds.", markup=False
                )

        self.app.push_screen(TrainingForm(self.workspace, event.store), started)

    def on_runs_pane_opened(self, event: RunsPane.Opened) -> None:
        """Open one run."""
        self.app.push_screen(RunScreen(self.workspace, event.run))
