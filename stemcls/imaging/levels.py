"""Find the range of a slice's pixels, and map ranges to 8 bit."""

from __future__ import annotations

import cv2
import numpy as np

PERCENTILES = (0.1, 99.9)
_HISTOGRAM_PIXELS = 2**24  # OpenCV counts in float32, exact up to here
_BINS = {np.dtype(np.uint8): 256, np.dtype(np.uint16): 65536}


def percentile_range(plane: np.ndarray, percentiles: tuple[float, float]) -> tuple[float, float]:
    """Return two percentiles of a plane, the very numbers of `numpy.percentile`.

    8-bit and 16-bit planes are counted rather than sorted, some twenty times faster.

    Args:
        plane: (Y, X).
        percentiles: 0 to 100, low and high.
    """
    if plane.dtype not in _BINS:
        low, high = np.percentile(plane, percentiles)
        return float(low), float(high)
    below = np.cumsum(_histogram(plane))
    return _percentile(below, percentiles[0]), _percentile(below, percentiles[1])


def visible_range(plane: np.ndarray, percentiles: tuple[float, float]) -> tuple[float, float]:
    """Return `percentile_range`, or least and most where only a few pixels differ."""
    low, high = percentile_range(plane, percentiles)
    if high <= low:
        low, high = float(plane.min()), float(plane.max())
    return low, high


def to_8_bit(plane: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map low to 0 and high to 255, clipped and rounded; all 0 where the range is empty.

    Args:
        plane: (Y, X) of any number type.
    Returns: (Y, X) uint8.
    """
    if high <= low:
        return np.zeros(plane.shape, np.uint8)
    gain = 255.0 / (high - low)
    if plane.dtype in _BINS and low == int(low) and 0 <= low < _BINS[plane.dtype]:
        # OpenCV's subtraction stops at 0, as clipping would, and never leaves the file's own type.
        return cv2.convertScaleAbs(cv2.subtract(plane, low), alpha=gain).reshape(plane.shape)
    scaled = (plane.astype(np.float32) - np.float32(low)) * np.float32(gain)
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _histogram(plane: np.ndarray) -> np.ndarray:
    bins = _BINS[plane.dtype]
    counts = np.zeros(bins, np.int64)
    rows = max(1, _HISTOGRAM_PIXELS // max(plane.shape[1], 1))
    for top in range(0, len(plane), rows):
        block = np.ascontiguousarray(plane[top : top + rows])
        counts += cv2.calcHist([block], [0], None, [bins], [0, bins]).ravel().astype(np.int64)
    return counts


def _percentile(below: np.ndarray, percent: float) -> float:
    """Interpolate between order statistics as numpy does (Hyndman and Fan 1996, type 7)."""
    place = (int(below[-1]) - 1) * (percent / 100)
    first = int(np.floor(place))
    part = place - first
    a = float(np.searchsorted(below, first, side="right"))
    b = float(np.searchsorted(below, min(first + 1, int(below[-1]) - 1), side="right"))
    return a + (b - a) * part if part < 0.5 else b - (b - a) * (1 - part)
