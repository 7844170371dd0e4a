"""Scale images by averaging areas, so that nothing aliases."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

_MOST_CHANNELS = 4


def scaled(image: np.ndarray, scale: float) -> np.ndarray:
    """Return an image scaled by averaging areas.

    Args:
        image: (Y, X) or (Y, X, C).
        scale: Pixels of the result per pixel of the image.
    """
    height, width = scaled_shape(image.shape, scale)
    return resized(image, (height, width), cv2.INTER_AREA)


def resized(image: np.ndarray, size_px: tuple[int, int], way: int) -> np.ndarray:
    """Return an image of another size, with any number of channels.

    Args:
        image: (Y, X) or (Y, X, C).
        size_px: Height and width wanted.
        way: How OpenCV interpolates.
    """
    return in_fours(image, lambda part: cv2.resize(part, size_px[::-1], interpolation=way))


def in_fours(image: np.ndarray, work: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return what OpenCV makes of an image, a few channels at a time: it takes four at most.

    Args:
        image: (Y, X) or (Y, X, C).
        work: Takes and returns (Y, X) or (Y, X, c).
    Returns: (Y', X') or (Y', X', C).
    """
    if image.ndim == 2:
        return work(image)
    parts = [
        work(np.ascontiguousarray(image[..., start : start + _MOST_CHANNELS]))
        for start in range(0, image.shape[2], _MOST_CHANNELS)
    ]
    parts = [part.reshape(*part.shape[:2], -1) for part in parts]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def scaled_shape(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Return Y and X of an image of `shape` after `scaled`."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def shrunk(image: np.ndarray, longest_px: int) -> np.ndarray:
    """Return an image scaled until its longer edge is `longest_px`; itself if it is no longer."""
    scale = longest_px / max(image.shape[:2])
    return scaled(image, scale) if scale < 1 else image
