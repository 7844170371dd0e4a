"""The mode of crop stores."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from tui.commands import bindings
from tui.reading import StoreEntry
from tui.screens.taskmode import TaskMode
from tui.tasks import Task
from tui.widgets.datasets import DatasetsPane
from tui.widgets.taskline import TaskLine


class DatasetsScreen(TaskMode):
    """The stores of the workspace, what is in the selected one, and what is being built."""

    MODE = "datasets"
    PLACE = "datasets"
    BINDINGS: ClassVar[list[BindingType]] = bindings("datasets")

    def compose_body(self) -> ComposeResult:
        """The table of stores and the description, what is under way."""
        yield DatasetsPane(self.stemcls.workspace)
        yield TaskLine(self.stemcls.workspace, "build")

    @property
    def _pane(self) -> DatasetsPane:
        return self.query_one(DatasetsPane)

    def show_stores(self, entries: list[StoreEntry]) -> None:
        """List the stores."""
        self._pane.show(entries)

    def show_chosen(self) -> None:
        """Go to the chosen store."""
        if self.stemcls.chosen_store is not None:
            self._pane.select(self.stemcls.chosen_store)

    def on_task_line_finished(self, event: TaskLine.Finished) -> None:
        """Say what a build has left out."""
        self.app.notify(event.remarks, title=f"{event.task.about} is built", markup=False)

    def action_build(self) -> None:
        """Open the build wizard; the cursor goes to the store when it is there."""

        def started(task: Task | None) -> None:
            self.follow(task)
            if task is not None:
                self._pane.select(Path(task.result))

        from tui.screens.build import BuildScreen

        self.app.push_screen(BuildScreen(self.stemcls.workspace), started)

    def action_crops(self) -> None:
        """Show the crops of the selected store."""
        if store := self._pane.usable("look at"):
            from tui.screens.crops import CropsScreen

            self.stemcls.chosen_store = store.path
            self.app.push_screen(CropsScreen(store))

    def action_train(self) -> None:
        """Open the training form of the selected store."""
        if store := self._pane.usable("train on"):
            self.stemcls.go("train", store=store.path)

    def action_tab(self, step: int) -> None:
        """Go to the next or the previous tab."""
        self._pane.turn(step)

    def action_read_on(self) -> None:
        """Go to the description, to scroll it; from there back to the table."""
        self._pane.read_on()
