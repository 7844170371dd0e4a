"""A field with its cells circled, to be looked at part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from textual.binding import BindingType

from tui.commands import bindings
from tui.pixels import as_image, as_rgb
from tui.widgets.pictures import Picture, drawn_as

SKY_BLUE = (86, 180, 233)
_MOST_ZOOM = 32
_COMFORTABLE_PX = 320  # edge of what half cells can still show


class Circle(NamedTuple):
    """A cell of a field: centre and radius in its pixels, and the colour of the line."""

    y_px: float
    x_px: float
    radius_px: float
    color: tuple[int, int, int] = SKY_BLUE


class FieldView(Picture, can_focus=True):
    """A picture with a window: + and - change its size, arrows move it."""

    PLACE = "field"
    BINDINGS: ClassVar[list[BindingType]] = bindings("field")
    DEFAULT_CSS = """
    FieldView:focus { background: $panel; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._whole: np.ndarray | None = None
        self._circles: list[Circle] = []
        self._zoom = 0
        self._middle = (0.5, 0.5)

    def show(self, pixels: np.ndarray | None, circles: Sequence[Circle] = ()) -> None:
        """Show another field; where it has the size of the one before the window stays.

        Args:
            pixels: (H, W, C) uint8, or None for nothing.
            circles: In the pixels of that.
        """
        before = None if self._whole is None else self._whole.shape
        self._whole, self._circles = pixels, list(circles)
        if pixels is not None and pixels.shape != before:
            self._middle = (0.5, 0.5)
            self._zoom = 1
            while self._coarse and max(pixels.shape[:2]) / self._zoom > _COMFORTABLE_PX:
                self._zoom *= 2
        if pixels is not None and not self._coarse:
            self._whole = _circled(as_rgb(pixels), self._circles, 1.0)
        self._look()

    @property
    def _coarse(self) -> bool:
        settings = getattr(self.app, "settings", None)
        return drawn_as(settings.pictures if settings else "auto") == "halfcell"

    @property
    def _window(self) -> tuple[slice, slice]:
        assert self._whole is not None
        height, width = self._whole.shape[:2]
        return (_part(height, self._middle[0], self._zoom),
                _part(width, self._middle[1], self._zoom))

    def _look(self) -> None:
        self.pixels = None if self._whole is None else self._whole[self._window]

    def finish(self, pixels: np.ndarray) -> np.ndarray:
        """Draw the circles where half cells show them: after the picture was made small."""
        if self._whole is None or not self._circles:
            return pixels
        rows, columns = self._window
        scale = pixels.shape[1] / (columns.stop - columns.start)
        seen = [
            circle._replace(y_px=circle.y_px - rows.start, x_px=circle.x_px - columns.start)
            for circle in self._circles
        ]
        return _circled(pixels, seen, scale)

    def action_zoom(self, step: int) -> None:
        """Show a smaller or a larger part."""
        zoom = self._zoom * 2 if step > 0 else self._zoom // 2
        self._zoom = min(max(zoom, 1), _MOST_ZOOM)
        self._look()

    def action_pan(self, right: int, down: int) -> None:
        """Move the window by a third of itself."""
        edge = 0.5 / self._zoom
        y, x = (
            min(max(middle + step / self._zoom / 3, edge), 1 - edge)
            for middle, step in zip(self._middle, (down, right), strict=True)
        )
        self._middle = (y, x)
        self._look()


def _part(size_px: int, middle: float, zoom: int) -> slice:
    edge = max(1, size_px // zoom)
    first = min(max(round(middle * size_px - edge / 2), 0), size_px - edge)
    return slice(first, first + edge)


def _circled(pixels: np.ndarray, circles: Sequence[Circle], scale: float) -> np.ndarray:
    from PIL import ImageDraw

    image = as_image(pixels)
    pen = ImageDraw.Draw(image)
    thick = max(1, round(max(pixels.shape[:2]) / 600))
    for y_px, x_px, radius_px, color in circles:
        y, x, radius = ((value * scale) for value in (y_px, x_px, radius_px))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=color, width=thick)
    return np.asarray(image)
