"""Say how alike two pictures are once they are turned, shifted and stretched onto each other."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np

from stemcls.models.inference import dihedral, view_numbers

DESCRIBED_PX = 32
# A farther shift, share of the edge, leaves too little that both pictures show.
_MOST_SHIFT = 0.3
# Copies are shrunk or enlarged by up to a quarter, and hardly squeezed.
_SCALES, _MOST_SQUEEZED = (0.8, 1.25), 1.12
_LEAST_OVERLAP = 0.4
# Standard deviations, pixels: details that a JPEG of quality 50 leaves, and what alignment needs.
_DETAILS, _SHAPES = (0.8, 2.0), (1.0, 6.0)
_QUICK_BAND = (0.6, 3.0)
_FINEST = 1.0
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)


def shifted_likeness(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the largest correlation of each pair over all shifts and dihedral views.

    Args:
        one, other: (N, P, P) float32 small pictures.
    Returns: (N,) about -1 to 1.
    """
    first = _unit(one)
    spectrum = np.fft.rfft2(first)
    best = np.full(len(one), -1.0)
    for view in view_numbers(one.shape[1:], 8):
        turned = _unit(np.ascontiguousarray(dihedral(other[..., None], view)[..., 0]))
        everywhere = np.fft.irfft2(
            spectrum * np.conj(np.fft.rfft2(turned)), s=first.shape[1:], axes=(1, 2)
        )
        best = np.maximum(best, everywhere.max(axis=(1, 2)))
    return best


def aligned_likeness(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the correlations of two pictures where they overlap after an affine alignment.

    Args:
        one, other: (H, W) float32, without brightness and contrast.
    Returns: of details that compression leaves, and of the finest, each -1 to 1; 0 where no small
        shift, turn and scale lays one onto the other.
    Source: Evangelidis and Psarakis 2008 (doi:10.1109/TPAMI.2008.113), as in OpenCV.
    """
    found = _best_view(one, other)
    if found is None:
        return 0.0, 0.0
    view, warp = found
    with contextlib.suppress(cv2.error):  # where it does not converge the shift alone stays
        _, warp = cv2.findTransformECC(
            _band(one, *_SHAPES), _band(view, *_SHAPES), warp, cv2.MOTION_AFFINE, _STEPS, None, 5
        )
    stretch = np.linalg.svd(warp[:, :2], compute_uv=False)
    scale = float(np.sqrt(stretch[0] * stretch[1]))
    if not _SCALES[0] < scale < _SCALES[1] or stretch[0] > _MOST_SQUEEZED * stretch[1]:
        return 0.0, 0.0
    size = one.shape[::-1]
    laid = cv2.warpAffine(
        view, warp, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    inside = cv2.warpAffine(
        np.ones(view.shape, np.uint8), warp, size,
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
    )
    both = cv2.erode(
        inside, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    ).astype(bool)
    if both.mean() < _LEAST_OVERLAP:
        return 0.0, 0.0
    finest = (image - cv2.GaussianBlur(image, (0, 0), _FINEST) for image in (one, laid))
    return (
        _correlation(_band(one, *_DETAILS)[both], _band(laid, *_DETAILS)[both]),
        _correlation(*(image[both] for image in finest)),
    )


def _best_view(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the dihedral view of `other` that fits best, and the shift that lays it onto `one`."""
    height, width = one.shape
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    spectrum = np.fft.rfft2(_band(one, *_QUICK_BAND) * window)
    best, found = -np.inf, None
    for number in view_numbers(other.shape, 8):
        view = np.ascontiguousarray(dihedral(other[None, :, :, None], number)[0, :, :, 0])
        if view.shape != one.shape:
            continue
        turned = np.fft.rfft2(_band(view, *_QUICK_BAND) * window)
        everywhere = np.fft.irfft2(spectrum * np.conj(turned), s=one.shape)
        y, x = np.unravel_index(int(everywhere.argmax()), one.shape)
        down, across = (int(y) + height // 2) % height, (int(x) + width // 2) % width
        shift = (down - height // 2, across - width // 2)
        if everywhere[y, x] > best and abs(shift[0]) <= _MOST_SHIFT * height and (
            abs(shift[1]) <= _MOST_SHIFT * width
        ):
            best = float(everywhere[y, x])
            found = view, np.array([[1, 0, -shift[1]], [0, 1, -shift[0]]], np.float32)
    return found


def _unit(pictures: np.ndarray) -> np.ndarray:
    """Return windowed details of (N, P, P) pictures, each of length 1."""
    edge = pictures.shape[1]
    window = np.outer(np.hanning(edge), np.hanning(edge)).astype(np.float32)
    details = np.stack([_band(picture, *_QUICK_BAND) for picture in pictures]) * window
    length = np.sqrt((details**2).sum(axis=(1, 2), keepdims=True))
    return details / np.maximum(length, 1e-6)


def _band(image: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    details: np.ndarray = cv2.GaussianBlur(image, (0, 0), fine) - cv2.GaussianBlur(
        image, (0, 0), coarse
    )
    return details


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    length = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / length if length > 1e-6 else 0.0
