"""Cut crops around cells and measure them in the raw pixels."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from stemcls.errors import InputError, check_known
from stemcls.imaging.field import Field
from stemcls.imaging.shrink import in_fours, resized, scaled, scaled_shape

EDGES = ("drop", "reflect")
_SQUEEZED = 0.01  # beyond this difference of the two scales no one pixel size is true
_OPENCV_TYPES = (np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64)


def cut_crops(
    image: np.ndarray, centers_px: np.ndarray, crop_px: int, edge: str = "drop", scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square around each centre.

    Pixel `crop_px // 2` of a crop is the pixel nearest to the centre. Without a scale nothing is
    resampled. A scale below 1 shrinks by averaging areas, so that nothing aliases; above 1 crops
    are enlarged by cubic interpolation.

    Args:
        image: (Y, X, C).
        centers_px: (N, 2) y, x.
        crop_px: Edge S of a crop.
        edge: A crop that leaves the image is dropped, or filled by reflecting the image.
        scale: Pixels of the crop per pixel of the image, see `crop_scale`.
    Returns: (n, S, S, C) in the dtype of the image, and (n,) indices of the centres kept.

    Raises:
        InputError: Crops of no size, an unknown edge rule, or a field too small to reflect.
    """
    check_known(edge, EDGES, f"edge: {edge!r} is not a choice")
    if crop_px < 1:
        raise InputError(f"crop_px must be at least 1, found {crop_px}")
    centers = np.asarray(centers_px, dtype=np.float64).reshape(-1, 2)
    if edge == "reflect" and crop_px > scale * min(image.shape[:2]):
        raise InputError(
            f"crops of {crop_px / scale:.0f} pixels do not fit a field of "
            f"{image.shape[0]}x{image.shape[1]}, even reflected; choose a smaller crop_px or "
            "crop_um"
        )
    if edge == "drop":
        kept = np.flatnonzero(~reaches_over(image.shape[:2], centers, crop_px, scale))
    else:
        ends = np.array(image.shape[:2]) - 0.5
        kept = np.flatnonzero(((centers >= -0.5) & (centers < ends)).all(axis=1))
    if scale > 1:
        return _cut_enlarged(image, centers[kept], crop_px, scale), kept
    if scale < 1:
        centers, _ = _shrunk_centers(centers, image.shape[:2], scale)
        image = scaled(image, scale)
    return _cut_plain(image, centers[kept], crop_px), kept


def crop_scale(field: Field, crop_um: float, crop_px: int) -> float:
    """Return crop pixels per pixel of the field, 1 where crops are not measured in micrometres.

    Args:
        crop_um: Edge of a crop in micrometres; 0: crops are cut pixel by pixel.

    Raises:
        InputError: The pixel size is not known.
    """
    if not crop_um:
        return 1.0
    if not field.pixel_size_um:
        raise InputError(
            f"{field.path} does not say how large its pixels are, so crops of {crop_um:g} um "
            "cannot be cut from it; give the size with --pixel-size-um"
        )
    scale = crop_px * field.pixel_size_um / crop_um
    return 1.0 if abs(scale - 1) < 1e-6 else scale


def reaches_over(
    shape: tuple[int, ...], centers_px: np.ndarray, crop_px: int, scale: float = 1.0
) -> np.ndarray:
    """Tell which crops reach over the edge of a field, (N,) bool: those that edge=drop drops.

    Args:
        shape: Y and X of the field.
        centers_px: (N, 2) y, x.
        crop_px: Edge of a crop.
        scale: Pixels of the crop per pixel of the field.
    """
    centers = np.asarray(centers_px, dtype=np.float64).reshape(-1, 2)
    if scale > 1:
        start = centers - (crop_px // 2 + 0.5) / scale  # outer edges of the crop
        end = start + crop_px / scale
        return np.any((start < -0.5) | (end > np.array(shape) - 0.5), axis=1)
    if scale < 1:
        centers, shape = _shrunk_centers(centers, shape, scale)
    first = np.rint(centers).astype(np.intp) - crop_px // 2
    return np.any((first < 0) | (first + crop_px > np.array(shape)), axis=1)


def _shrunk_centers(
    centers: np.ndarray, shape: tuple[int, ...], scale: float
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return centres in the field that `scaled` makes, and its Y and X."""
    smaller = scaled_shape(shape, scale)
    return (centers + 0.5) * (smaller[0] / shape[0], smaller[1] / shape[1]) - 0.5, smaller


def share_core(centers_px: np.ndarray, crop_px: float, core: float) -> np.ndarray:
    """Tell which crops have another cell's centre in their core, a central square.

    Args:
        centers_px: (N, 2) y, x of all cells of the field.
        crop_px: Edge of a crop in pixels of the field.
        core: Edge of the core as a fraction of the crop's, 0 to 1.
    Returns: (N,) bool; both cells of a pair are told.
    Source: one cell per crop, as in Wang et al. 2023 (uniqueness).
    """
    shared = np.zeros(len(centers_px), bool)
    if not core:
        return shared
    reach = core * crop_px / 2
    order = np.argsort(centers_px[:, 0], kind="stable")
    y, x = centers_px[order].astype(np.float64).T
    ends = np.searchsorted(y, y + reach, side="left")
    for row, end in enumerate(ends):
        near = row + 1 + np.flatnonzero(np.abs(x[row + 1 : end] - x[row]) < reach)
        if len(near):
            shared[order[near]] = shared[order[row]] = True
    return shared


def _cut_plain(image: np.ndarray, centers: np.ndarray, crop_px: int) -> np.ndarray:
    height, width, channels = image.shape
    start = np.rint(centers).astype(np.intp).reshape(-1, 2) - crop_px // 2
    crops = np.empty((len(start), crop_px, crop_px, channels), image.dtype)
    pad = crop_px // 2 + 1
    padded = None
    for row, (y, x) in enumerate(start):
        if y >= 0 and x >= 0 and y + crop_px <= height and x + crop_px <= width:
            crops[row] = image[y : y + crop_px, x : x + crop_px]
            continue
        if padded is None:
            padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")
        crops[row] = padded[y + pad : y + pad + crop_px, x + pad : x + pad + crop_px]
    return crops


def _cut_enlarged(
    image: np.ndarray, centers: np.ndarray, crop_px: int, scale: float
) -> np.ndarray:
    channels = image.shape[2]
    start = centers - (crop_px // 2 + 0.5) / scale  # outer edges of the crop, in image pixels
    crops = np.empty((len(centers), crop_px, crop_px, channels), image.dtype)
    way = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    for row, (top, left) in enumerate(start + 0.5 / scale):
        matrix = np.array([[1 / scale, 0, left], [0, 1 / scale, top]])
        turn = partial(
            cv2.warpAffine, M=matrix, dsize=(crop_px, crop_px), flags=way,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        crops[row] = in_fours(image, turn)
    return crops


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
    known = field.pixels.dtype in _OPENCV_TYPES
    for row, ((y, x), radius) in enumerate(zip(centers, radii, strict=True)):
        reach = max(radius, 0.5**0.5)  # the nearest pixel at least
        top, bottom = max(0, int(np.ceil(y - reach))), min(height, int(y + reach) + 1)
        left, right = max(0, int(np.ceil(x - reach))), min(width, int(x + reach) + 1)
        if top >= bottom or left >= right:
            continue
        across = (np.arange(left, right) - x) ** 2
        inside = (np.arange(top, bottom) - y)[:, None] ** 2 + across <= reach**2
        if not inside.any():
            continue
        mask = inside.view(np.uint8)
        for channel in range(channels):
            patch = field.pixels[channel, top:bottom, left:right]
            means[row, channel] = cv2.mean(patch if known else patch.astype(np.float64), mask)[0]
    return means


def fit_whole(
    image: np.ndarray, size_px: tuple[int, int], fit: str
) -> tuple[np.ndarray, float | None]:
    """Bring a whole image to a size.

    Args:
        image: (Y, X, C) uint8 or uint16.
        size_px: Height H and width W of the crop.
        fit: resize stretches the image; pad fills what is missing around it by reflection, after
            shrinking an image that is too large until it fits.
    Returns: (H, W, C), and crop pixels per pixel of the image: None where the two axes differ.
    """
    height, width = image.shape[:2]
    down, across = size_px[0] / height, size_px[1] / width
    if fit != "pad":
        scale = down if abs(down / across - 1) <= _SQUEEZED else None
        return resize_whole(image, size_px), scale
    scale = min(1.0, down, across)
    if scale < 1:
        image = scaled(image, scale)
    missing = (size_px[0] - image.shape[0], size_px[1] - image.shape[1])
    sides = [(one // 2, one - one // 2) for one in missing]
    return np.pad(image, (*sides, (0, 0)), mode="reflect"), scale


def resize_whole(image: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """Make one crop of a whole image; other proportions are squeezed.

    Args:
        image: (Y, X, C) uint8 or uint16.
        size_px: Height H and width W of the crop.
    Returns: (H, W, C); the image itself where it has that size already.
    """
    height, width, _ = image.shape
    if (height, width) == size_px:
        return image
    shrinks = size_px[0] * size_px[1] < height * width
    return resized(image, size_px, cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
