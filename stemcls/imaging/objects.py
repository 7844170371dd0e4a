"""Tell whether an image shows one object in its middle, as a ready-made crop does."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stemcls.imaging.shrink import scaled_shape

_EDGE_PX = 96  # images are looked at in this size
_BLUR = 0.025  # of the edge
_ALIKE = 0.3  # of the largest object's area, from which another one counts
_MIDDLE, _RIM = 0.35, 0.8  # of half the edge
_LEAST_PX = 8  # of an edge, below which there is no middle
_TINY = 1e-6


@dataclass(frozen=True)
class Objects:
    """What stands out in an image.

    Attributes:
        inside: Objects that do not touch the image's edge, of about the size of the largest.
        centred: How much more of the middle than of the rim is object, -1 to 1.
    """

    inside: int
    centred: float


def find_objects(pixels: np.ndarray) -> Objects:
    """Look for what stands out by its level or its texture, in the slice where it is clearest.

    Args:
        pixels: (C, Y, X).
    """
    found = [pair for plane in pixels for pair in _found(plane)]
    return max(found, key=lambda pair: pair[0])[1] if found else Objects(0, 0.0)


def _found(plane: np.ndarray) -> list[tuple[float, Objects]]:
    """Return, for level and texture, how clearly objects part from the rest, and the objects."""
    scale = min(1.0, _EDGE_PX / max(plane.shape))
    height, width = scaled_shape(plane.shape, scale)
    small = cv2.resize(plane.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    blur = max(1.0, _BLUR * max(small.shape))
    away = cv2.GaussianBlur(np.abs(small - np.median(small)), (0, 0), blur)
    mean = cv2.GaussianBlur(small, (0, 0), blur)
    texture = np.sqrt(cv2.GaussianBlur((small - mean) ** 2, (0, 0), blur))
    found = []
    for one in (away, texture):
        low, high = np.percentile(one, (1, 99))
        if high - low < _TINY:
            continue
        levels = np.clip((one - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
        _, mask = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        share = float(mask.mean())
        if not 0 < share < 1:
            continue
        gap = float(levels[mask > 0].mean()) - float(levels[mask == 0].mean())
        clear = share * (1 - share) * gap**2 / max(float(levels.var()), _TINY)
        found.append((clear, Objects(_whole(mask), _centred(mask))))
    return found


def _whole(mask: np.ndarray) -> int:
    """Count objects of a (Y, X) uint8 mask that lie inside it."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    boxes = stats[1:]
    area = boxes[:, cv2.CC_STAT_AREA]
    left, top = boxes[:, cv2.CC_STAT_LEFT], boxes[:, cv2.CC_STAT_TOP]
    right, bottom = left + boxes[:, cv2.CC_STAT_WIDTH], top + boxes[:, cv2.CC_STAT_HEIGHT]
    whole = (left > 0) & (top > 0) & (right < mask.shape[1]) & (bottom < mask.shape[0])
    return int((whole & (area >= _ALIKE * area.max())).sum())


def _centred(mask: np.ndarray) -> float:
    height, width = mask.shape
    if min(height, width) < _LEAST_PX:
        return 0.0
    y, x = np.ogrid[:height, :width]
    out = np.hypot((2 * y + 1 - height) / height, (2 * x + 1 - width) / width)
    square = np.maximum(
        np.abs((2 * y + 1 - height) / height), np.abs((2 * x + 1 - width) / width)
    )
    return float(mask[out < _MIDDLE].mean() - mask[square > _RIM].mean())
