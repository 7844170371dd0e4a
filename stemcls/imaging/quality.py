"""Measure whether a field is worth using: brightness, focus, clipped pixels, even light."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stemcls.config.imaging import QualityConfig
from stemcls.errors import InputError
from stemcls.imaging.background import Background, fit_background
from stemcls.imaging.levels import PERCENTILES, percentile_range
from stemcls.imaging.shrink import shrunk

_FULL_SCALE_8_BIT = 255.0
_OPENCV_DEPTHS = {np.dtype(np.uint8): cv2.CV_8U, np.dtype(np.uint16): cv2.CV_16U}
_OPENCV_CHANNELS = 4
_CAMERA_BITS = (10, 12, 14)
_FOCUS_LONGEST_PX = 1024
_SURFACE_LONGEST_PX = _FOCUS_LONGEST_PX // 2
_DARK_FIELD = 0.2  # background below this part of the slice's range
_LEAST_SURFACE = 0.1  # of its mean: a surface is never divided by less


@dataclass(frozen=True)
class Quality:
    """How good the slices of a field that take part in the crop are; NaN where not measured.

    Attributes:
        brightness: Mean over pixels of the brightest slice (V of HSV), 0 to 255.
        focus: Variance of the Laplacian over the variance of the pixels, of the sharpest slice.
        saturated: Fraction of pixels at the top of their range, of the slice with the most.
        unevenness: Range of the background surface relative to its level, of the least even slice.
    """

    brightness: float
    focus: float
    saturated: float
    unevenness: float


def measure_quality(
    planes: list[np.ndarray], bits: int = 0, surfaces: list[Background] | None = None
) -> Quality:
    """Measure the slices of one field as they came from the file.

    Args:
        planes: (Y, X) each, of one dtype.
        bits: Bits that 16-bit files use; 0: all 16.
        surfaces: Background of each slice, or None not to measure unevenness.
    Returns: brightness maps the full range of the dtype (of `bits`) to 0-255, so a 12-bit camera
        in 16-bit files needs `bits=12` to reach 255; floating-point pixels have a known range only
        where they lie in 0 to 1. saturated counts pixels at the top of that range, and at 1023,
        4095 or 16383 where that is the very maximum of a 16-bit slice.
    Source: V of HSV, Kim et al. 2022 (field selection). focus: variance of the Laplacian
        (Pech-Pacheco et al. 2000) of the slice at half its size (1,024 pixels at most), over the
        variance about the background surface of the same at half of that: gain, offset and slow
        changes of the light cancel. Noise raises it, so it compares fields of one kind of exposure.
    """
    full = _full_scale(planes, bits)
    level = _mean(_brightest(planes))
    backgrounds = surfaces if surfaces is not None else [None] * len(planes)
    return Quality(
        brightness=min(_FULL_SCALE_8_BIT * level / full, _FULL_SCALE_8_BIT) if full else np.nan,
        focus=max(map(_focus, planes, backgrounds)),
        saturated=max(_saturated(plane, full) for plane in planes) if full else np.nan,
        unevenness=max(map(_unevenness, surfaces)) if surfaces is not None else np.nan,
    )


def check_quality(quality: Quality, config: QualityConfig) -> None:
    """Refuse a field that is outside the limits asked for.

    Raises:
        InputError: Says the figure, the limit and the option.
    """
    limits = (
        ("mean V of HSV", quality.brightness, config.max_brightness, 255.0, "max-brightness"),
        ("fraction of clipped pixels", quality.saturated, config.max_saturated, 1.0,
         "max-saturated"),
        ("focus score", quality.focus, config.min_focus, 0.0, "min-focus"),
    )
    for name, value, limit, off, flag in limits:
        if limit == off:
            continue
        if np.isnan(value):
            raise InputError(
                f"its {name} is unknown, because floating-point pixels beyond 0 to 1 have no "
                f"known full scale; export it as 16-bit, or leave out --{flag}"
            )
        wrong, side = (value < limit, "below") if off == 0.0 else (value > limit, "above")
        if wrong:
            raise InputError(f"its {name} is {value:.4g}, {side} the {limit:g} of --{flag}")


def background_of(plane: np.ndarray) -> Background:
    """Fit the background of a plane of any size and dtype, on at most 512 points a side."""
    # In two steps, because OpenCV halves whole numbers several times faster than it quarters them.
    small = reduced(reduced(plane, _FOCUS_LONGEST_PX), _SURFACE_LONGEST_PX)
    return fit_background(small.astype(np.float32))


def flatten(plane: np.ndarray, background: Background) -> np.ndarray:
    """Even out the light of a plane; its mean background level stays.

    Bright field: divided by the surface. Dark field, where the background lies in the lowest fifth
    of the plane's range (0.1 to 99.9 percent): the surface is subtracted.

    Args:
        plane: (Y, X).
    Returns: (Y, X) in the dtype of the plane, whole numbers rounded and clipped.
    """
    surface = background.surface((plane.shape[0], plane.shape[1]))
    level = float(surface.mean())
    low, high = percentile_range(plane[::4, ::4], PERCENTILES)
    dark = level - low < _DARK_FIELD * (high - low) or level <= 0
    if dark:
        surface -= np.float32(level)
    else:
        np.maximum(surface, np.float32(_LEAST_SURFACE * level), out=surface)
        np.divide(np.float32(level), surface, out=surface)
    apply = cv2.subtract if dark else cv2.multiply
    if plane.dtype in _OPENCV_DEPTHS:  # rounds and clips on the way
        return apply(plane, surface, dtype=_OPENCV_DEPTHS[plane.dtype])
    even = apply(plane.astype(np.float32), surface)
    if plane.dtype.kind == "f":
        return even.astype(plane.dtype)
    limits = np.iinfo(plane.dtype)
    return np.clip(np.rint(even), limits.min, limits.max).astype(plane.dtype)


def brighten(image: np.ndarray, target: float) -> np.ndarray:
    """Scale an image so that its mean V of HSV is `target`; what passes the top is clipped.

    Args:
        image: (Y, X, C) uint8 or uint16.
        target: 0 to 255, also of uint16 images, whose full range counts as 255.
    Source: Kim et al. 2022 (130).
    """
    top = int(np.iinfo(image.dtype).max)
    planes = [np.ascontiguousarray(image[..., n]) for n in range(image.shape[2])]
    level = _mean(_brightest(planes)) * _FULL_SCALE_8_BIT / top
    if level <= 0:
        return image
    values = np.rint(np.minimum(np.arange(top + 1) * (target / level), top)).astype(image.dtype)
    if top == 255 and len(planes) <= _OPENCV_CHANNELS:
        return cv2.LUT(image, values).reshape(image.shape)
    return values[image]


def reduced(plane: np.ndarray, longest_px: int) -> np.ndarray:
    """Return a plane shrunk by averaging until its longer edge is at most `longest_px`.

    Types that OpenCV does not shrink become float32.
    """
    if plane.dtype not in (np.uint8, np.uint16, np.float32):
        plane = plane.astype(np.float32)
    return shrunk(plane, longest_px)


def _brightest(planes: list[np.ndarray]) -> np.ndarray:
    brightest = planes[0]
    for plane in planes[1:]:
        brightest = np.maximum(brightest, plane)
    return brightest


def _focus(plane: np.ndarray, background: Background | None) -> float:
    longest = min(_FOCUS_LONGEST_PX, max(2, max(plane.shape) // 2))
    small = reduced(plane, longest)
    edges = cv2.Laplacian(small, cv2.CV_32F)
    small = reduced(small, longest // 2).astype(np.float32)
    if background is not None:
        small -= background.surface((small.shape[0], small.shape[1]))
    spread = float(small.var(dtype=np.float64))
    return cv2.norm(edges, cv2.NORM_L2SQR) / edges.size / spread if spread > 0 else 0.0


def _unevenness(background: Background) -> float:
    surface = background.surface((64, 64))
    level = float(surface.mean())
    return float(surface.max() - surface.min()) / level if level > 0 else np.nan


def _full_scale(planes: list[np.ndarray], bits: int) -> float:
    """Return the largest value a pixel can take, 0 where nothing says it."""
    dtype = planes[0].dtype
    if dtype == np.uint16 and bits:
        return float(2**bits - 1)
    if dtype.kind in "ui":
        return float(np.iinfo(dtype).max)
    within = all(plane.min() >= 0 and plane.max() <= 1 for plane in planes)
    return 1.0 if within else 0.0


def _saturated(plane: np.ndarray, full: float) -> float:
    top = float(plane.max())
    if plane.dtype == np.uint16 and top in {2.0**bits - 1 for bits in _CAMERA_BITS}:
        full = min(full, top)
    return float(np.count_nonzero(plane >= full)) / plane.size if top >= full else 0.0


def _mean(plane: np.ndarray) -> float:
    if plane.dtype in (np.uint8, np.uint16):
        return float(cv2.mean(plane)[0])
    return float(plane.mean(dtype=np.float64))
