"""Find blobs on a pyramid of reduced images, to a fraction of a pixel and of a scale step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from stemcls.imaging.scalespace.exact import DOH_UNIT
from stemcls.imaging.scalespace.peaks import Maxima, Peaks, scale_maxima

_WORKING_SIGMA_PX = 2.25  # a level is reduced until its smallest scale is this
_LEAST_EDGE_PX = 16  # of a level: reducing further saves nothing
_PREFILTER = 0.7  # a peak between grid points is at most this much lower on the grid
# Levels differ by rounding where they meet: a peak there may be lost by neither, found by both.
_SEAM = 0.998
_BORDERS = {"reflect": cv2.BORDER_REFLECT, "zero": cv2.BORDER_CONSTANT}

_SECOND = np.array([1.0, -2.0, 1.0])
# The variance that [1, -2, 1] adds along its own axis; given to the other axis as well, the
# derivative is that of an evenly blurred image.
_STENCIL_VARIANCE = 1 / 6
_EVEN = np.array([1.0, 10.0, 1.0]) / 12
_FIRST = np.array([-0.5, 0.0, 0.5])
_LAPLACIAN = np.outer(_EVEN, _SECOND) + np.outer(_SECOND, _EVEN)


def _laplacian(blurred: np.ndarray, sigma: float, ratio: float, border: int) -> np.ndarray:  # noqa: ARG001
    return cv2.filter2D(blurred, cv2.CV_32F, -(sigma**2) * _LAPLACIAN, borderType=border)


def _difference(blurred: np.ndarray, sigma: float, ratio: float, border: int) -> np.ndarray:
    kernel, _ = _gaussian((ratio**2 - 1) * sigma**2)
    wider = cv2.sepFilter2D(blurred, cv2.CV_32F, kernel, kernel, borderType=border)
    return (blurred - wider) * np.float32(1 / (ratio - 1))


def _hessian_determinant(
    blurred: np.ndarray, sigma: float, ratio: float, border: int  # noqa: ARG001
) -> np.ndarray:
    """Return det H where it is positive, 0 elsewhere, negative where the blob is dark."""
    across, down, mixed = (
        cv2.sepFilter2D(blurred, cv2.CV_32F, along_x, along_y, borderType=border)
        for along_x, along_y in ((_SECOND, _EVEN), (_EVEN, _SECOND), (_FIRST, _FIRST))
    )
    determinant = np.maximum(across * down - mixed * mixed, 0)
    determinant *= np.float32(sigma**4 * DOH_UNIT)
    return np.where(across > 0, -determinant, determinant)


@dataclass(frozen=True)
class FastMethod:
    """How a layer follows from a blurred image.

    Attributes:
        response: (blurred, sigma, sigma_ratio, border) to the layer, all in pixels of the level.
        variance: What the derivative's stencil adds to that of the blur, square pixels.
    """

    response: Callable[[np.ndarray, float, float, int], np.ndarray]
    variance: float


FAST_METHODS = {
    "log": FastMethod(_laplacian, _STENCIL_VARIANCE),
    "dog": FastMethod(_difference, 0.0),
    "doh": FastMethod(_hessian_determinant, _STENCIL_VARIANCE),
}


def scale_space_peaks(
    image: np.ndarray,
    sigmas_px: np.ndarray,
    method: str = "log",
    *,
    threshold: float | None,
    threshold_rel: float | None = None,
    border: str = "reflect",
    ends: str = "keep",
    signs: tuple[int, ...] = (1,),
    sigma_ratio: float = 1.6,
) -> Peaks:
    """Find the peaks of a scale space at given scales, unpruned.

    The image is reduced by averaging as far as the smallest scale allows, and by 2 again for each
    octave of larger ones; blurs follow one another. What averaging, sampled kernels and stencils
    add to a blur is part of the scale, so that neither centres nor scales are biased. Parabolas
    through neighbours (in log scale) give the fractions.

    Args:
        image: (Y, X), any real type, finite; values count as they are.
        sigmas_px: Ascending scales, neighbours at most a factor of about 1.3 apart.
        method: Of `FAST_METHODS`.
        threshold: Least response; None: 0.
        threshold_rel: Least response as a fraction of the largest peak.
        border: The image beyond its edge: "reflect" (symmetric) or "zero".
        ends: "keep": a peak at the first or last scale counts, as in skimage.feature; "drop":
            these two scales are only compared with.
        signs: +1 to find bright blobs, -1 dark.
        sigma_ratio: Of the two Gaussians, for "dog".
    Returns: Peaks, strongest first; scales within those given.
    Source: Lindeberg 1998 (doi:10.1023/A:1008045108935); pyramid: Lowe 2004, section 3
        (doi:10.1023/B:VISI.0000029664.99615.94).
    """
    scales = np.asarray(sigmas_px, np.float64)
    if ends == "keep":
        step = scales[1] / scales[0] if len(scales) > 1 else 1.25
        last = scales[-1] / scales[-2] if len(scales) > 1 else 1.25
        scales = np.concatenate([[scales[0] / step], scales, [scales[-1] * last]])
    end_weight = 0.0 if ends == "keep" else 1.0
    floor = max(threshold or 0.0, 0.0)
    factor = max(1, min(int(scales[1] / _WORKING_SIGMA_PX), min(image.shape) // _LEAST_EDGE_PX))
    level = _reduced(_centred(image, border), factor, border)
    parts: list[Peaks] = []
    first = 1
    while first < len(scales) - 1:
        fits = scales < 2 * factor * _WORKING_SIGMA_PX
        small = min(level.shape) < 2 * _LEAST_EDGE_PX
        end = len(scales) - 1 if small else max(int(fits[:-1].sum()), first)
        if end > first:
            guards = (
                end_weight if first == 1 else _SEAM,
                end_weight if end == len(scales) - 1 else _SEAM,
            )
            own = scales[first - 1 : end + 1]
            parts.append(
                _level_peaks(
                    level, own, factor, method, sigma_ratio, border, signs,
                    floor * _PREFILTER, guards, image.shape,
                )
            )
        first = end
        if not small:
            level, factor = _reduced(level, 2, border), 2 * factor
    peaks = _joined(parts)
    if threshold_rel is not None and len(peaks.response):
        floor = max(floor, threshold_rel * float(peaks.response.max()))
    peaks = peaks[np.flatnonzero(peaks.response > floor)]
    peaks = peaks[np.argsort(-peaks.response, kind="stable")]
    within = np.clip(peaks.sigma_px, sigmas_px[0], sigmas_px[-1])
    return Peaks(peaks.centers_px, within, peaks.response, peaks.polarity)


def _joined(parts: list[Peaks]) -> Peaks:
    return Peaks(
        np.concatenate([part.centers_px for part in parts]),
        np.concatenate([part.sigma_px for part in parts]),
        np.concatenate([part.response for part in parts]),
        np.concatenate([part.polarity for part in parts]),
    )


def _centred(image: np.ndarray, border: str) -> np.ndarray:
    """Return float32 pixels, without their mean where that changes nothing but the rounding."""
    pixels = image if image.dtype.kind in "fui" else image.astype(np.float32)
    offset = float(pixels.mean(dtype=np.float64)) if border == "reflect" else 0.0
    centred = np.empty(pixels.shape, np.float32)
    return np.subtract(pixels, offset, out=centred, casting="unsafe")


def _reduced(image: np.ndarray, factor: int, border: str) -> np.ndarray:
    """Average over squares; the image is first continued to whole ones."""
    if factor == 1:
        return image
    height, width = image.shape
    missing_y, missing_x = -height % factor, -width % factor
    if missing_y or missing_x:
        image = cv2.copyMakeBorder(image, 0, missing_y, 0, missing_x, _BORDERS[border], value=0)
    size = (image.shape[1] // factor, image.shape[0] // factor)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _gaussian(variance: float) -> tuple[np.ndarray, float]:
    """Return a normalised kernel of about this variance, and its own variance, square pixels."""
    if variance < 0.5:
        # A sampled Gaussian this narrow misses its variance; three weights meet it.
        side = max(variance, 0.0) / 2
        return np.array([side, 1 - 2 * side, side]), 2 * side
    radius = math.ceil(4 * math.sqrt(variance))
    square = np.arange(-radius, radius + 1) ** 2
    kernel = np.exp(-square / (2 * variance))
    kernel /= kernel.sum()
    return kernel, float(kernel @ square)


def _level_peaks(
    level: np.ndarray,
    scales: np.ndarray,
    factor: int,
    method: str,
    sigma_ratio: float,
    border: str,
    signs: tuple[int, ...],
    floor: float,
    guards: tuple[float, float],
    shape: tuple[int, ...],
) -> Peaks:
    """Find peaks of one level; `scales` in pixels of the field, guards included."""
    rule = FAST_METHODS[method]
    # Averaging over squares of `factor` pixels adds (factor^2 - 1) / 12 square pixels.
    fixed = (1 - factor**-2) / 12 + rule.variance
    kernels, reached = [], []
    variance = 0.0
    for scale in scales / factor:
        kernel, added = _gaussian(scale**2 - fixed - variance)
        variance += added
        kernels.append(kernel)
        reached.append(math.sqrt(variance + fixed))
    sigmas = np.array(reached)
    layers = _layers(level, kernels, sigmas, rule, sigma_ratio, border)
    maxima = scale_maxima(layers, len(scales), signs=signs, floor=floor, guards=guards)
    shift, log_sigma, response = _refined(maxima, np.log(sigmas))
    grid = np.stack([maxima.y, maxima.x], axis=1) + shift
    centers = np.clip((grid + 0.5) * factor - 0.5, 0, np.array(shape) - 1)
    return Peaks(centers, np.exp(log_sigma) * factor, response, maxima.sign)


def _layers(
    level: np.ndarray, kernels: list[np.ndarray], sigmas: np.ndarray, rule: FastMethod,
    sigma_ratio: float, border: str,
) -> Iterator[np.ndarray]:
    mode = _BORDERS[border]
    # A blur carries part of the image past its edge, and the next one carries some of it back.
    pad = math.ceil(4 * sigmas[-1]) if border == "zero" else 0
    blurred = cv2.copyMakeBorder(level, pad, pad, pad, pad, mode, value=0) if pad else level
    height, width = level.shape
    for kernel, sigma in zip(kernels, sigmas, strict=True):
        blurred = cv2.sepFilter2D(blurred, cv2.CV_32F, kernel, kernel, borderType=mode)
        layer = rule.response(blurred, float(sigma), sigma_ratio, mode)
        yield np.ascontiguousarray(layer[pad : pad + height, pad : pad + width])


def _refined(
    maxima: Maxima, log_sigmas: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (N, 2) shifts along y and x in pixels, (N,) log scale and (N,) height of the peaks."""
    block = maxima.block.astype(np.float64)
    peak = block[:, 1, 1, 1]
    one = np.ones(len(peak))
    down, more_down = _vertex(block[:, 1, 0, 1], peak, block[:, 1, 2, 1], one, one)
    right, more_right = _vertex(block[:, 1, 1, 0], peak, block[:, 1, 1, 2], one, one)
    at = maxima.layer + 1
    below, above = log_sigmas[at] - log_sigmas[at - 1], log_sigmas[at + 1] - log_sigmas[at]
    wider, more_wide = _vertex(block[:, 0, 1, 1], peak, block[:, 2, 1, 1], below, above)
    response = peak + more_down + more_right + more_wide
    return np.stack([down, right], axis=1), log_sigmas[at] + wider, response


def _vertex(
    before: np.ndarray, peak: np.ndarray, after: np.ndarray, back: np.ndarray, ahead: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far from the middle the parabola through three points peaks, and how much higher.

    Args:
        before, peak, after: (N,) values.
        back, ahead: (N,) distances of the outer points from the middle one.
    """
    back, ahead = np.maximum(back, 1e-6), np.maximum(ahead, 1e-6)
    rise, fall = (peak - before) / back, (after - peak) / ahead
    bend = (fall - rise) / (back + ahead)
    slope = (rise * ahead + fall * back) / (back + ahead)
    curved = bend < -1e-9 * np.abs(peak)
    vertex = np.where(curved, -slope / (2 * np.where(curved, bend, -1.0)), 0.0)
    vertex = np.clip(vertex, -back / 2, ahead / 2)
    return vertex, np.maximum(slope * vertex + bend * vertex**2, 0.0)
