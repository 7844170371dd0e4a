"""Turn crops and fields of any depth and any number of channels into colours, by one rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Levels = tuple[float, float]
_COLOURS = ("red", "green", "blue")
_LOW_PERCENT, _HIGH_PERCENT = 0.1, 99.9
_MOST_VALUES = 2_000_000


def levels_of(pixels: np.ndarray) -> Levels:
    """Return the values that are shown black and white.

    Args:
        pixels: Of any shape. Values of 8 bits are shown as they are; deeper ones, of which cameras
            use a part only, from their 0.1 to their 99.9 percentile, all channels alike.
    """
    if pixels.dtype == np.uint8:
        return 0.0, 255.0
    if not pixels.size:
        return 0.0, 1.0
    flat = pixels.reshape(-1)
    low, high = np.percentile(
        flat[:: max(1, flat.size // _MOST_VALUES)], [_LOW_PERCENT, _HIGH_PERCENT]
    )
    return float(low), float(high)


def as_colours(pixels: np.ndarray, levels: Levels | None = None) -> np.ndarray:
    """Return red, green and blue, (..., 3) float32 in [0, 1].

    Args:
        pixels: (..., C). One channel is grey, two are red and green, of more the first three are
            red, green and blue; the others are not shown, see `legend_of`.
        levels: What is black and what is white; None: `levels_of` these pixels.
    """
    low, high = levels_of(pixels) if levels is None else levels
    shown = pixels[..., :3].astype(np.float32)
    shown = np.clip((shown - low) / max(high - low, 1e-6), 0, 1)
    return _three(shown)


def to_rgb(pixels: np.ndarray, levels: Levels | None = None) -> np.ndarray:
    """Return red, green and blue as `as_colours` does, as (..., 3) uint8."""
    if pixels.dtype == np.uint8 and levels is None:
        return np.ascontiguousarray(_three(pixels[..., :3]))
    return np.rint(as_colours(pixels, levels) * 255).astype(np.uint8)


def legend_of(channels: Sequence[str]) -> str:
    """Say which channel is which colour; empty where there is nothing to say.

    Args:
        channels: Names, as a store or a model has them.
    """
    if len(channels) == 1 or tuple(channels) == _COLOURS:
        return ""
    shown = ", ".join(f"{colour} {name}" for colour, name in zip(_COLOURS, channels, strict=False))
    hidden = ", ".join(channels[3:])
    return f"{shown}; not shown: {hidden}" if hidden else shown


def _three(values: np.ndarray) -> np.ndarray:
    channels = values.shape[-1]
    if channels == 1:
        return np.repeat(values, 3, axis=-1)
    if channels == 2:
        return np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)
    return values
