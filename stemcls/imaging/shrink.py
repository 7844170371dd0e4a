"""Scale images by averaging areas, so that nothing aliases."""

from __future__ import annotations

import cv2
import numpy as np


def scaled(image: np.ndarray, scale: float) -> np.ndarray:
    """Return an image scaled by averaging areas.

    Args:
        image: (Y, X) or (Y, X, C).
        scale: Pixels of the result per pixel of the image.
    """
    height, width = scaled_shape(image.shape, scale)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return small.reshape(height, width, *image.shape[2:])


def scaled_shape(shape: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Return Y and X of an image of `shape` after `scaled`."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def shrunk(image: np.ndarray, longest_px: int) -> np.ndarray:
    """Return an image scaled until its longer edge is `longest_px`; itself if it is no longer."""
    scale = longest_px / max(image.shape[:2])
    return scaled(image, scale) if scale < 1 else image
