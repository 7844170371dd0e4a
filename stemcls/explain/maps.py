"""What is done to every map alike: enlarge, normalise, fuse, and what stands for nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def upsampled(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Enlarge (N, h, w) maps to (N, height, width) bilinearly, edges aligned, borders repeated."""
    rows = _interpolation(height, maps.shape[1])
    columns = _interpolation(width, maps.shape[2])
    return np.asarray(rows @ maps @ columns.T, dtype=np.float32)


def normalised(maps: np.ndarray) -> np.ndarray:
    """Divide each of (N, H, W) maps by its largest absolute value; a map of zeros stays so.

    Returns: (N, H, W) in [0, 1], or in [-1, 1] where maps hold evidence against a class.
    """
    largest = np.abs(maps).max(axis=(1, 2), keepdims=True)
    return np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)


def fused(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Join the maps of several layers, (N, H, W) each: the mean of the normalised maps.

    The map of a single layer is returned as it is.
    Source: as pytorch-grad-cam joins layers, `BaseCAM.aggregate_multi_layers`.
    """
    if len(maps) == 1:
        return maps[0]
    return np.stack([normalised(one) for one in maps]).mean(axis=0)


def baseline(crops: np.ndarray) -> np.ndarray:
    """Return what stands for "nothing here": the mean colour of each crop.

    Black would be an edge that no cell has wherever the background is grey.

    Args:
        crops: (N, H, W, C).
    Returns: (N, 1, 1, C) float32.
    """
    return crops.mean(axis=(1, 2), keepdims=True, dtype=np.float64).astype(np.float32)


def _interpolation(size: int, source: int) -> np.ndarray:
    """Return (size, source) weights of linear interpolation between pixel centres."""
    centres = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    distance = np.abs(centres[:, None] - np.arange(source)[None, :])
    return np.maximum(1 - distance, 0).astype(np.float32)
