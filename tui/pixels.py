"""Make pictures of crops that fit a terminal: contrast, colour and size; no Textual here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stemcls.display.colours import to_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

# Of the pixels of a page, per channel: what is below becomes black, what is above white.
_LOW_PERCENT, _HIGH_PERCENT = 0.5, 99.5
_MOST_SAMPLES = 200_000
_AVERAGE = 4  # PIL.Image.Resampling.BOX; PIL is imported only where a picture is made


def levels_of(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the value of each channel that becomes black and the one that becomes white.

    Args:
        pixels: (..., C) of any integer or float type.
    Returns: (C,) and (C,) float64.
    """
    flat = pixels.reshape(-1, pixels.shape[-1])
    step = max(1, len(flat) // _MOST_SAMPLES)
    low, high = np.percentile(flat[::step], (_LOW_PERCENT, _HIGH_PERCENT), axis=0)
    return low, high


def stretched(
    pixels: np.ndarray, levels: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Return `pixels` (..., C) as uint8, each channel stretched from black to white.

    Args:
        pixels: Of any integer or float type.
        levels: From `levels_of`; those of `pixels` themselves where None.
    """
    low, high = levels_of(pixels) if levels is None else levels
    share = (pixels - low) / np.maximum(high - low, 1e-9)
    return np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 of (H, W) or (H, W, C), coloured by the rule of all pictures."""
    return to_rgb(pixels if pixels.ndim == 3 else pixels[..., None])


def fitted(
    shape: tuple[int, ...], columns: int, rows: int, cell: tuple[int, int]
) -> tuple[int, int]:
    """Return the columns and rows that a picture fills, its proportions kept.

    Args:
        shape: Of the picture, height and width first.
        columns, rows: The room there is.
        cell: Width and height of a cell of the terminal, in any unit.
    """
    ratio = shape[1] / max(shape[0], 1) * cell[1] / cell[0]
    if ratio * rows <= columns:
        return max(1, round(ratio * rows)), rows
    return columns, max(1, round(columns / ratio))


def resized(pixels: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Return `pixels` at another size, as (height_px, width_px, 3) uint8."""
    # A reducing average keeps dim cells that picking pixels would lose.
    return np.asarray(as_image(pixels).resize((width_px, height_px), _AVERAGE))


def shrunk(pixels: np.ndarray, edge_px: int) -> np.ndarray:
    """Return (H, W, C) pixels, thinned to about `edge_px` at most by whole steps."""
    step = max(1, -(-max(pixels.shape[:2]) // edge_px))
    return np.ascontiguousarray(pixels[::step, ::step])


def as_image(pixels: np.ndarray) -> Image:
    """Return pixels as an RGB picture of PIL."""
    from PIL import Image as Pictures

    return Pictures.fromarray(as_rgb(pixels))
