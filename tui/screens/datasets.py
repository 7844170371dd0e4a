"""The mode of crop stores."""

from __future__ import annotations

from textual.app import ComposeResult

from tui.reading import StoreEntry
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

    def on_datasets_pane_train(self, event: DatasetsPane.Train) -> None:
        """Open the training form of a store."""
        self.stemcls.go("train", store=event.store.path)
