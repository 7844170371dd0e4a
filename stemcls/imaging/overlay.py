"""Draw found cells over their field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from stemcls.atomic import replacing
from stemcls.display.colours import to_rgb
from stemcls.errors import InputError

# Okabe and Ito's eight colours, told apart with every kind of colour vision; black comes last.
_OKABE_ITO = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (0, 0, 0),
)  # fmt: skip
_UNLABELLED = (255, 255, 255)


def class_color(index: int) -> tuple[int, int, int]:
    """Return the red, green and blue (0-255) of class `index`; white for -1, no class."""
    return _UNLABELLED if index < 0 else _OKABE_ITO[index % len(_OKABE_ITO)]


def draw_overlay(
    image: np.ndarray,
    centers_px: np.ndarray,
    radius_px: np.ndarray,
    path: Path,
    labels: np.ndarray | None = None,
    classes: Sequence[str] = (),
    scores: np.ndarray | None = None,
) -> None:
    """Write a PNG of `image` with a circle around each cell.

    Args:
        image: (Y, X, C) uint8 or uint16, shown as `to_rgb` does.
        centers_px: (N, 2) y, x.
        radius_px: (N,).
        path: The PNG file; an existing one is replaced.
        labels: (N,) class of each cell, -1 for none; the circle gets the class's colour.
        classes: Names for the legend; no legend without them.
        scores: (N,) printed beside the cells.

    Raises:
        InputError: The path is no PNG file, or its folder does not exist.
    """
    if path.suffix.lower() != ".png":
        raise InputError(f"an overlay is a PNG file, found {path}; name it {path.stem}.png")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to write {path.name} to; make it first")
    canvas = to_rgb(image)
    thick = max(1, round(max(canvas.shape[:2]) / 800))
    for row, ((y, x), radius) in enumerate(zip(centers_px, radius_px, strict=True)):
        color = class_color(0 if labels is None else int(labels[row]))
        center = (round(float(x) * 16), round(float(y) * 16))
        cv2.circle(canvas, center, round(float(radius) * 16), color, thick, cv2.LINE_AA, shift=4)
        if scores is not None:
            at = (int(x - radius), int(y - radius) - 2)
            _write(canvas, f"{float(scores[row]):.2f}", at, color, 0.35 * thick)
    for row, name in enumerate(classes):
        at = (12 * thick, 18 * thick * (row + 1))
        cv2.circle(canvas, (at[0], at[1] - 4 * thick), 5 * thick, class_color(row), -1, cv2.LINE_AA)
        _write(canvas, name, (at[0] + 10 * thick, at[1]), _UNLABELLED, 0.45 * thick)
    written, data = cv2.imencode(".png", canvas[..., ::-1])
    if not written:
        raise InputError(f"{path} cannot be encoded as PNG, image shape {image.shape}")
    with replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())


def _write(
    canvas: np.ndarray, text: str, at: tuple[int, int], color: tuple[int, int, int], size: float
) -> None:
    """Write text with a dark outline, readable on any background."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(canvas, text, at, font, size, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, at, font, size, color, 1, cv2.LINE_AA)
