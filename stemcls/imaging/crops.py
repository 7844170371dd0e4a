"""Cut crops around cells and measure them in the raw pixels."""

from __future__ import annotations

import cv2
import numpy as np

from stemcls.errors import InputError, nearest
from stemcls.imaging.field import Field

EDGES = ("drop", "reflect")


def cut_crops(
    image: np.ndarray, centers_px: np.ndarray, crop_px: int, edge: str = "drop"
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square around each centre, without resampling.

    Pixel `crop_px // 2` of a crop is the pixel nearest to the centre.

    Args:
        image: (Y, X, C).
        centers_px: (N, 2) y, x.
        crop_px: Edge S of a crop.
        edge: A crop that leaves the image is dropped, or filled by reflecting the image.
    Returns: (n, S, S, C) in the dtype of the image, and (n,) indices of the centres kept.

    Raises:
        InputError: Crops of no size, an unknown edge rule, or a field too small to reflect.
    """
    if edge not in EDGES:
        raise InputError(f"edge: {edge!r} is not a choice{nearest(edge, EDGES)}")
    if crop_px < 1:
        raise InputError(f"crop_px must be at least 1, found {crop_px}")
    height, width, channels = image.shape
    centers = np.rint(np.asarray(centers_px, dtype=np.float64).reshape(-1, 2)).astype(np.intp)
    start = centers - crop_px // 2
    if edge == "drop":
        kept = np.flatnonzero(
            (start >= 0).all(axis=1) & (start + crop_px <= (height, width)).all(axis=1)
        )
    else:
        inside = ((centers >= 0) & (centers < (height, width))).all(axis=1)
        kept = np.flatnonzero(inside)
        if crop_px > min(height, width):
            raise InputError(
                f"crops of {crop_px} pixels do not fit a field of {height}x{width}, even "
                "reflected; choose a smaller crop_px"
            )
        pad = crop_px // 2 + 1
        image = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
        start = start + pad
    crops = np.empty((len(kept), crop_px, crop_px, channels), image.dtype)
    for row, index in enumerate(kept):
        y, x = start[index]
        crops[row] = image[y : y + crop_px, x : x + crop_px]
    return crops, kept


def mean_intensity(field: Field, centers_px: np.ndarray, radius_px: np.ndarray) -> np.ndarray:
    """Measure the mean raw value of every channel inside each cell's disc.

    Args:
        centers_px: (N, 2) y, x.
        radius_px: (N,).
    Returns: (N, C) float32; NaN for a disc that lies wholly outside of the field.
    """
    channels, height, width = field.pixels.shape
    centers = np.asarray(centers_px, dtype=np.float64).reshape(-1, 2)
    radii = np.broadcast_to(np.asarray(radius_px, dtype=np.float64), len(centers))
    means = np.full((len(centers), channels), np.nan, np.float32)
    for row, ((y, x), radius) in enumerate(zip(centers, radii, strict=True)):
        reach = max(radius, 0.5**0.5)  # the nearest pixel at least
        top, bottom = max(0, int(np.ceil(y - reach))), min(height, int(y + reach) + 1)
        left, right = max(0, int(np.ceil(x - reach))), min(width, int(x + reach) + 1)
        if top >= bottom or left >= right:
            continue
        grid_y, grid_x = np.ogrid[top:bottom, left:right]
        inside = (grid_y - y) ** 2 + (grid_x - x) ** 2 <= reach**2
        if inside.any():
            patch = field.pixels[:, top:bottom, left:right]
            means[row] = patch[:, inside].mean(axis=1, dtype=np.float64)
    return means


def resize_whole(image: np.ndarray, crop_px: int) -> np.ndarray:
    """Make one crop of a whole image; other proportions are squeezed.

    Args:
        image: (Y, X, C) uint8 or uint16.
        crop_px: Edge S.
    Returns: (S, S, C); the image itself where it has that size already.
    """
    height, width, channels = image.shape
    if (height, width) == (crop_px, crop_px):
        return image
    way = cv2.INTER_AREA if crop_px < min(height, width) else cv2.INTER_CUBIC
    resized = cv2.resize(image, (crop_px, crop_px), interpolation=way)
    return resized.reshape(crop_px, crop_px, channels)
