"""Choose which blobs are cells, and count why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from scipy.spatial import cKDTree

from stemcls.config.imaging import DetectConfig
from stemcls.imaging.detection.blobs import typical_radius
from stemcls.imaging.field import Detections

_FEWEST_FOR_SPREAD = 12
_LEAST_SPREAD = 0.08  # of log radius, so that equal cells do not make each other outliers
_MAD_TO_SD = 1.4826


def detections_of(
    centers_px: np.ndarray, radius_px: np.ndarray, score: np.ndarray, shape: tuple[int, ...],
    config: DetectConfig, dropped: Mapping[str, int] | None = None,
) -> Detections:
    """Return the blobs that `select_cells` keeps.

    Args:
        centers_px, radius_px, score, shape, config: As there.
        dropped: Reasons for which others were turned down before, and how many.
    """
    kept, rejected = select_cells(centers_px, radius_px, score, shape, config)
    return Detections(
        centers_px[kept].astype(np.float32), radius_px[kept].astype(np.float32),
        score[kept].astype(np.float32), {**(dropped or {}), **rejected},
    )  # fmt: skip


def select_cells(
    centers_px: np.ndarray, radius_px: np.ndarray, score: np.ndarray, shape: tuple[int, ...],
    config: DetectConfig,
) -> tuple[np.ndarray, dict[str, int]]:
    """Drop blobs that the field's edge cuts, debris, clusters, and the lesser of close pairs.

    Sizes are judged against the field's own cells: by their typical radius, and by the robust
    spread of the log radius where there are at least 12.

    Args:
        centers_px: (N, 2) y, x.
        radius_px: (N,).
        score: (N,).
        shape: Y and X of the field.
        config: The thresholds.
    Returns: Rows kept, best score first, and how many were dropped for each reason.
    Source: size thresholds and uniqueness as in Wang et al. 2023.
    """
    order = np.argsort(-score, kind="stable")
    rejected: Counter[str] = Counter()
    if not len(order):
        return order, {}
    usual = typical_radius(radius_px, np.maximum(score, 1e-9))
    to_edge = np.minimum(centers_px, np.array(shape) - 1 - centers_px).min(axis=1)
    least = np.maximum(config.border_px, config.edge_radii * np.maximum(radius_px, usual))
    whole = to_edge >= least
    low, high = _size_limits(radius_px[whole], usual, config)
    reasons = {
        "cut by the field's edge": ~whole,
        "too small: debris": radius_px < low,
        "too large: cluster or dirt": radius_px > high,
    }
    alive = np.ones(len(order), bool)
    for reason, wrong in reasons.items():
        rejected[reason] += int((alive & wrong).sum())
        alive &= ~wrong
    kept = order[alive[order]]
    apart = _apart(centers_px[kept], config.min_distance_px)
    rejected["too near a surer cell"] += len(kept) - len(apart)
    return kept[apart], {reason: count for reason, count in rejected.items() if count}


def _size_limits(
    radius_px: np.ndarray, usual: float, config: DetectConfig
) -> tuple[float, float]:
    low = config.min_relative_radius * usual
    high = config.max_relative_radius * usual or np.inf
    if config.size_outliers and len(radius_px) >= _FEWEST_FOR_SPREAD:
        logs = np.log(radius_px)
        middle = float(np.median(logs))
        spread = max(_MAD_TO_SD * float(np.median(np.abs(logs - middle))), _LEAST_SPREAD)
        low = max(low, float(np.exp(middle - config.size_outliers * spread)))
        high = min(high, float(np.exp(middle + config.size_outliers * spread)))
    return low, high


def _apart(centers_px: np.ndarray, distance_px: float) -> np.ndarray:
    """Return the rows that keep `distance_px` from every earlier row kept."""
    if distance_px <= 0 or not len(centers_px):
        return np.arange(len(centers_px))
    near = cKDTree(centers_px).query_pairs(distance_px, output_type="ndarray")
    beside: dict[int, list[int]] = {}
    for first, second in near:
        beside.setdefault(int(max(first, second)), []).append(int(min(first, second)))
    gone: set[int] = set()
    for row in range(len(centers_px)):
        if any(other not in gone for other in beside.get(row, ())):
            gone.add(row)
    return np.array([row for row in range(len(centers_px)) if row not in gone], np.intp)
