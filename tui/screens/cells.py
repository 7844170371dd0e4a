"""The cells of one entry of a confusion matrix: pictures, saliency, where they come from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from stemcls.errors import StemclsError
from stemcls.runs import Run
from tui.commands import bindings
from tui.drawing import bar
from tui.exports import EXPORTS, write_export
from tui.maps import Explained, maps_of_rows, overlaid, read_maps
from tui.pixels import as_rgb, levels_of, stretched
from tui.scored import Origin, Scored
from tui.screens.mode import ModeScreen
from tui.widgets.gallery import Cell, Gallery
from tui.widgets.pictures import Picture

PAGE = 200
_SHOWN_CLASSES = 6


@dataclass(frozen=True, eq=False)
class Entry:
    """The crops of one true and one predicted class.

    Attributes:
        run: Whose.
        scored: Its predictions.
        origin: Where the crops are.
        truth, predicted: Indices of classes.
    """

    run: Run
    scored: Scored
    origin: Origin
    truth: int
    predicted: int

    @property
    def title(self) -> str:
        """The entry as words."""
        names = self.scored.classes
        return f"{names[self.truth]} called {names[self.predicted]}"


class CellsScreen(ModeScreen):
    """Pictures of the cells of an entry, surest first, and all that is known of one of them.

    Args:
        entry: Which.
    """

    MODE = "results"
    PLACE = "cells"
    BINDINGS: ClassVar[list[BindingType]] = bindings("cells")
    CSS = """
    #cells-note { height: auto; max-height: 3; padding: 0 1; }
    #cell-side { width: 40%; max-width: 60; border-left: solid $panel; padding: 0 1; }
    #cell-pictures { height: 1fr; max-height: 16; }
    #cell-about { height: auto; max-height: 60%; overflow-y: auto; }
    #cell-saliency.-none { display: none; }
    """

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self._entry = entry
        self._places = entry.scored.entry(entry.truth, entry.predicted)
        self._page = 0
        self._pixels: list[np.ndarray | None] = []
        self._maps: dict[int, list[tuple[Explained, int]]] | None = None
        self._method = ""
        self._group_names = entry.origin.group_names()

    def compose_body(self) -> ComposeResult:
        """Title, gallery beside the details of one cell."""
        yield Static("", id="cells-title", classes="title", markup=False)
        yield Static(self._entry.origin.note, id="cells-note", markup=False)
        with Horizontal():
            yield Gallery(id="cells-gallery")
            with Vertical(id="cell-side"):
                with Horizontal(id="cell-pictures"):
                    yield Picture(id="cell-crop")
                    yield Picture(id="cell-saliency")
                yield Static("", id="cell-about", markup=False)

    def on_mount(self) -> None:
        """Show the first page."""
        self.query_one("#cells-note").display = bool(self._entry.origin.note)
        self.query_one("#cell-crop").display = self._entry.origin.store is not None
        self.query_one("#cell-saliency").add_class("-none")
        self.query_one(Gallery).focus()
        if len(self._places):
            self._turn_to(0)
        else:
            self.query_one("#cells-title", Static).update(self._entry.title)
            self.query_one("#cell-about", Static).update("No cell is in this entry.")

    @work(exclusive=True)
    async def _turn_to(self, page: int, index: int = 0) -> None:
        places = self._places[page * PAGE : (page + 1) * PAGE]
        rows = self._entry.scored.predictions.rows[places]
        if self._maps is None:
            self._maps = await asyncio.to_thread(self._read_maps)
        try:
            pixels = await asyncio.to_thread(self._read_crops, rows)
            problem = ""
        except (StemclsError, OSError, IndexError, ValueError) as error:
            pixels, problem = [None] * len(rows), f"The crops cannot be read: {error}"
        if not self.is_shown:
            return
        self._page, self._pixels = page, pixels
        if problem:
            self.query_one("#cells-note", Static).update(problem)
            self.query_one("#cells-note").display = True
        cells = [
            Cell(crop, f"{self._entry.scored.score[place]:.2f} {row}{self._salient(row)}")
            for crop, place, row in zip(pixels, places, rows.tolist(), strict=True)
        ]
        first = page * PAGE
        total = len(self._places)
        on = f", {first + 1} to {first + len(cells)} here" if total > PAGE else ""
        self.query_one("#cells-title", Static).update(
            f"{self._entry.title}: {total} {'cell' if total == 1 else 'cells'}, surest first{on}"
        )
        self.query_one(Gallery).show(cells, index)

    def _read_crops(self, rows: np.ndarray) -> list[np.ndarray | None]:
        store = self._entry.origin.store
        if store is None:
            return [None] * len(rows)
        crops = store.read(rows)
        if crops.dtype != np.uint8:
            crops = stretched(crops, levels_of(crops))
        return list(crops)

    def _read_maps(self) -> dict[int, list[tuple[Explained, int]]]:
        origin = self._entry.origin
        stores = {str(origin.named)} | ({str(origin.store.path)} if origin.store else set())
        return maps_of_rows(self._entry.run.path, stores)

    def _salient(self, row: int) -> str:
        return " *" if row in (self._maps or {}) else ""

    @property
    def _position(self) -> int | None:
        """Position of the cell under the cursor in the predictions."""
        at = self._page * PAGE + self.query_one(Gallery).index
        return int(self._places[at]) if at < len(self._places) else None

    def on_gallery_moved(self, event: Gallery.Moved) -> None:
        """Say what is known of the cell."""
        if event.index < len(self._pixels):
            pixels = self._pixels[event.index]
            picture = self.query_one("#cell-crop", Picture)
            picture.pixels = None if pixels is None else as_rgb(pixels)
            self._describe()

    def on_gallery_beyond(self, event: Gallery.Beyond) -> None:
        """Go on to the next page."""
        page = self._page + event.step
        if 0 <= page * PAGE < len(self._places):
            self._turn_to(page, 0 if event.step > 0 else -1)

    def action_method(self) -> None:
        """Show the next method's map of this cell."""
        names = self._methods()
        if not names:
            self.app.notify(
                f"No map of this cell: stemcls explain {self._entry.run.name} --rows ... "
                "makes one (a * marks cells that have some).", markup=False,
            )
            return
        at = names.index(self._method) if self._method in names else 0
        self._method = names[(at + 1) % len(names)]
        self._describe()

    def _methods(self) -> list[str]:
        return list(dict.fromkeys(name for name, _, _ in self._explained()))

    def _explained(self) -> Iterator[tuple[str, Explained, int]]:
        position = self._position
        if position is not None:
            row = int(self._entry.scored.predictions.rows[position])
            for explained, place in (self._maps or {}).get(row, ()):
                for name in explained.methods:
                    yield name, explained, place

    @work(exclusive=True, group="describe")
    async def _describe(self) -> None:
        position = self._position
        if position is not None:
            said = await self._show_saliency()
            if not self.is_shown:
                return
            self.query_one("#cell-about", Static).update(self._about(position, said))

    async def _show_saliency(self) -> str:
        """Show the map of the cell, and return what there is to say of it."""
        found: dict[str, tuple[Explained, int]] = {}
        for name, explained, place in self._explained():
            found.setdefault(name, (explained, place))  # the newest comes first
        picture = self.query_one("#cell-saliency", Picture)
        picture.set_class(not found, "-none")
        if not found:
            return ""
        name = self._method if self._method in found else next(iter(found))
        explained, place = found[name]
        try:
            maps = await asyncio.to_thread(read_maps, explained.path, name, [place])
        except StemclsError as error:
            picture.add_class("-none")
            return str(error)
        picture.pixels = overlaid(maps.crops[0], maps.heatmaps[0])
        more = f" (m: {len(found) - 1} more)" if len(found) > 1 else ""
        return f"{name}, pixel score {maps.pixel_score[0]:.3f}{more}"

    def _about(self, position: int, saliency: str) -> Text:
        scored, origin = self._entry.scored, self._entry.origin
        predictions = scored.predictions
        row, group = int(predictions.rows[position]), int(predictions.groups[position])
        text = Text()
        text.append(f"row {row}  score {scored.score[position]:.3f}\n", "bold")
        probabilities = predictions.probabilities[position]
        for number in np.argsort(-probabilities)[:_SHOWN_CLASSES].tolist():
            share = float(probabilities[number])
            mark = " true" if number == self._entry.truth else ""
            text.append(f"{share:.3f} {bar(share, 8):<8} {scored.classes[number]}{mark}\n")
        text.append(f"group {self._group_names.get(group, group)}\n")
        store = origin.store
        if store is not None and row < len(store):
            y, x = store.centers_px[row]
            text.append(f"field {store.fields.path[store.field_index[row]]}\n")
            text.append(f"at y {y:.0f}, x {x:.0f} px, radius {store.radius_px[row]:.1f} px\n")
        if saliency:
            text.append(f"map {saliency}\n")
        return text

    def action_export(self) -> None:
        """Write every cell of the entry as a table."""
        scored, store = self._entry.scored, self._entry.origin.store
        predictions = scored.predictions
        columns = ["row", "truth", "predicted", "score", *(f"p_{name}" for name in scored.classes),
                   "group", *(("field", "y_px", "x_px") if store is not None else ())]
        rows = []
        for place in self._places.tolist():
            row, group = int(predictions.rows[place]), int(predictions.groups[place])
            line: list[object] = [
                row, scored.classes[self._entry.truth], scored.classes[self._entry.predicted],
                f"{scored.score[place]:.6f}",
                *(f"{value:.6f}" for value in predictions.probabilities[place]),
                self._group_names.get(group, group),
            ]
            if store is not None:
                y, x = store.centers_px[row]
                line += [store.fields.path[store.field_index[row]], f"{y:.2f}", f"{x:.2f}"]
            rows.append(line)
        name = f"{self._entry.run.name}-{self._entry.title}"
        try:
            path = write_export(self.stemcls.workspace, name, columns, rows)
        except OSError as error:
            self.app.notify(str(error), severity="error", markup=False)
        else:
            self.app.notify(f"{EXPORTS}/{path.name}", title="Written", markup=False)

    def action_back(self) -> None:
        """Return to the matrix."""
        self.dismiss(None)
