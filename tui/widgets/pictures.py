"""Pictures in the terminal: one with a caption, and a gallery of them with a cursor."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from rich.cells import set_cell_size
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui.commands import bindings
from tui.pixels import as_image, fitted, resized

HALF_CELL = (1, 2)
TILE_SIZES = ((12, 6), (16, 8), (24, 12), (40, 20))
_GAP = 1
_MARKED = Style(reverse=True, bold=True)


class Cell(NamedTuple):
    """A picture of a gallery.

    Attributes:
        pixels: (H, W, C) uint8, C 1 (grey), 2 (red, green) or 3; None where there is none to show.
        caption: One short line below it.
    """

    pixels: np.ndarray | None
    caption: str


def drawn_as(mode: str) -> str:
    """Return how pictures are drawn in a mode of `Settings.pictures`: auto is resolved.

    Only what asked the terminal before the app began can know what it supports; where nobody
    asked (no terminal, half cells wanted at the start) auto means half cells.
    """
    if mode != "auto":
        return mode
    asked = sys.modules.get("textual_image.renderable")
    name = asked.Image.__module__ if asked else ""
    return {"textual_image.renderable.tgp": "kitty", "textual_image.renderable.sixel": "sixel"}.get(
        name, "halfcell"
    )


@lru_cache(maxsize=2**16)
def _half_cell(above: int, below: int) -> Segment:
    """Return `▀` in two colours, each red, green and blue in one number."""
    front, back = (
        Color.from_rgb(packed >> 16, packed >> 8 & 255, packed & 255) for packed in (above, below)
    )
    return Segment("▀", Style.from_color(front, back))


def half_cells(pixels: np.ndarray) -> list[Strip]:
    """Draw (2 x rows, columns, 3) uint8 as rows of `▀`: two pixels above each other in a cell."""
    # The last two bits are not seen, and without them most cells were drawn before.
    coarse = (pixels & 0xFC).astype(np.int32)
    packed = coarse[..., 0] << 16 | coarse[..., 1] << 8 | coarse[..., 2]
    return [
        Strip([_half_cell(*pair) for pair in zip(above, below, strict=True)], pixels.shape[1])
        for above, below in zip(packed[::2].tolist(), packed[1::2].tolist(), strict=True)
    ]


class Picture(Widget):
    """Pixels as large as fits, with a line of text below where a caption is given.

    Args:
        pixels: (H, W, C) uint8, C 1 to 3; None for nothing.
        caption: One line.
        id: Of the widget.
    """

    DEFAULT_CSS = """
    Picture { height: 1fr; width: 1fr; }
    Picture > * { width: 1fr; height: 1fr; margin: 0 0 1 0; }
    """

    pixels: reactive[np.ndarray | None] = reactive(None, always_update=True, init=False)
    caption: reactive[str] = reactive("")
    marked: reactive[bool] = reactive(False)

    def __init__(
        self, pixels: np.ndarray | None = None, caption: str = "", id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.set_reactive(Picture.pixels, pixels)
        self.set_reactive(Picture.caption, caption)
        self._drawn_for: tuple[int, int, int] | None = None
        self._strips: list[Strip] = []
        self._kept: Any = None  # what the terminal keeps a copy of

    @property
    def _way(self) -> str:
        settings = getattr(self.app, "settings", None)
        return drawn_as(settings.pictures if settings else "auto")

    def compose(self) -> ComposeResult:
        """Sixels need a widget of their own; everything else is drawn here."""
        if self._way == "sixel":
            from textual_image.widget import SixelImage

            yield SixelImage(None if self.pixels is None else as_image(self.pixels))

    def watch_pixels(self, pixels: np.ndarray | None) -> None:
        """Draw anew."""
        if self._way == "sixel":
            from textual_image.widget import SixelImage

            for child in self.query(SixelImage):
                child.image = None if pixels is None else as_image(pixels)

    def render_line(self, y: int) -> Strip:
        """A line of the picture; the last one is the caption."""
        columns, rows = self.size
        captioned = bool(self.caption or self.marked)
        if captioned and y == rows - 1:
            text = f"{'▶' if self.marked else ' '}{self.caption}"
            style = self.rich_style + _MARKED if self.marked else self.rich_style
            return Strip([Segment(set_cell_size(text, columns), style)], columns)
        strips = self._drawing(columns, rows - captioned)
        if y >= len(strips):
            return Strip.blank(columns, self.rich_style)
        return strips[y].extend_cell_length(columns, self.rich_style)

    def _drawing(self, columns: int, rows: int) -> list[Strip]:
        key = (id(self.pixels), columns, rows)
        if key != self._drawn_for:
            self._forget()
            way = self._way
            if self.pixels is not None and columns > 0 < rows and way in ("kitty", "halfcell"):
                draw = self._for_kitty if way == "kitty" else self._in_half_cells
                self._strips = draw(self.pixels, columns, rows)
            self._drawn_for = key
        return self._strips

    def _in_half_cells(self, pixels: np.ndarray, columns: int, rows: int) -> list[Strip]:
        wide, high = fitted(pixels.shape, columns, rows, HALF_CELL)
        return half_cells(self.finish(resized(pixels, wide, 2 * high)))

    def finish(self, pixels: np.ndarray) -> np.ndarray:
        """Return what is drawn in half cells; for lines that must not be averaged away."""
        return pixels

    def _for_kitty(self, pixels: np.ndarray, columns: int, rows: int) -> list[Strip]:
        from textual_image._terminal import get_cell_size
        from textual_image.renderable.tgp import Image

        wide, high = fitted(pixels.shape, columns, rows, get_cell_size())
        self._kept = Image(as_image(pixels), wide, high)
        lines = Segment.split_lines(self.app.console.render(self._kept))
        return [Strip(line, wide) for line in lines]

    def _forget(self) -> None:
        """Free what the terminal keeps of the picture."""
        if self._kept is not None:
            self._kept.cleanup()
        self._kept, self._strips, self._drawn_for = None, [], None

    def on_unmount(self) -> None:
        """Free what the terminal keeps of the picture."""
        self._forget()


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
