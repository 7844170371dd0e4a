"""How much of a crop is salient, whether that differs between hits, and whether it is the cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stemcls.evaluation.statistics import UndefinedTestError, t_test

SALIENT = 0.5


def pixel_score(heatmaps: np.ndarray) -> np.ndarray:
    """Return how much of each crop is salient: saliency below 0.5 set to 0, mean of ALL pixels.

    Args:
        heatmaps: (N, H, W), 1 at most; what speaks against the class (below 0) does not count.
    Returns: (N,) float32 in [0, 1].
    Source: the normalised pixel score of Kim et al. 2022.
    """
    kept = np.where(heatmaps >= SALIENT, heatmaps, 0)
    return kept.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)


def compare_hits(
    scores: np.ndarray,
    truth: np.ndarray,
    predicted: np.ndarray,
    groups: np.ndarray,
    classes: Sequence[str],
) -> list[dict[str, Any]]:
    """Compare the pixel scores of true positives with those of true negatives, class by class.

    Each crop has one score, of the map of the class that it was explained for.

    Args:
        scores: (N,) pixel scores.
        truth: (N,) true class indices, -1 where unknown.
        predicted: (N,) predicted class indices.
        groups: (N,) group (donor) indices.
        classes: K names.
    Returns: One row per class: `class`, `n_tp`, `n_tn`, `median_tp`, `median_tn`, `superiority`
        (how often a true positive scores higher than a true negative; 0.5: equally often),
        `p` (Mann-Whitney U, two-sided, cells taken for independent), `p_groups` (Welch's t test of
        group means) and `note` where one is None.
    Source: Mann and Whitney 1947 (doi:10.1214/aoms/1177730491); the comparison is Kim et al. 2022.
    """
    known = truth >= 0
    rows = []
    for index, name in enumerate(classes):
        positive = known & (truth == index) & (predicted == index)
        negative = known & (truth != index) & (predicted != index)
        row: dict[str, Any] = {
            "class": name,
            "n_tp": int(positive.sum()), "n_tn": int(negative.sum()),
            "median_tp": _median(scores[positive]), "median_tn": _median(scores[negative]),
        }
        rows.append(row | _tests(scores, positive, negative, groups))
    return rows


def inside_share(heatmaps: np.ndarray, radius_px: np.ndarray) -> dict[str, np.ndarray]:
    """Say how much of the positive saliency lies inside the cell.

    Args:
        heatmaps: (N, H, W).
        radius_px: (N,) radius of the cell in pixels of the crop, NaN where unknown. The cell's
            centre is pixel (H // 2, W // 2), where crops are cut.
    Returns: `mass` (N,), the share of saliency inside; `area` (N,), the share of pixels inside,
        which a map without preference would have; NaN where the radius is unknown, and `mass`
        also where nothing is salient.
    """
    height, width = heatmaps.shape[1:]
    y, x = np.ogrid[:height, :width]
    distance = np.hypot(y - height // 2, x - width // 2)
    inside = distance[None] <= radius_px[:, None, None]
    positive = np.maximum(heatmaps, 0, dtype=np.float64)
    total = positive.sum(axis=(1, 2))
    mass = np.divide(
        (positive * inside).sum(axis=(1, 2)), total, out=np.full(len(total), np.nan),
        where=total > 0,
    )
    unknown = ~np.isfinite(radius_px)
    return {
        "mass": np.where(unknown, np.nan, mass),
        "area": np.where(unknown, np.nan, inside.mean(axis=(1, 2))),
    }


def _tests(
    scores: np.ndarray, positive: np.ndarray, negative: np.ndarray, groups: np.ndarray
) -> dict[str, Any]:
    from scipy import stats

    first, second = scores[positive], scores[negative]
    if not len(first) or not len(second):
        note = "no true positives" if not len(first) else "no true negatives"
        return {"superiority": None, "p": None, "p_groups": None, "note": note}
    found = stats.mannwhitneyu(first, second, alternative="two-sided")
    superiority = float(found.statistic) / (len(first) * len(second))
    note, p_groups = "", None
    try:
        p_groups = t_test(_means(first, groups[positive]), _means(second, groups[negative])).p
    except UndefinedTestError as error:
        note = f"groups not compared: {error}"
    return {
        "superiority": superiority, "p": float(found.pvalue), "p_groups": p_groups, "note": note
    }


def _means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    return np.array([values[groups == group].mean() for group in np.unique(groups)])


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None
