"""The mode Train: the form of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from tui.commandlines import Training
from tui.commands import bindings
from tui.reading import RunsView, StoreEntry
from tui.screens.mode import ModeScreen
from tui.widgets.jobform import JobForm
from tui.widgets.pick import Pick
from tui.widgets.setting import Choice


class TrainScreen(ModeScreen):
    """Choose a store and settings and launch a run."""

    MODE = "train"
    PLACE = "train"
    BINDINGS: ClassVar[list[BindingType]] = bindings("train")

    def __init__(self) -> None:
        super().__init__()
        self._taken: Path | None = None

    def compose_body(self) -> ComposeResult:
        """The form."""
        yield JobForm(Training, self.stemcls.workspace)

    def on_mount(self) -> None:
        """Begin at the store, where numbers still change the mode."""
        self.query_one(Pick).query_one(Choice).focus()

    def show_stores(self, entries: list[StoreEntry]) -> None:
        """Offer the stores."""
        self.query_one(JobForm).offer_stores(entries)

    def show_runs(self, view: RunsView) -> None:
        """Know what is on the devices."""
        self.query_one(JobForm).know_runs(view)

    def show_chosen(self) -> None:
        """Train on a store that was chosen elsewhere; look for devices while the mode is open."""
        form, chosen = self.query_one(JobForm), self.stemcls.chosen_store
        # One that was known already does not undo a choice in the form.
        form.offer_stores(self.stemcls.stores or [], None if chosen == self._taken else chosen)
        self._taken = chosen
        form.watch_devices()

    def action_recipes(self) -> None:
        """Open the recipes of papers."""
        from tui.screens.recipes import RecipesScreen

        self.app.push_screen(RecipesScreen())

    def on_job_form_launched(self, event: JobForm.Launched) -> None:
        """Go to the list of runs, where the job shows."""
        job = event.job
        self.stemcls.go("runs")
        self.notify(f"{job.name} begins as soon as {job.device} is free.", markup=False)
