"""The mode of crop stores."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual import work
from textual.app import ComposeResult

from tui.builds import Build, BuildsView, read_builds
from tui.reading import StoreEntry
from tui.screens.build import BuildScreen
from tui.screens.crops import CropsScreen
from tui.screens.mode import ModeScreen
from tui.widgets.datasets import DatasetsPane

REFRESH_SECONDS = 1.0


class DatasetsScreen(ModeScreen):
    """The stores of the workspace and what is in the selected one."""

    MODE = "datasets"

    def compose_body(self) -> ComposeResult:
        """The table of stores and the description."""
        yield DatasetsPane(self.stemcls.workspace)

    def show_stores(self, entries: list[StoreEntry]) -> None:
        """List the stores."""
        self.query_one(DatasetsPane).show(entries)

    def show_chosen(self) -> None:
        """Go to the chosen store, and watch what is being built."""
        if self.stemcls.chosen_store is not None:
            self.query_one(DatasetsPane).select(self.stemcls.chosen_store)
        self._watch_builds()

    @work(exclusive=True)
    async def _watch_builds(self) -> None:
        while self.is_current:
            try:
                view = await asyncio.to_thread(read_builds, self.stemcls.workspace)
            except OSError as error:
                view = BuildsView()
                self.log(f"builds are not read: {error}")
            for pane in self.query(DatasetsPane):  # none while the app closes
                pane.show_builds(view.running)
            for build in view.built:
                self.notify(build.remarks, title=f"{build.name} is built", markup=False)
            for build in view.failed:
                self.notify(
                    build.last_words(), title=f"{build.name} was not built", severity="error",
                    timeout=20, markup=False,
                )
            await asyncio.sleep(REFRESH_SECONDS)

    def on_datasets_pane_build(self) -> None:
        """Open the build wizard; the cursor goes to the store when it is there."""

        def started(build: Build | None) -> None:
            if build is not None:
                self.query_one(DatasetsPane).select(Path(build.store))

        self.app.push_screen(BuildScreen(self.stemcls.workspace), started)

    def on_datasets_pane_crops(self, event: DatasetsPane.Crops) -> None:
        """Show the crops of a store."""
        self.stemcls.chosen_store = event.store.path
        self.app.push_screen(CropsScreen(event.store))

    def on_datasets_pane_train(self, event: DatasetsPane.Train) -> None:
        """Open the training form of a store."""
        self.stemcls.go("train", store=event.store.path)
