"""A picture in the terminal: kitty, sixel, or half cells of colour."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import numpy as np
from rich.cells import set_cell_size
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui.pixels import as_image, fitted, resized

HALF_CELL = (1, 2)
_MARKED = Style(reverse=True, bold=True)


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
