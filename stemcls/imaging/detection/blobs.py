"""Find blobs in a map of cells, and prune overlaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from stemcls.imaging.scalespace.exact import DOH_UNIT
from stemcls.imaging.scalespace.fast import scale_space_peaks
from stemcls.imaging.scalespace.peaks import prune_in_order

_SIGMA_RATIO = 1.6
_SIZE_SPREAD = 0.5  # usual spread of log radius in one field


@dataclass(frozen=True)
class _MapDetector:
    """How a detector answers at the centre of a full disc of value 1.

    Attributes:
        radius_per_sigma: Radius of the disc over the scale at which the answer peaks.
        disc_response: The answer there.
        power: How the answer grows with contrast.
    """

    radius_per_sigma: float
    disc_response: float
    power: int = 1


def _difference_of_gaussians(ratio: float) -> _MapDetector:
    per_sigma = np.sqrt(4 * np.log(ratio) / (1 - ratio**-2))
    half = per_sigma**2 / 2
    return _MapDetector(per_sigma, (np.exp(-half / ratio**2) - np.exp(-half)) / (ratio - 1))


_MAP_DETECTORS = {
    "log": _MapDetector(2**0.5, 2 / np.e),
    "dog": _difference_of_gaussians(_SIGMA_RATIO),
    "doh": _MapDetector(2**0.5, DOH_UNIT / np.e**2, power=2),
}


def log_spaced(smallest: float, largest: float, count: int) -> np.ndarray:
    """Return `count` scales from smallest to largest with one more beyond each end.

    The two extra scales are there to be compared with: a maximum on one of them lies outside.
    """
    single = count == 1 or smallest == largest
    inner = np.array([np.sqrt(smallest * largest)]) if single else np.geomspace(
        smallest, largest, count
    )
    ratio = 1.25 if single else inner[1] / inner[0]
    return np.concatenate([[inner[0] / ratio], inner, [inner[-1] * ratio]])


def map_blobs(
    foreground: np.ndarray, sigmas_px: np.ndarray, method: str, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the bright blobs of a map that is 0 outside of its edges.

    Args:
        foreground: (Y, X) float32 in [0, 1].
        sigmas_px: Ascending scales of a Laplacian; maxima on the first and the last are left out.
        method: log, dog or doh.
        threshold: Least response, where 1 is a full, isolated disc.
    Returns: (N, 2) y and x with sub-pixel parts, (N,) radius in pixels, (N,) response.
    """
    detector = _MAP_DETECTORS[method]
    peaks = scale_space_peaks(
        foreground, sigmas_px / (detector.radius_per_sigma / 2**0.5), method,
        threshold=detector.disc_response * threshold**detector.power, border="zero", ends="drop",
        sigma_ratio=_SIGMA_RATIO,
    )
    response = (np.maximum(peaks.response, 0) / detector.disc_response) ** (1 / detector.power)
    return peaks.centers_px, peaks.sigma_px * detector.radius_per_sigma, response


def typical_radius(radius_px: np.ndarray, score: np.ndarray) -> float:
    """Return the median radius, each blob weighing its area and, steeply, its score."""
    order = np.argsort(radius_px)
    weight = np.cumsum(radius_px[order] ** 2 * score[order] ** 4)
    return float(radius_px[order][np.searchsorted(weight, weight[-1] / 2)])


def prune_overlaps(
    centers_px: np.ndarray, radius_px: np.ndarray, score: np.ndarray, overlap: float
) -> np.ndarray:
    """Choose blobs, best first, that overlap no better one by more than `overlap`.

    Better means a larger score after discounting unusual sizes, so that two touching cells win
    against the one blob that covers both.

    Args:
        centers_px: (N, 2).
        overlap: Largest shared area, fraction of the smaller disc.
    Returns: Indices of the blobs kept, by descending score.
    """
    if not len(score):
        return np.zeros(0, dtype=np.intp)
    unusual = np.log(radius_px / typical_radius(radius_px, score)) / _SIZE_SPREAD
    order = np.argsort(-score * np.exp(-0.5 * unusual**2), kind="stable")
    kept = np.flatnonzero(prune_in_order(
        centers_px, radius_px / 2**0.5, order, radius_px + radius_px.max(), overlap,
        cKDTree(centers_px),
    ))
    return kept[np.argsort(-score[kept], kind="stable")]
