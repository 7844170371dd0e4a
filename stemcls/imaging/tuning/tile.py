"""Draw a part of a field, small, with every cell marked by whether it is right."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from stemcls.imaging.field import Detections, Field
from stemcls.imaging.overlay import class_color
from stemcls.imaging.tuning.scoring import FieldScore, KnownCells
from stemcls.imaging.tuning.viewable import viewable

TILE_PX = 320
HIT, FALSE, MISSED = class_color(0), class_color(1), class_color(3)
_LEAST_CELL_PX = 22.0  # diameter of a cell on the sheet, below which outlines run into each other
_MOST_ZOOM = 2.0


@dataclass(frozen=True)
class Window:
    """The part of a field that is shown.

    Attributes:
        top, left, height, width: In pixels of the field.
        scale: Pixels of the sheet per pixel of the field.
        whole: Whether it is all of the field.
    """

    top: int
    left: int
    height: int
    width: int
    scale: float
    whole: bool

    def caption(self, shape: tuple[int, int]) -> str:
        """Say which part of a field of `shape` (Y, X) is shown, and how large."""
        height, width = shape
        full = f"{width} x {height} px"
        part = f"all of {full}" if self.whole else f"centre {self.width} x {self.height} of {full}"
        return f"{part}, shown at {self.scale:.2g} x"


def choose_window(shape: tuple[int, int], diameter_px: float) -> Window:
    """Show the whole field where its cells stay large enough to judge, else its centre.

    Cells are at least 22 pixels wide on the sheet, and nothing is magnified more than twice.

    Args:
        shape: Y and X of the field.
        diameter_px: Usual diameter of a cell.
    """
    height, width = shape
    least_scale = min(_LEAST_CELL_PX / max(diameter_px, 1.0), _MOST_ZOOM)
    scale = min(max(TILE_PX / max(height, width), least_scale), _MOST_ZOOM)
    edge = round(TILE_PX / scale)
    shown_y, shown_x = min(height, edge), min(width, edge)
    return Window(
        (height - shown_y) // 2, (width - shown_x) // 2, shown_y, shown_x, scale,
        whole=(shown_y, shown_x) == (height, width),
    )


def picture_of(field: Field, window: Window) -> np.ndarray:
    """Return (y, x, 3) uint8: the window at its scale, as `viewable` shows it."""
    rows = slice(window.top, window.top + window.height)
    columns = slice(window.left, window.left + window.width)
    part = replace(field, pixels=field.pixels[:, rows, columns])
    size = (
        min(TILE_PX, max(1, round(window.width * window.scale))),
        min(TILE_PX, max(1, round(window.height * window.scale))),
    )
    smaller = window.scale < 1
    small = cv2.resize(
        viewable(part), size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    )
    return np.ascontiguousarray(small if small.ndim == 3 else np.repeat(small[..., None], 3, 2))


def draw_tile(
    picture: np.ndarray,
    window: Window,
    cells: Detections,
    score: FieldScore | None = None,
    known: KnownCells | None = None,
) -> np.ndarray:
    """Return the picture with every cell marked; with a score, by whether it is right.

    Args:
        picture: From `picture_of`; left as it is.
        window: What the picture shows.
        cells: Found in the whole field.
        score: Of the whole field.
        known: What it was scored against.
    """
    canvas = picture.copy()
    right = np.ones(len(cells), bool)
    missed = np.zeros((0, 2))
    if score is not None and known is not None:
        right = np.isin(np.arange(len(cells)), score.matching.pairs[:, 0])
        missed = np.delete(known.centers_px, score.matching.pairs[:, 1], axis=0)
    typical = float(np.median(cells.radius_px)) if len(cells) else 8 / window.scale
    for (y, x), radius, hit in zip(cells.centers_px, cells.radius_px, right, strict=True):
        mark = "circle" if hit else "crossed"
        draw_mark(canvas, _placed(y, x, window), radius * window.scale, mark, HIT if hit else FALSE)
    for y, x in missed:
        draw_mark(canvas, _placed(y, x, window), typical * window.scale, "square", MISSED)
    return canvas


def draw_mark(
    canvas: np.ndarray, at: tuple[float, float], radius: float, mark: str, color: tuple[int, ...]
) -> None:
    """Draw a circle, a crossed circle or a square.

    Args:
        canvas: (Y, X, 3) uint8, drawn on.
        at: x, y of its middle.
        radius: Pixels.
        mark: circle, crossed or square.
        color: Red, green, blue.
    """
    x, y, r = (round(value * 16) for value in (*at, radius))
    reach = round(r * 0.7)
    low, high = (x - reach, y - reach), (x + reach, y + reach)
    # A dark line below shows on any background; it would dim a single smooth coloured one.
    for ink, thick in (((0, 0, 0), 2), (color, 1), (color, 1)):
        if mark == "square":
            cv2.rectangle(canvas, low, high, ink, thick, cv2.LINE_AA, shift=4)
            continue
        cv2.circle(canvas, (x, y), r, ink, thick, cv2.LINE_AA, shift=4)
        if mark == "crossed":
            cv2.line(canvas, low, high, ink, thick, cv2.LINE_AA, shift=4)


def _placed(y: float, x: float, window: Window) -> tuple[float, float]:
    """Return x, y on the tile of a place in the field."""
    return (
        (float(x) + 0.5 - window.left) * window.scale - 0.5,
        (float(y) + 0.5 - window.top) * window.scale - 0.5,
    )
