"""Pictures side by side with captions, a cursor, and sizes to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from textual.binding import BindingType
from textual.containers import Container
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from tui.commands import bindings
from tui.widgets.pictures import Picture, drawn_as

TILE_SIZES = ((12, 6), (16, 8), (24, 12), (40, 20))
_GAP = 1


class Cell(NamedTuple):
    """A picture of a gallery.

    Attributes:
        pixels: (H, W, C) uint8, C 1 (grey), 2 (red, green) or 3; None where there is none to show.
        caption: One short line below it.
    """

    pixels: np.ndarray | None
    caption: str


class Gallery(Container, can_focus=True):
    """Pictures in rows and columns with a cursor; only those on the screen are widgets.

    Args:
        cells: What it shows; `show` changes it.
        id: Of the widget.
    """

    PLACE = "gallery"
    BINDINGS: ClassVar[list[BindingType]] = bindings("gallery")
    DEFAULT_CSS = """
    Gallery { height: 1fr; width: 1fr; layout: grid; overflow: hidden; grid-gutter: 0 1; }
    Gallery > Picture { width: 100%; height: 100%; }
    """

    class Moved(Message):
        """The cursor came to the cell of this index; also after `show` of some cells."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    class Chosen(Message):
        """Enter or a click on the cell under the cursor."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    class Beyond(Message):
        """The cursor was moved past the last cell (step 1) or before the first (step -1)."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, cells: Sequence[Cell] = (), id: str | None = None) -> None:
        super().__init__(id=id)
        self.cells: list[Cell] = list(cells)
        self.index = 0
        self._first_row = 0
        self._zoom = 1
        self._shape = (1, 1)

    def show(self, cells: Sequence[Cell], index: int = 0) -> None:
        """Show other cells, the cursor on one of them (-1: the last)."""
        self.cells = list(cells)
        self._first_row = 0
        self.index = 0
        self._move_to(index % len(self.cells) if self.cells else 0)

    @property
    def tile(self) -> tuple[int, int]:
        """Columns and rows of a picture with its caption."""
        settings = getattr(self.app, "settings", None)
        columns, rows = TILE_SIZES[self._zoom]
        off = settings is not None and drawn_as(settings.pictures) == "off"
        return columns, 1 if off else rows + 1

    def on_mount(self) -> None:
        """Say where the cursor is."""
        if self.cells:
            self.post_message(self.Moved(self.index))

    async def on_resize(self) -> None:
        """Lay out as many tiles as fit."""
        await self._lay_out()

    async def _lay_out(self) -> None:
        columns, rows = self.tile
        down = max(1, self.size.height // rows)
        if rows > 1:  # pictures grow until their rows fill the height
            grown = max(rows, self.size.height // down)
            columns, rows = columns + 2 * (grown - rows), grown
        across = max(1, (self.size.width + _GAP) // (columns + _GAP))
        self._shape = across, down
        self.styles.grid_size_columns = across
        self.styles.grid_size_rows = down
        self.styles.grid_columns = f"{columns}"
        self.styles.grid_rows = f"{rows}"
        tiles = list(self.query(Picture))
        wanted = across * down
        if len(tiles) > wanted:
            for tile in tiles[wanted:]:
                await tile.remove()
        elif len(tiles) < wanted:
            await self.mount_all([Picture() for _ in range(wanted - len(tiles))])
        self._paint()

    def _paint(self) -> None:
        across, down = self._shape
        row = self.index // across
        self._first_row = min(max(self._first_row, row - down + 1), row)
        first = self._first_row * across
        for place, tile in enumerate(self.query(Picture)):
            number = first + place
            there = number < len(self.cells)
            cell = self.cells[number] if there else Cell(None, "")
            if tile.pixels is not cell.pixels:
                tile.pixels = cell.pixels
            tile.caption = cell.caption
            tile.marked = there and number == self.index

    def _move_to(self, index: int) -> None:
        self.index = index
        self._paint()
        if self.cells:
            self.post_message(self.Moved(index))

    def action_move(self, columns: int, rows: int) -> None:
        """Move the cursor by so many columns and rows."""
        self._step(columns + rows * self._shape[0])

    def action_page(self, step: int) -> None:
        """Move the cursor by a screen of pictures."""
        self._step(step * self._shape[0] * self._shape[1])

    def _step(self, by: int) -> None:
        wanted, last = self.index + by, len(self.cells) - 1
        if last < 0:
            return
        if 0 <= wanted <= last:
            self._move_to(wanted)
        elif self.index in (0, last) and self.index == (last if by > 0 else 0):
            self.post_message(self.Beyond(1 if by > 0 else -1))
        else:
            self._move_to(min(max(wanted, 0), last))

    async def action_zoom(self, step: int) -> None:
        """Make the pictures larger or smaller."""
        self._zoom = min(max(self._zoom + step, 0), len(TILE_SIZES) - 1)
        await self._lay_out()

    def action_choose(self) -> None:
        """Choose the cell under the cursor."""
        if self.cells:
            self.post_message(self.Chosen(self.index))

    def on_click(self, event: Click) -> None:
        """Go to the clicked cell; a click on the one under the cursor chooses it."""
        tiles = list(self.query(Picture))
        clicked = event.widget
        while clicked is not None and clicked not in tiles:
            clicked = clicked.parent if isinstance(clicked.parent, Widget) else None
        if not isinstance(clicked, Picture):
            return
        number = self._first_row * self._shape[0] + tiles.index(clicked)
        if number == self.index:
            self.action_choose()
        elif number < len(self.cells):
            self._move_to(number)
