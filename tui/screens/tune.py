"""The mode Tune: searches, their trials as they come, and pictures of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from stemcls.errors import StemclsError
from tui import commandlines
from tui.commandlines import Training
from tui.commands import bindings
from tui.devices import usual_device
from tui.drawing import state_text
from tui.jobs import Job
from tui.listing import Row, left_text
from tui.reading import RunsView
from tui.screens.ask import Confirm
from tui.screens.mode import ModeScreen
from tui.screens.search import SearchScreen
from tui.studies import StudyReader, StudyView, TrialRow, experiment_of
from tui.studypictures import picture, pictures
from tui.widgets.plot import Plot
from tui.widgets.runactions import resume_run, stop_run
from tui.widgets.table import Table
from tui.widgets.trials import TrialsTable

REFRESH_SECONDS = 1.0
WIDE_COLUMNS = 120
NOTHING = "No searches yet. Press n to begin one, or run: stemcls tune STORE"
COLUMNS = ("state", "search", "at", "left", "on")


class TrialsAndPicture(Horizontal):
    """The two side by side where there is room, else one above the other."""

    DEFAULT_CSS = """
    TrialsAndPicture { height: 1fr; layout: vertical; }
    TrialsAndPicture > DataTable { width: 1fr; }
    TrialsAndPicture > Plot { border-top: solid $panel; }
    TrialsAndPicture.-wide { layout: horizontal; }
    TrialsAndPicture.-wide > Plot { border-top: none; border-left: solid $panel; }
    """

    def on_resize(self) -> None:
        """See which."""
        self.set_class(self.size.width >= WIDE_COLUMNS, "-wide")


class TuneScreen(ModeScreen):
    """The searches of the workspace, and all about the selected one."""

    MODE = "tune"
    PLACE = "tune"
    BINDINGS: ClassVar[list[BindingType]] = bindings("tune")
    CSS = """
    #studies { height: auto; max-height: 6; }
    #study-note { height: auto; max-height: 4; padding: 0 1; border-top: solid $panel; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._studies: list[Row] = []
        self._reader = StudyReader()
        self._view: StudyView | None = None
        self._picture = 0
        self._wanted = asyncio.Event()

    def compose_body(self) -> ComposeResult:
        """Searches, what the selected one comes to, its trials, a picture."""
        yield Table(cursor_type="row", id="studies")
        yield Static(NOTHING, id="study-note", markup=False)
        with TrialsAndPicture():
            yield TrialsTable(id="trials")
            yield Plot(id="study-plot")

    def on_mount(self) -> None:
        """Lay out the columns."""
        table = self.query_one("#studies", Table)
        for name in COLUMNS:
            table.add_column(name, key=name)
        table.focus()

    def show_runs(self, view: RunsView) -> None:
        """List the searches."""
        table = self.query_one("#studies", Table)
        before = self._study
        rows = [row for row in view.rows if row["kind"] == "tune" and row["path"]]
        if rows == self._studies:
            return
        same = [row["key"] for row in rows] == [row["key"] for row in self._studies]
        self._studies = rows
        if same:
            for row in rows:
                for name, cell in zip(COLUMNS, _cells(row), strict=True):
                    table.update_cell(row["key"], name, cell, update_width=True)
            return
        table.clear()
        for row in rows:
            table.add_row(*_cells(row), key=row["key"])
        self._go_to(before["key"] if before else str(self.stemcls.chosen_run or ""))
        self._wanted.set()

    def show_chosen(self) -> None:
        """Show the chosen run if it is a search; follow searches while the mode is open."""
        self._go_to(str(self.stemcls.chosen_run or ""))
        self._follow()

    def _go_to(self, key: str) -> None:
        keys = [row["key"] for row in self._studies]
        if key in keys:
            self.query_one("#studies", Table).move_cursor(row=keys.index(key))

    @property
    def _study(self) -> Row | None:
        at = self.query_one("#studies", Table).cursor_row
        return self._studies[at] if 0 <= at < len(self._studies) else None

    @property
    def _trial(self) -> TrialRow | None:
        return self.query_one(TrialsTable).selected

    def on_data_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        """Show the search that the cursor came to, or say more of a trial."""
        if event.data_table.id == "studies":
            self._wanted.set()
        else:
            self._tell()

    def on_data_table_row_selected(self, event: Table.RowSelected) -> None:
        """Go from a search into its trials."""
        if event.data_table.id == "studies":
            self.query_one(TrialsTable).focus()

    def on_data_table_header_selected(self, event: Table.HeaderSelected) -> None:
        """Sort the trials by a column."""
        if event.data_table.id == "trials":
            self.query_one(TrialsTable).sort_by(str(event.column_key.value))
            self._tell()

    @work(exclusive=True)
    async def _follow(self) -> None:
        while self.is_current:
            self._wanted.clear()
            study = self._study
            if study is not None:
                view = await asyncio.to_thread(self._reader.read, Path(study["path"]))
                if not self.query(TrialsTable):
                    return  # the UI was closed meanwhile
                if view is not self._view and study is self._study:
                    self._show(view)
            try:
                await asyncio.wait_for(self._wanted.wait(), REFRESH_SECONDS)
            except TimeoutError:
                continue

    def _show(self, view: StudyView) -> None:
        self._view = view
        self.query_one(TrialsTable).show(view)
        self._picture %= len(pictures(view))
        self._draw()
        self._tell()

    def _draw(self) -> None:
        if self._view is None:
            return
        name = pictures(self._view)[self._picture]
        drawn = picture(self._view, name)
        self.query_one(Plot).show(drawn.lines, drawn.title, drawn.ticks)

    def _tell(self) -> None:
        view, trial = self._view, self._trial
        if view is None:
            return
        if view.problem:
            text = Text(f"cannot be read: {view.problem}", style="bold")
        else:
            text = Text(
                f"{len(view.trials)} of {view.wanted} trials, {view.objective} over {view.folds} "
                f"folds, {self.query_one(TrialsTable).order}. {view.reason}"
            )
            if trial is not None and trial.reason:
                text.append(f"\ntrial {trial.number} {trial.state}: {trial.reason}")
        self.query_one("#study-note", Static).update(text)

    def action_new(self) -> None:
        """Open the form of a search."""
        def started(job: Job | None) -> None:
            if job is not None:
                self.stemcls.go("runs")
                self.notify(f"{job.name} begins as soon as {job.device} is free.", markup=False)

        self.app.push_screen(SearchScreen(), started)

    def action_picture(self, step: int) -> None:
        """Show another picture."""
        if self._view is not None:
            self._picture = (self._picture + step) % len(pictures(self._view))
            self._draw()

    def action_sort(self, step: int) -> None:
        """Sort the trials by another column, or the other way round."""
        self.query_one(TrialsTable).sort_on(step)
        self._tell()

    def action_stop(self) -> None:
        """Ask the selected search to stop."""
        if study := self._study:
            stop_run(self, study)

    def action_resume(self) -> None:
        """Go on with the selected search."""
        if study := self._study:
            resume_run(self, self.stemcls.workspace, study)

    def action_promote(self) -> None:
        """Ask, and train the selected trial's settings as a run."""
        study, trial, view = self._study, self._trial, self._view
        if study is None or trial is None or view is None:
            self.notify("Go to a trial first.", severity="warning")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._promote(Path(study["path"]), trial.number, view.backend, study["device"])

        score = "" if trial.score is None else f", {view.objective} {trial.score:.4f},"
        self.app.push_screen(
            Confirm(f"Train the settings of trial {trial.number}{score} as a run of its own?"),
            answered,
        )

    @work(group="promote")
    async def _promote(self, study: Path, number: int, backend: str, device: str | None) -> None:
        try:
            job = await asyncio.to_thread(
                promote, self.stemcls.workspace, study, number, backend, device
            )
        except (StemclsError, OSError) as error:
            self.notify(str(error), title="Not launched", severity="error", markup=False)
            return
        self.notify(f"{job.name} begins as soon as {job.device} is free.", markup=False)


def promote(
    workspace: Path, study: Path, number: int, backend: str, device: str | None
) -> Job:
    """Launch a training run with the settings of a trial.

    Raises:
        StemclsError: The trial's settings cannot be read, or the process cannot be started.
    """
    experiment = experiment_of(study, number)
    store = Path(experiment.store)
    name = f"{experiment.name or store.stem}-trial-{number}"
    return commandlines.start(
        workspace, store, replace(experiment, name=name), Training(backend=backend),
        usual_device(device),
    )


def _cells(row: Row) -> list[Text]:
    return [
        state_text(row["state"]), Text(row["title"]), Text(row["stage"] or ""),
        Text(left_text(row["left"]), justify="right"), Text(row["device"] or "-", justify="right"),
    ]
