"""Bring a slice to the scale and the contrast at which the trained detector sees cells."""

from __future__ import annotations

import cv2
import numpy as np

CANONICAL_PX = 20.0  # diameter of a cell as the network sees it
CONTEXT_PX = 20.0  # Gaussian window, standard deviation, that contrast is measured in
CLIP = 4.0
_FIELD_SHARE = 0.2  # how much the whole field's contrast counts beside that of the neighbourhood
_NOISE_PX = 512  # edge of the part of a slice that noise is measured in
_SECOND = np.array([1.0, -2.0, 1.0])
_ROUNDING = 0.3  # grey levels
_SKEWED = 1.5
_BOXES = (13, 25)  # pixels at canonical scale: the middle of a cell, and its surroundings
_LEAST_MEAN, _LEAST_SPREAD = 8.0, 1.4  # in what noise gives
_REDUCED = 4  # contrast is smooth: it is measured on a plane reduced this much


def at_canonical_scale(plane: np.ndarray, diameter_px: float) -> np.ndarray:
    """Resize a slice so that cells of `diameter_px` are `CANONICAL_PX` wide.

    Args:
        plane: (Y, X) of any real dtype.
        diameter_px: Of a cell, pixels of the slice.
    Returns: (y, x) float32; area means where it is reduced.
    """
    if plane.dtype not in (np.uint8, np.uint16, np.int16, np.float32):
        plane = plane.astype(np.float32)
    factor = CANONICAL_PX / diameter_px
    height, width = plane.shape
    size = max(8, round(width * factor)), max(8, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(plane, size, interpolation=how).astype(np.float32, copy=False)


def even_contrast(plane: np.ndarray) -> np.ndarray:
    """Return (y, x) float32: deviations from the local mean, in units of the local contrast.

    The unit is the local standard deviation and a fifth of the mean one of the field, so that
    empty ground stays quiet.
    """
    plane = plane - np.float32(plane.mean())
    mean = _local_mean(plane)
    centred = plane - mean
    spread = np.sqrt(np.maximum(_local_mean(centred * centred), 0))
    unit = spread + np.float32(_FIELD_SHARE * float(np.sqrt((spread * spread).mean())) + 1e-6)
    return np.clip(centred / unit, -CLIP, CLIP)


def pixel_noise(plane: np.ndarray) -> float:
    """Return the standard deviation of a slice's white noise, in its grey levels.

    From the median second difference of second differences, which flat and sloping ground leave at
    0; half a step of rounding is the least believed.

    Source: Immerkaer 1996 (doi:10.1006/cviu.1996.0060), with the median in place of the mean.
    """
    height, width = plane.shape
    edge = min(_NOISE_PX, height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    part = plane[top : top + edge, left : left + edge].astype(np.float32)
    second = cv2.sepFilter2D(part, cv2.CV_32F, _SECOND, _SECOND)[1:-1, 1:-1]
    if not second.size:
        return 0.0
    robust = float(np.median(np.abs(second))) / 0.6745 / 6.0
    # Noise that is cut off at 0, as of a dark camera, has a smaller median than deviation.
    whole = float(np.sqrt((second * second).mean())) / 6.0
    noise = max(robust, min(whole, _SKEWED * robust))
    return max(noise, _ROUNDING if plane.dtype.kind in "ui" else 0.0)


def stands_out(
    small: np.ndarray, y: np.ndarray, x: np.ndarray, noise: float, diameter_px: float
) -> np.ndarray:
    """Tell which places of a slice at canonical scale differ from what white noise alone gives.

    A cell does by its mean, compared with the ring around it, or by the spread of its texture.

    Args:
        small: (y, x) float32 of `at_canonical_scale`.
        y, x: (N,) whole numbers.
        noise: Of a pixel of the slice before it was resized.
        diameter_px: That `small` was made for.
    Returns: (N,) bool.
    """
    # Area means of k pixels have 1 / sqrt(k) of their noise; enlarging makes no new pixels.
    shrink = max(1.0, diameter_px / CANONICAL_PX)
    expected = noise / shrink
    independent = min(1.0, (diameter_px / CANONICAL_PX) ** 2)  # pixels, of each pixel here
    inner, outer = (
        cv2.blur(small, (edge, edge), borderType=cv2.BORDER_REFLECT) for edge in _BOXES
    )
    mean = np.abs(inner - outer)[y, x] * _BOXES[0] * independent**0.5
    power = cv2.blur(small * small, (_BOXES[1],) * 2, borderType=cv2.BORDER_REFLECT)
    spread = np.sqrt(np.maximum(power - outer * outer, 0))[y, x]
    tolerance = _LEAST_SPREAD if diameter_px >= CANONICAL_PX else _LEAST_SPREAD / independent**0.25
    return (mean > _LEAST_MEAN * expected) | (spread > tolerance * expected)


def _local_mean(plane: np.ndarray) -> np.ndarray:
    height, width = plane.shape
    size = max(1, width // _REDUCED), max(1, height // _REDUCED)
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(
        small, (0, 0), CONTEXT_PX / _REDUCED, borderType=cv2.BORDER_REFLECT
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
