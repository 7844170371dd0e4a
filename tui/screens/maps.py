"""The maps of one explanation: each crop beside what a method says the model looks at."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from stemcls.errors import StemclsError
from tui.commands import bindings
from tui.maps import Explained, Maps, beside, overlaid, read_explained, read_maps
from tui.screens.mode import ModeScreen
from tui.widgets.gallery import Cell, Gallery
from tui.widgets.pictures import Picture

PAGE = 200


class MapsScreen(ModeScreen):
    """Crops and maps of a method, as pictures.

    Args:
        folder: Of the explanation.
        method: Shown first.
    """

    MODE = "explain"
    PLACE = "maps"
    BINDINGS: ClassVar[list[BindingType]] = bindings("maps")
    CSS = """
    #map-large { height: 1fr; display: none; }
    MapsScreen.-large #map-large { display: block; }
    MapsScreen.-large #maps-gallery { height: 8; }
    #maps-note { height: auto; max-height: 3; padding: 0 1; }
    """

    def __init__(self, folder: Path, method: str) -> None:
        super().__init__()
        self._folder = folder
        self._method = method
        self._explained: Explained | None = None
        self._maps: Maps | None = None
        self._page = 0

    def compose_body(self) -> ComposeResult:
        """Title, gallery, one of them large."""
        yield Static("", id="maps-title", classes="title", markup=False)
        yield Static("Reading ...", id="maps-note", markup=False)
        yield Gallery(id="maps-gallery")
        yield Picture(id="map-large")

    def on_mount(self) -> None:
        """Read the first page."""
        self.query_one(Gallery).focus()
        self._turn_to(0)

    @work(exclusive=True)
    async def _turn_to(self, page: int, index: int = 0) -> None:
        note = self.query_one("#maps-note", Static)
        try:
            if self._explained is None:
                self._explained = await asyncio.to_thread(read_explained, self._folder)
            explained = self._explained
            first = page * PAGE
            places = slice(first, min(first + PAGE, len(explained.rows)))
            maps = await asyncio.to_thread(read_maps, explained.path, self._method, places)
        except StemclsError as error:
            if self.is_shown:
                note.update(str(error))
            return
        if not self.is_shown:
            return
        cells = [
            Cell(overlaid(crop, heat), explained.caption(first + at))
            for at, (crop, heat) in enumerate(zip(maps.crops, maps.heatmaps, strict=True))
        ]
        self._page, self._maps = page, maps
        layer = f" at layer {maps.layer}" if maps.layer else ""
        number = explained.methods.index(self._method) + 1
        self.query_one("#maps-title", Static).update(
            f"{self._method} ({number} of {len(explained.methods)}){layer}: "
            f"{len(explained.rows)} cells"
        )
        self.query_one(Gallery).show(cells, index)

    def on_gallery_moved(self, event: Gallery.Moved) -> None:
        """Say more of the cell under the cursor, and keep the large picture on it."""
        maps, explained = self._maps, self._explained
        if maps is None or explained is None or event.index >= len(maps.crops):
            return
        said = explained.in_words(self._page * PAGE + event.index)
        self.query_one("#maps-note", Static).update(
            f"{said}; pixel score {maps.pixel_score[event.index]:.3f}. Enter: larger, esc: smaller."
        )
        picture = self.query_one("#map-large", Picture)
        picture.pixels = beside(maps.crops[event.index], maps.heatmaps[event.index])

    def on_gallery_chosen(self) -> None:
        """Show the cell under the cursor large."""
        self.add_class("-large")

    def on_gallery_beyond(self, event: Gallery.Beyond) -> None:
        """Go on to the next page."""
        page = self._page + event.step
        if self._explained is not None and 0 <= page * PAGE < len(self._explained.rows):
            self._turn_to(page, 0 if event.step > 0 else -1)

    def action_method(self) -> None:
        """Show the same cells by the next method."""
        if self._explained is not None:
            names = self._explained.methods
            at = names.index(self._method) if self._method in names else -1
            self._method = names[(at + 1) % len(names)]
            self._turn_to(self._page, self.query_one(Gallery).index)

    def action_back(self) -> None:
        """From the large picture to all of them, from there to where we came from."""
        if self.has_class("-large"):
            self.remove_class("-large")
        else:
            self.dismiss(None)
