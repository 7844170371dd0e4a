"""The form of a search for the best settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Footer

from tui.commandlines import Search
from tui.commands import bindings
from tui.jobs import Job
from tui.widgets.jobform import JobForm
from tui.widgets.setting import Setting

if TYPE_CHECKING:
    from tui.app import StemclsApp


class SearchScreen(Screen[Job | None]):
    """Fill in a search and launch it; returns the job, or None."""

    PLACE = "search-form"
    BINDINGS: ClassVar[list[BindingType]] = bindings("search-form")

    def compose(self) -> ComposeResult:
        """The form."""
        yield JobForm(Search, self._stemcls.workspace)
        yield Footer(show_command_palette=False)

    @property
    def _stemcls(self) -> StemclsApp:
        return cast("StemclsApp", self.app)

    def on_mount(self) -> None:
        """Begin at the first setting, with the chosen store."""
        form = self.query_one(JobForm)
        form.offer_stores(self._stemcls.stores or [], self._stemcls.chosen_store)
        if self._stemcls.runs:
            form.know_runs(self._stemcls.runs)
        self.query_one(Setting).query_one("Input").focus()
        self.call_after_refresh(form.watch_devices)

    def on_job_form_launched(self, event: JobForm.Launched) -> None:
        """Go back with the job."""
        self.dismiss(event.job)

    def action_back(self) -> None:
        """Go back without starting anything."""
        self.dismiss(None)
