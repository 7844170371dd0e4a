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
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return small.reshape(size[1], size[0], *image.shape[2:])


def shrunk(image: np.ndarray, longest_px: int) -> np.ndarray:
    """Return an image scaled until its longer edge is `longest_px`; itself if it is no longer."""
    scale = longest_px / max(image.shape[:2])
    return scaled(image, scale) if scale < 1 else image
