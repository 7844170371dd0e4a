"""One field of a folder with the cells that the settings of the moment find on it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Select, Static

from stemcls.config.options import Option
from stemcls.errors import StemclsError
from tui.preview import find_cells
from tui.widgets.fieldview import Circle, FieldView

LOOK_AFTER_SECONDS = 0.6
SHOWN_IMAGES = 500


class CellPreview(Vertical):
    """A choice of fields, the picture of one, and how many cells there are.

    Args:
        settings: Returns the settings that differ from their defaults. Raises StemclsError with
            what is wrong with them, or why no cells are looked for.
    """

    DEFAULT_CSS = """
    CellPreview { width: 1fr; padding: 0 0 0 1; }
    CellPreview > Static { height: auto; max-height: 6; padding: 0 1; color: $text-muted; }
    CellPreview > Static.-bad { color: $text-error; text-style: bold; }
    """

    def __init__(self, settings: Callable[[], list[tuple[Option, Any]]]) -> None:
        super().__init__()
        self._settings = settings
        self._folder: Path | None = None
        self._timer: Timer | None = None
        self._drawings = tempfile.TemporaryDirectory(prefix="stemcls-preview-")
        self._number = 0

    def compose(self) -> ComposeResult:
        """Choice, picture, count."""
        yield Select[str]([], id="field", prompt="no images yet", compact=True)
        yield FieldView(id="found")
        yield Static("", id="found-told", markup=False)

    def on_unmount(self) -> None:
        """Forget the drawings."""
        self._drawings.cleanup()

    def offer(self, folder: Path | None, files: Sequence[str]) -> None:
        """Let one of these files below a folder be looked at."""
        self._folder = folder
        select = self.query_one("#field", Select)
        select.set_options([(one, one) for one in files[:SHOWN_IMAGES]])
        if files:
            select.value = files[0]

    def on_select_changed(self, event: Select.Changed) -> None:
        """Look at another field."""
        event.stop()
        self.look_soon()

    def look_soon(self) -> None:
        """Find the cells when nothing has changed for a moment."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(LOOK_AFTER_SECONDS, self._look)

    @work(exclusive=True)
    async def _look(self) -> None:
        image = self.query_one("#field", Select).value
        if self._folder is None or not isinstance(image, str) or not self.is_on_screen:
            return
        self._number += 1
        overlay = Path(self._drawings.name) / f"{self._number}.png"
        try:
            settings = self._settings()
            self._tell("Looking for cells ...")
            found = await find_cells(self._folder / image, settings, overlay)
        except (StemclsError, OSError, ValueError, KeyError) as error:
            self._tell(str(error), bad=True)
            return
        circles = [Circle(*row) for row in found.circles.tolist()]
        self.query_one(FieldView).show(found.pixels, circles)
        size = "" if found.radius_px is None else f", median radius {found.radius_px:.1f} px"
        self._tell(f"{len(circles)} cells{size} ({found.seconds:.1f} s)")

    def _tell(self, text: str, bad: bool = False) -> None:
        for told in self.query("#found-told").results(Static):  # none while the app closes
            told.set_class(bad, "-bad")
            told.update(text)
