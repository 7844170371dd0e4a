"""Find blobs in one large field beside skimage.feature: speed, accuracy, memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stemcls.bench.measure import in_turn, result, run_measured
from stemcls.imaging.scalespace.find import METHODS, Blobs, find_blobs
from stemcls.imaging.tuning.matching import match_centers

FIELD_PX = 2048
CELLS = 60
SIGMA_PX = (9.0, 20.0)
THRESHOLD = 0.1
FAST_TARGET, EXACT_TARGET = 100.0, 5.0
BIAS_LIMIT = 0.05
MEMORY_LIMIT_MB = 400.0
_HEIGHT, _BACKGROUND, _NOISE = 0.6, 0.1, 0.02
# "dog" peaks at s / sqrt 1.6, so it has to look below the smallest cell's s. The determinant is of
# the order of the squared Laplacian.
_RADIUS_SIGMA_PX = (5.0, 24.0)
_RADIUS_THRESHOLD = {"log": 0.1, "dog": 0.1, "doh": 0.005}
# What the documentation of skimage.feature says a blob's radius is, in sigmas.
_SKIMAGE_RADIUS = {"log": 2**0.5, "dog": 2**0.5, "doh": 1.0}


def blobs(data: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - benchmarks take the folder
    """Measure both modes of `find_blobs` on a field of 60 Gaussian cells.

    Returns: Seconds (`detect-fast`, `detect-exact`), mean distance from the truth
        (`detect-localisation`), relative error of the mean radius (`detect-radius-*`: a pass is
        5 % or less), and resident memory of `stemcls detect` (`detect-memory`: 400 MB or less).
    """
    field, centers, sigmas = simulated_field()
    return [*measure_blobs(field, centers), *measure_radii(field, centers, sigmas), _memory(field)]


def simulated_field(
    size_px: int = FIELD_PX, cells: int = CELLS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw Gaussian cells apart from one another, and noise.

    Returns: (Y, X) uint16; (N, 2) y, x; (N,) sigma of each.
    """
    generator = np.random.default_rng(seed)
    centers, sigmas = np.zeros((0, 2)), np.zeros(0)
    margin = 4 * SIGMA_PX[1]
    while len(sigmas) < cells:
        center, sigma = generator.uniform(margin, size_px - margin, 2), generator.uniform(*SIGMA_PX)
        if (np.hypot(*(centers - center).T) > 4 * (sigmas + sigma)).all():
            centers, sigmas = np.vstack([centers, center]), np.append(sigmas, sigma)
    plane = generator.normal(_BACKGROUND, _NOISE, (size_px, size_px))
    for center, sigma in zip(centers, sigmas, strict=True):
        reach = int(6 * sigma)
        low = np.maximum(center.astype(int) - reach, 0)
        y, x = (np.arange(at, min(at + 2 * reach, size_px)) for at in low)
        bumps = (np.exp(-((axis - at) ** 2) / (2 * sigma**2))
                 for axis, at in zip((y, x), center, strict=True))
        plane[np.ix_(y, x)] += _HEIGHT * np.outer(*bumps)
    return (np.clip(plane, 0, 1) * 65535).astype(np.uint16), centers, sigmas


def measure_blobs(field: np.ndarray, centers: np.ndarray) -> list[dict[str, Any]]:
    """Return the rows of both modes beside `blob_log`, each run three times in turn."""
    from skimage.feature import blob_log

    options: dict[str, Any] = {
        "min_sigma": SIGMA_PX[0], "max_sigma": SIGMA_PX[1], "num_sigma": 10,
    }
    seconds, found = in_turn({
        "fast": lambda: find_blobs(field, "log", threshold=THRESHOLD, **options),
        "exact": lambda: find_blobs(field, "log", threshold=THRESHOLD, mode="exact", **options),
        "blob_log": lambda: blob_log(field, threshold=THRESHOLD, **options),
    })
    baseline = found["blob_log"]
    same_cells = match_centers(found["fast"].centers_px, baseline[:, :2], 1.0)
    exact = np.column_stack([found["exact"].centers_px, found["exact"].sigma_px])
    ours = match_centers(found["fast"].centers_px, centers, 10.0)
    theirs = match_centers(baseline[:, :2], centers, 10.0)
    return [
        result(
            "detect-fast", seconds["fast"], seconds["blob_log"], "s", FAST_TARGET,
            equal_outputs=len(same_cells.pairs) == len(baseline) == len(found["fast"]),
            largest_distance_px=float(same_cells.distance_px.max(initial=0.0)),
        ),
        result(
            "detect-exact", seconds["exact"], seconds["blob_log"], "s", EXACT_TARGET,
            equal_outputs={*map(tuple, exact)} == {*map(tuple, baseline)},
        ),
        result(
            "detect-localisation", ours.mean_error_px, theirs.mean_error_px, "px", 1.0,
            equal_outputs=ours.recall >= theirs.recall and ours.precision >= theirs.precision,
            f1=ours.f1, baseline_f1=theirs.f1,
        ),
    ]


def measure_radii(
    field: np.ndarray, centers: np.ndarray, sigmas: np.ndarray
) -> list[dict[str, Any]]:
    """Return a row a detector: how far the mean radius is off, as a fraction of the true one."""
    from skimage import feature

    rows = []
    for method in METHODS:
        options: dict[str, Any] = {
            "min_sigma": _RADIUS_SIGMA_PX[0], "max_sigma": _RADIUS_SIGMA_PX[1],
            "threshold": _RADIUS_THRESHOLD[method],
        }
        blobs: Blobs = find_blobs(field, method, **options)
        theirs = getattr(feature, f"blob_{method}")(field, **options)
        ours, ours_n = _bias(blobs.centers_px, blobs.radius_px, centers, sigmas)
        baseline, baseline_n = _bias(
            theirs[:, :2], theirs[:, 2] * _SKIMAGE_RADIUS[method], centers, sigmas
        )
        rows.append(
            result(
                f"detect-radius-{method}", abs(ours), abs(baseline), "relative bias",
                # The limit, not the baseline, is what ours has to keep.
                abs(baseline) / BIAS_LIMIT,
                equal_outputs=ours_n >= baseline_n,
                signed=ours, baseline_signed=baseline, cells=ours_n, baseline_cells=baseline_n,
            )
        )
    return rows


def _bias(
    found: np.ndarray, radius: np.ndarray, centers: np.ndarray, sigmas: np.ndarray
) -> tuple[float, int]:
    """Return the mean relative error of the radii, and of how many cells."""
    pairs = match_centers(found, centers, 10.0).pairs
    truth = sigmas[pairs[:, 1]] * 2**0.5
    return float(np.mean(radius[pairs[:, 0]] / truth) - 1), len(pairs)


def _memory(field: np.ndarray) -> dict[str, Any]:
    """Return the row of the peak of resident memory of a process that finds the field's cells."""
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        path = Path(folder) / "field.tif"
        tifffile.imwrite(path, field)
        _, peak_bytes = run_measured("detect", str(path), "--json")
    # The limit stands where a baseline would.
    return result(
        "detect-memory", peak_bytes / 2**20, MEMORY_LIMIT_MB, "MB", 1.0, equal_outputs=True
    )
