"""Describe crops by brightness, texture and radial shape, over any part of their pixels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations, pairwise

import cv2
import numpy as np

from stemcls.imaging.shrink import scaled
from stemcls.store.cropstore import CropStore

SEEN_PX = 64
SIGMAS_PX = (0.7, 1.4, 2.8, 5.6)
PERCENTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
RINGS = (0.0, 0.3, 0.6, 1.0, 2.0)
_LEAST = 1e-4
_BLOCK = 256


def simple_features(
    crops: np.ndarray, white: float, mask: np.ndarray | None = None,
    check: Callable[[], None] | None = None,
) -> np.ndarray:
    """Describe crops without any trained weights.

    For each channel: percentiles and spread of the pixels, the slopes of a plane through them, and
    in rings around the centre their mean and the mean size of details at four scales; between
    channels the correlation. A pixel outside of `mask` has no part in any of it: blurs are
    normalised by the mask, and a ring without pixels takes the value of the whole.

    Args:
        crops: (N, H, W, C).
        white: Largest value a pixel can have.
        mask: (N, H, W) bool, the pixels that count; None: all.
        check: Called now and then; may raise.
    Returns: (N, F) float32.
    Source: scale-space details as in Marr and Hildreth 1980; normalised convolution, Knutsson and
        Westin 1993.
    """
    rows = []
    for number, crop in enumerate(crops):
        if check is not None and number % 256 == 0:
            check()
        rows.append(_describe(crop, white, None if mask is None else mask[number]))
    return np.array(rows, np.float32)


def store_features(
    store: CropStore, rows: np.ndarray, mask: np.ndarray | None = None,
    check: Callable[[], None] | None = None,
) -> np.ndarray:
    """Return `simple_features` of rows of a store, a block of crops in memory at a time."""
    white = float(np.iinfo(store.dtype).max)
    parts = []
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        crops = store.read(rows[block])
        parts.append(simple_features(crops, white, None if mask is None else mask[block], check))
    return np.concatenate(parts)


def _describe(crop: np.ndarray, white: float, mask: np.ndarray | None) -> np.ndarray:
    image, weight = _seen(crop.astype(np.float32) / np.float32(white), mask)
    height, width, channels = image.shape
    inside = weight > 0.5
    if not inside.any():
        return np.zeros(_length(channels), np.float32)
    rings = _rings(height, width)
    found: list[np.ndarray] = []
    blurred = [image, *(_blur(image, weight, sigma) for sigma in SIGMAS_PX)]
    details = np.stack([np.abs(a - b) for a, b in pairwise(blurred)])
    pixels = image[inside]
    found.append(np.quantile(pixels, PERCENTILES, axis=0).ravel())
    found.append(np.log(pixels.std(axis=0) + _LEAST))
    found.append(_slopes(image, inside).ravel())
    whole_mean = pixels.mean(axis=0)
    whole_details = details[:, inside].mean(axis=1)
    for low, high in pairwise(RINGS):
        chosen = inside & (rings >= low) & (rings < high)
        some = chosen.any()
        found.append((image[chosen].mean(axis=0) if some else whole_mean) - whole_mean)
        sizes = details[:, chosen].mean(axis=1) if some else whole_details
        found.append(np.log(sizes + _LEAST).ravel())
    found.append(_correlations(pixels))
    return np.concatenate(found)


def _length(channels: int) -> int:
    per_channel = len(PERCENTILES) + 1 + 2 + (len(RINGS) - 1) * (1 + len(SIGMAS_PX))
    return per_channel * channels + channels * (channels - 1) // 2


def _seen(image: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Shrink large crops by averaging, counted pixels only."""
    height, width = image.shape[:2]
    weight = np.ones((height, width), np.float32) if mask is None else mask.astype(np.float32)
    factor = SEEN_PX / max(height, width)
    if factor >= 1:
        return image, weight
    small = scaled(weight, factor)
    return scaled(image * weight[..., None], factor) / np.maximum(small, _LEAST)[..., None], small


def _blur(image: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    edge = cv2.BORDER_REFLECT
    above = cv2.GaussianBlur(image * weight[..., None], (0, 0), sigma, borderType=edge)
    below = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=edge)
    return above.reshape(image.shape) / np.maximum(below, _LEAST)[..., None]


@cache
def _rings(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    dy, dx = (y + 0.5) / height * 2 - 1, (x + 0.5) / width * 2 - 1
    return np.hypot(dy, dx)


def _slopes(image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the (2, C) slopes of the plane of least squares, per half edge."""
    height, width = inside.shape
    y, x = np.nonzero(inside)
    plane = np.stack([np.ones(len(y)), y / height * 2 - 1, x / width * 2 - 1], axis=1)
    solution, *_ = np.linalg.lstsq(plane, image[inside].astype(np.float64), rcond=None)
    return solution[1:]


def _correlations(pixels: np.ndarray) -> np.ndarray:
    centred = pixels - pixels.mean(axis=0)
    norms = np.sqrt((centred**2).sum(axis=0))
    return np.array(
        [
            float(centred[:, a] @ centred[:, b]) / max(float(norms[a] * norms[b]), _LEAST)
            for a, b in combinations(range(pixels.shape[1]), 2)
        ]
    )
