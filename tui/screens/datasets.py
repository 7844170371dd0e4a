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
    """The stores of the workspace, what is in the selected one, builds and audits."""

    MODE = "datasets"
    PLACE = "datasets"
    BINDINGS: ClassVar[list[BindingType]] = bindings("datasets")

    def compose_body(self) -> ComposeResult:
        """The table of stores and the description, what is under way."""
        yield DatasetsPane(self.stemcls.workspace)
        yield TaskLine(self.stemcls.workspace, "build", "audit")

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
        """Say what a build has left out; show what an audit has found."""
        task = event.task
        if task.kind == "build":
            self.app.notify(event.remarks, title=f"{task.about} is built", markup=False)
            return
        self._pane.show_audit(task.about)
        self.app.notify("What it found is told below the table of stores.",
                        title=f"{task.about} is audited", markup=False)

    def action_build(self) -> None:
        """Open the build wizard; the cursor goes to the store when it is there."""

        def started(task: Task | None) -> None:
            self.follow(task)
            if task is not None:
                self._pane.select(Path(task.result))

        from tui.screens.build import BuildScreen

        self.app.push_screen(BuildScreen(self.stemcls.workspace), started)

    def action_audit(self) -> None:
        """Open the form that audits the selected store."""
        if store := self._pane.usable("audit"):
            from tui.screens.auditform import AuditForm

            self.app.push_screen(AuditForm(self.stemcls.workspace, store), self.follow)

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
