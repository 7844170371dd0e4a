"""Find cells as blobs of a map of cells: the bright ones first, then those they outshine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from stemcls.config.imaging import DetectConfig
from stemcls.imaging.detection.blobs import log_spaced, map_blobs, prune_overlaps, typical_radius
from stemcls.imaging.detection.cellmap import (
    RIM_RESPONSE,
    SHRINKAGE,
    CellMap,
    map_cells,
    mean_inside,
    without_cells,
)
from stemcls.imaging.detection.foreground import SURE_NOISE
from stemcls.imaging.detection.outline import measure_radius
from stemcls.imaging.detection.selection import detections_of
from stemcls.imaging.field import Detections, Field

_SIZES = 2.0  # cells of 1/2 to 2 times the usual diameter are found
_THRESHOLD = 0.4
_FAINT_THRESHOLD = 0.7  # what is left once the bright cells are gone is noisier
_FAINT_SIZES = (0.7, 1.4)  # radius, in that of the bright cells
_BLANKED_RADII = 1.1
_LEAST_LEFT = 0.25  # area that still stands out, in that of a cell, below which nothing can be left
_APART = 0.8  # least distance of a faint cell, fraction of the two mean radii
_LEAST_EVIDENCE = 4.5  # mean over the middle of a cell, in standard deviations of noise


@dataclass(frozen=True, eq=False)
class _Found:
    """Blobs in pixels of a map: (N, 2) centres, (N,) radius, (N,) score; rejected by reason."""

    centers: np.ndarray
    radius: np.ndarray
    score: np.ndarray
    overlapping: int

    def at(self, rows: np.ndarray) -> _Found:
        return _Found(
            self.centers[rows], self.radius[rows], self.score[rows], self.overlapping
        )


def find_cells(field: Field, config: DetectConfig, method: str) -> Detections:
    """Find cells as blobs of a soft foreground map.

    The field is reduced until the smallest cell is still well sampled; each slice's deviation
    from a fitted background is measured in noise units (DIC: of the rebuilt thickness; faint
    texture: of local contrast) and pooled over slices; a local level makes dim and bright cells
    alike; hollow cells are filled, and middles count more than rims, which parts touching cells;
    maxima over scales give centres; where the evidence fades gives the radius. Then the cells found
    are blanked out and fainter ones of like size looked for. Blobs that overlap a better one, that
    the field's edge cuts, or of another size than the field's cells are dropped.

    Args:
        field: Finite pixels.
        config: With a diameter, or with both sigmas.
        method: log, dog or doh.
    """
    radius = config.diameter_px / 2
    smallest = (config.min_sigma or radius / _SIZES / 2**0.5) / SHRINKAGE
    largest = (config.max_sigma or radius * _SIZES / 2**0.5) / SHRINKAGE
    cells = map_cells(field.pixels, smallest, largest, config)
    factor = float(cells.scale.mean())
    sigmas = log_spaced(smallest, largest, config.num_sigma) / factor
    threshold = _THRESHOLD if config.threshold is None else config.threshold
    found = _search(cells, sigmas, method, threshold, config.overlap)
    found = _with_fainter(cells, found, sigmas, method, threshold, config.overlap)
    middle = float(np.median(found.radius)) / 3 if len(found.radius) else 1.0
    sure = mean_inside(cells, found.centers, middle) > _LEAST_EVIDENCE
    n_faint = int((~sure).sum())
    found = found.at(np.flatnonzero(sure))
    centers_px, radius_px = cells.to_field(found.centers), found.radius * factor
    dropped = {"overlaps a surer blob": found.overlapping, "too faint": n_faint}
    return detections_of(
        centers_px, radius_px, found.score, field.pixels.shape[1:], config,
        {reason: count for reason, count in dropped.items() if count},
    )


def _search(
    cells: CellMap, sigmas: np.ndarray, method: str, threshold: float, overlap: float
) -> _Found:
    centers, radius, response = map_blobs(
        cells.foreground, sigmas, method, threshold * RIM_RESPONSE
    )
    radius, score = radius * SHRINKAGE, response / RIM_RESPONSE
    kept = prune_overlaps(centers, radius, score, overlap)
    measured = measure_radius(cells.evidence, centers[kept], radius[kept], SURE_NOISE)
    return _Found(centers[kept], measured, score[kept], len(score) - len(kept))


def _with_fainter(
    cells: CellMap, bright: _Found, sigmas: np.ndarray, method: str, threshold: float,
    overlap: float,
) -> _Found:
    """Add cells of like size that stand out once those found are blanked out."""
    if not len(bright.score):
        return bright
    usual = typical_radius(bright.radius, bright.score)
    rest = without_cells(
        cells, bright.centers, _BLANKED_RADII * bright.radius, sigmas[-2]
    )
    left = float((rest.evidence > SURE_NOISE).sum())
    if left < _LEAST_LEFT * np.pi * usual**2:
        return bright
    radii = sigmas * 2**0.5 * SHRINKAGE / usual
    near = np.flatnonzero((radii > _FAINT_SIZES[0] / 1.3) & (radii < _FAINT_SIZES[1] * 1.2))
    if len(near) < 3:
        return bright
    faint = _search(rest, sigmas[near], method, max(threshold, _FAINT_THRESHOLD), overlap)
    low, high = _FAINT_SIZES
    like = (faint.radius > low * usual) & (faint.radius < high * usual)
    faint = faint.at(np.flatnonzero(like))
    faint = faint.at(np.flatnonzero(_apart(faint, bright)))
    return _Found(
        np.concatenate([bright.centers, faint.centers]),
        np.concatenate([bright.radius, faint.radius]),
        # Below every bright one of equal response: their level was lowered for them.
        np.concatenate([bright.score, 0.9 * faint.score]),
        bright.overlapping,
    )


def _apart(faint: _Found, bright: _Found) -> np.ndarray:
    """Return (N,) bool: which faint blobs keep their distance from every bright one."""
    apart = np.ones(len(faint.score), dtype=bool)
    if not len(faint.score):
        return apart
    farthest = _APART / 2 * (faint.radius.max() + bright.radius.max())
    near = cKDTree(faint.centers).sparse_distance_matrix(
        cKDTree(bright.centers), farthest, output_type="coo_matrix"
    )
    reach = _APART / 2 * (faint.radius[near.row] + bright.radius[near.col])
    apart[near.row[near.data <= reach]] = False
    return apart
