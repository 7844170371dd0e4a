"""Find blobs, with the parameters of skimage.feature's detectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stemcls.errors import InputError, check_known
from stemcls.imaging.scalespace.exact import exact_peaks
from stemcls.imaging.scalespace.fast import scale_space_peaks
from stemcls.imaging.scalespace.peaks import Peaks, prune

_SIGNS = {"bright": (1,), "dark": (-1,), "both": (1, -1)}
_WIDEST_STEP = 1.25  # between two scales of the fast mode; a parabola is fair up to here


@dataclass(frozen=True, eq=False)
class Blobs:
    """Blobs of an image, strongest first.

    Attributes:
        centers_px: (N, 2) float64 y, x.
        sigma_px: (N,) scale at which the response peaks.
        radius_px: (N,) of a disc like the blob.
        response: (N,) height of the scale space, what `threshold` is compared with.
        polarity: (N,) int8, +1 brighter than the surroundings, -1 darker.
    """

    centers_px: np.ndarray
    sigma_px: np.ndarray
    radius_px: np.ndarray
    response: np.ndarray
    polarity: np.ndarray

    def __len__(self) -> int:
        return len(self.centers_px)


@dataclass(frozen=True)
class Method:
    """What sets a blob detector apart.

    Attributes:
        threshold: Least response where none is given, as in skimage.feature.
        radius_per_sigma: (sigma_ratio) to the radius of a blob that peaks at scale 1.
    """

    threshold: float
    radius_per_sigma: Callable[[float], float]


METHODS = {
    "log": Method(0.2, lambda ratio: math.sqrt(2)),  # noqa: ARG005
    "dog": Method(0.5, lambda ratio: math.sqrt(2 * ratio)),
    "doh": Method(0.01, lambda ratio: math.sqrt(2)),  # noqa: ARG005
}


def find_blobs(
    image: np.ndarray,
    method: str = "log",
    *,
    min_sigma: float = 1.0,
    max_sigma: float = 50.0,
    num_sigma: int = 10,
    sigma_ratio: float = 1.6,
    threshold: float | Literal["default"] | None = "default",
    threshold_rel: float | None = None,
    overlap: float = 0.5,
    log_scale: bool = False,
    exclude_border: int | tuple[int, int] = 0,
    polarity: str = "bright",
    mode: str = "fast",
) -> Blobs:
    """Find blobs as maxima over space and scale.

    Mode "exact" returns the centres and scales of skimage.feature's `blob_log` and `blob_dog`, on
    the pixel grid and at their scales. Mode "fast" looks at reduced images, at scales evenly
    spaced in log and at most 25 % apart (`num_sigma` is the least number), and gives fractions of
    a pixel and of a step, so that it is nearer to the truth.

    A Gaussian blob of scale s, and a disc of radius s * sqrt 2, peak at sigma = s for "log" (the
    Laplacian) and "doh" (the determinant of the Hessian, which is a quarter of the squared
    Laplacian at the centre of a round blob). For "dog", the difference of Gaussians sigma and
    k * sigma, the Gaussian blob peaks at s / sqrt k, and a disc of radius r at
    r / sqrt(4 ln k / (1 - 1 / k^2)); `radius_px` follows the first, which for k = 1.6 makes discs
    1.9 % too large. `min_sigma` and `max_sigma` bound sigma, not s.

    "doh" is the true determinant in both modes. skimage.feature's `blob_doh` replaces Gaussian
    derivatives by boxes: its centres are off by one pixel along both axes and its sigmas are 1.7
    to 1.8 times s. The response here has its unit, so that thresholds carry over.

    Args:
        image: (Y, X). Integers are divided by the largest of their type, floats count as they are.
        method: "log", "dog" or "doh".
        min_sigma, max_sigma: Smallest and largest scale, pixels.
        num_sigma: Scales between them; not for "dog".
        sigma_ratio: k, for "dog".
        threshold: Least response (default: 0.2, 0.5, 0.01); None: `threshold_rel` alone counts, and
            without it every maximum (above 0 in fast mode), of which the 50,000 strongest are
            taken.
        threshold_rel: Least response as a fraction of the largest one.
        overlap: Of two blobs that share more than this fraction of the smaller one's area, the
            smaller goes.
        log_scale: Space the scales of exact mode evenly in log.
        exclude_border: Leave out blobs this near to the edge, pixels (y, x, or both).
        polarity: "bright", "dark" or "both"; of overlapping blobs of either kind one stays.
        mode: "fast" or "exact".

    Raises:
        InputError: The image is not a plane of finite real numbers, or an argument is out of range.

    Source: Lindeberg 1998 (doi:10.1023/A:1008045108935); "dog": Lowe 2004
        (doi:10.1023/B:VISI.0000029664.99615.94); boxes for "doh": Bay et al. 2008
        (doi:10.1016/j.cviu.2007.09.014).
    """
    image = np.asarray(image)
    _check(image, method, min_sigma, max_sigma, num_sigma, sigma_ratio, overlap, polarity, mode)
    rule = METHODS[method]
    if threshold == "default":
        threshold = rule.threshold
    radius = rule.radius_per_sigma(sigma_ratio)
    if image.max() == image.min():
        nothing = np.zeros(0)
        return Blobs(np.zeros((0, 2)), nothing, nothing, nothing, np.zeros(0, np.int8))
    if mode == "exact":
        peaks = exact_peaks(
            image, method, min_sigma=min_sigma, max_sigma=max_sigma, num_sigma=num_sigma,
            sigma_ratio=sigma_ratio, log_scale=log_scale, threshold=threshold,
            threshold_rel=threshold_rel, signs=_SIGNS[polarity],
        )
        peaks = _without_border(peaks, image.shape, exclude_border)
        # skimage.feature prunes discs of sigma * sqrt 2, whatever the detector.
        kept = prune(peaks.centers_px, peaks.sigma_px, overlap, as_skimage=True)
    else:
        whole = 1.0 if image.dtype.kind not in "ui" else float(np.iinfo(image.dtype).max)
        # det H grows with the square of the contrast.
        unit = whole**2 if method == "doh" else whole
        peaks = scale_space_peaks(
            image, _log_spaced(min_sigma, max_sigma, num_sigma), method,
            threshold=None if threshold is None else threshold * unit,
            threshold_rel=threshold_rel, signs=_SIGNS[polarity], sigma_ratio=sigma_ratio,
        )
        peaks = Peaks(peaks.centers_px, peaks.sigma_px, peaks.response / unit, peaks.polarity)
        peaks = _without_border(peaks, image.shape, exclude_border)
        # Of equal scales the later one stays: the stronger, here.
        weakest_first = peaks[np.arange(len(peaks.response))[::-1]]
        sizes = weakest_first.sigma_px * radius / math.sqrt(2)
        kept = prune(weakest_first.centers_px, sizes, overlap, as_skimage=False)[::-1]
    peaks = peaks[np.flatnonzero(kept)]
    return Blobs(
        peaks.centers_px.astype(np.float64), peaks.sigma_px.astype(np.float64),
        peaks.sigma_px.astype(np.float64) * radius, peaks.response.astype(np.float64),
        peaks.polarity,
    )


def _log_spaced(least: float, most: float, count: int) -> np.ndarray:
    if least == most:
        return np.array([least])
    count = max(count, math.ceil(math.log(most / least) / math.log(_WIDEST_STEP)) + 1)
    return np.geomspace(least, most, count)


def _without_border(
    peaks: Peaks, shape: tuple[int, ...], exclude_border: int | tuple[int, int]
) -> Peaks:
    width = exclude_border if isinstance(exclude_border, tuple) else (exclude_border,) * 2
    at = np.rint(peaks.centers_px)
    inside = (at >= width) & (at < np.array(shape) - width)
    return peaks[np.flatnonzero(inside.all(axis=1))]


def _check(
    image: np.ndarray, method: str, min_sigma: float, max_sigma: float, num_sigma: int,
    sigma_ratio: float, overlap: float, polarity: str, mode: str,
) -> None:
    if image.ndim != 2 or not image.size or image.dtype.kind not in "fuib":
        raise InputError(
            f"blobs are found in a plane (Y, X) of real numbers, not in {image.dtype} of shape "
            f"{image.shape}; choose a channel first"
        )
    # A sum is finite only where every pixel is, and costs a quarter of asking each.
    if image.dtype.kind == "f" and not np.isfinite(image.sum(dtype=np.float64)):
        raise InputError("the image holds NaN or infinite pixels; mask or replace them first")
    for name, given, known in (
        ("method", method, list(METHODS)),
        ("polarity", polarity, list(_SIGNS)),
        ("mode", mode, ["fast", "exact"]),
    ):
        check_known(given, known, f"there is no {name} {given!r}")
    if not 0 < min_sigma <= max_sigma:
        raise InputError(
            f"expected 0 < min_sigma <= max_sigma, not {min_sigma:g} and {max_sigma:g}"
        )
    for name, value, fits, expected in (
        ("num_sigma", num_sigma, num_sigma >= 1, "at least 1"),
        ("sigma_ratio", sigma_ratio, sigma_ratio > 1, "above 1"),
        ("overlap", overlap, 0 <= overlap <= 1, "from 0 to 1"),
    ):
        if not fits:
            raise InputError(f"{name} is {value:g}; expected {expected}")
