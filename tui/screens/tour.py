"""The tour: a few sentences on every mode, shown to who opens the UI for the first time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from stemcls.errors import StemclsError
from tui import commandlines
from tui.commands import bindings

if TYPE_CHECKING:
    from tui.app import StemclsApp

# (mode, title, text). The mode is open behind the text while it is read.
STEPS: tuple[tuple[str, str, str], ...] = (
    ("datasets", "Welcome to stemcls",
     "From microscope files to a classifier you can trust, in eight modes, 1 to 8 above. "
     "Everything is on disk in this workspace: close the UI at any time, jobs go on."),
    ("datasets", "1 Datasets",
     "Crop stores: single cells cut out of fields, with their class, field and group (donor, line, "
     "mouse). Groups are never split between training and test. The audit says whether a shortcut "
     "is in the data."),
    ("train", "2 Train",
     "A form with every setting and its help, checked while you type. Launching starts a process "
     "of its own, on the device you pick, or puts it in that device's queue."),
    ("runs", "3 Runs",
     "Everything that runs or ran here, with live curves. A run that was stopped or died is "
     "resumed from its checkpoint."),
    ("tune", "4 Tune",
     "Bayesian optimisation over the settings: trials as they come, and which of the best cannot "
     "be told apart."),
    ("results", "5 Results",
     "Scores with 95 % intervals over groups, and the confusion matrix: Enter on one of its "
     "entries shows the cells behind it."),
    ("explain", "6 Explain",
     "Heat maps of what the model looked at, with a check whether a method shows the model or "
     "only the image."),
    ("predict", "7 Predict",
     "New fields: classed cells drawn in, the composition of each field, a table as CSV."),
    ("system", "8 System", "Devices, disk, versions, and doctor, which says what is missing."),
    ("datasets", "That is all",
     "? explains the screen you are on, ctrl+p finds any command by name, ctrl+o jumps to a part "
     "of the screen. The tour is in the palette too."),
)


class TourScreen(ModalScreen[None]):
    """Lies over the mode of one step; the app opens the next.

    Args:
        step: Its place in `STEPS`.
    """

    PLACE = "tour"
    BINDINGS: ClassVar[list[BindingType]] = bindings("tour")
    CSS = """
    TourScreen { align: center bottom; background: $background 20%; }
    TourScreen > Vertical { width: 76; max-width: 100%; height: auto; margin-bottom: 1;
                            background: $surface; border: round $accent; padding: 0 1; }
    TourScreen .keys { color: $text-muted; }
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def compose(self) -> ComposeResult:
        """A box at the bottom with the text of the step."""
        _, title, text = STEPS[self._step]
        with Vertical() as box:
            box.border_title = f"{title} ({self._step + 1}/{len(STEPS)})"
            yield Static(Text(text), markup=False)
            yield Static(self._keys(), classes="keys", markup=False)

    def on_mount(self) -> None:
        """Offer the demo where the workspace, once it is read, turns out to be empty."""
        keys = self.query_one(".keys", Static)
        self._stemcls.stores_read.subscribe(self, lambda _: keys.update(self._keys()))

    def action_step(self, by: int) -> None:
        """Go on or back; after the last step the tour ends."""
        self._stemcls.tour(max(self._step + by, 0))

    def action_demo(self) -> None:
        """Start the demo as a job, so that there is something to look at."""
        try:
            commandlines.demo(self._stemcls.workspace)
        except (StemclsError, OSError) as error:
            self.app.notify(str(error), title="Not started", severity="error", markup=False)
        else:
            self.app.notify("The demo runs; see 3 Runs.", markup=False)

    def action_end(self) -> None:
        """Close it, for good."""
        self._stemcls.tour(len(STEPS))

    @property
    def _stemcls(self) -> StemclsApp:
        return cast("StemclsApp", self.app)

    def _keys(self) -> str:
        keys = "\nEnter goes on, ← back, esc ends the tour"
        runs, stores = self._stemcls.runs, self._stemcls.stores
        if stores == [] and not (runs and runs.rows):
            keys += ", d starts the demo (minutes, no network)"
        return f"{keys}."
