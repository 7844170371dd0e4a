"""The mode of crop stores."""

from __future__ import annotations

from pathlib import Path

from textual.app import ComposeResult

from tui.jobs import Job
from tui.reading import RunsView, StoreEntry
from tui.screens.build import BuildScreen
from tui.screens.crops import CropsScreen
from tui.screens.form import TrainingForm
from tui.screens.mode import ModeScreen
from tui.widgets.datasets import DatasetsPane


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
        """Go to the chosen store."""
        if self.stemcls.chosen_store is not None:
            self.query_one(DatasetsPane).select(self.stemcls.chosen_store)

    def show_runs(self, view: RunsView) -> None:
        """Show the builds that are under way."""
        self.query_one(DatasetsPane).show_builds(view.builds)

    def on_datasets_pane_build(self) -> None:
        """Open the build wizard; the cursor goes to the store when it is there."""

        def started(job: Job | None) -> None:
            if job is not None:
                self.query_one(DatasetsPane).select(Path(job.store))

        self.app.push_screen(BuildScreen(self.stemcls.workspace), started)

    def on_datasets_pane_crops(self, event: DatasetsPane.Crops) -> None:
        """Show the crops of a store."""
        self.stemcls.chosen_store = event.store.path
        self.app.push_screen(CropsScreen(event.store))

    def on_datasets_pane_train(self, event: DatasetsPane.Train) -> None:
        """Open the training form; a job that it starts is looked for among the runs."""
        app = self.stemcls

        def started(job: Job | None) -> None:
            if job is not None:
                app.go("runs")
                app.notify(
                    f"Started {job.name}. Its run shows up here in some seconds.", markup=False
                )

        app.chosen_store = event.store.path
        app.push_screen(TrainingForm(app.workspace, event.store), started)
