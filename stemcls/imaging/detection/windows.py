"""Choose the parts of a field where most stands out, at the size that is looked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stemcls.imaging.background import subtract_background
from stemcls.imaging.detection.cellmap import reduced

_BLOCKS_PER_RADIUS = 2.0
_STANDS_OUT, _MOST = 4.0, 10.0  # noise standard deviations; more does not count for more
_LEAST_NOISE = 0.1  # of block means, in grey levels of an integer file


def rich_windows(
    pixels: np.ndarray, edge_px: int, radius_px: float
) -> Iterator[tuple[tuple[slice, slice], float]]:
    """Yield windows, that with most in it first, and what part of all was seen up to then.

    Args:
        pixels: (C, Y, X).
        edge_px: Edge of a window; a field that is smaller is one window.
        radius_px: Of the cells looked for.
    Yields: Rows and columns, at most `edge_px` each, and the part, above 0 and at most 1, that the
        windows so far hold of all that stands out from the background.
    """
    _, height, width = pixels.shape
    if height <= edge_px and width <= edge_px:
        yield (slice(0, height), slice(0, width)), 1.0
        return
    prominent = _prominence(pixels, radius_px)
    scale = np.array(prominent.shape) / (height, width)
    total = float(prominent.sum())
    places = [(y, x) for y in _starts(height, edge_px) for x in _starts(width, edge_px)]
    left = total
    while places:
        blocks = {place: _blocks(place, edge_px, scale) for place in places}
        top, start = max(places, key=lambda place: float(prominent[blocks[place]].sum()))
        left -= float(prominent[blocks[top, start]].sum())
        prominent[blocks[top, start]] = 0.0
        places.remove((top, start))
        window = slice(top, top + edge_px), slice(start, start + edge_px)
        yield window, 1.0 - left / total if total > left else 1.0


def _prominence(pixels: np.ndarray, radius_px: float) -> np.ndarray:
    """Return (y, x) how far blocks of half a cell differ from the background, in units of noise."""
    _, height, width = pixels.shape
    block = max(1.0, radius_px / _BLOCKS_PER_RADIUS)
    size = max(1, round(width / block)), max(1, round(height / block))
    total = np.zeros((size[1], size[0]), np.float32)
    for plane in pixels:
        small = reduced(plane, size)
        signed, noise = subtract_background(small)
        away = np.abs(signed)
        least = _LEAST_NOISE if plane.dtype.kind in "ui" else 1e-6 * float(away.max()) + 1e-30
        away = np.minimum(away / max(noise, least), _MOST)
        total += np.where(away > _STANDS_OUT, away, 0)
    return total


def _blocks(place: tuple[int, int], edge_px: int, scale: np.ndarray) -> tuple[slice, slice]:
    low, high = (np.rint((np.array(place) + end) * scale).astype(int) for end in (0, edge_px))
    return slice(low[0], high[0]), slice(low[1], high[1])


def _starts(length: int, edge: int) -> list[int]:
    steps = max(1, -(-length // edge))
    return [round(step * (max(0, length - edge)) / max(1, steps - 1)) for step in range(steps)]
