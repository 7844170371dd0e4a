"""Areas under ROC curves for many weightings at once, and the points of one curve."""

from __future__ import annotations

import numpy as np

BLOCK = 128


def weighted_auroc(
    scores: np.ndarray, positive: np.ndarray, group: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the area under the ROC curve for each of R weightings of the groups.

    The area is the weighted share of pairs (positive, negative) that the score orders rightly,
    a tie counting one half; the order is found once for all weightings.

    Args:
        scores: (N,) float, larger means more likely positive.
        positive: (N,) bool.
        group: (N,) int index into the rows of `weights`.
        weights: (G, R) float64, how often each group counts.
    Returns: (R,) float64 in [0, 1]; NaN where positives or negatives have no weight.
    Source: Hanley and McNeil 1982 (the Wilcoxon statistic as area), with weights.
    """
    negative = np.flatnonzero(~positive)
    negative = negative[np.argsort(scores[negative], kind="stable")]
    ordered = scores[negative]
    positives = np.flatnonzero(positive)
    below = np.searchsorted(ordered, scores[positives], side="left")
    upto = np.searchsorted(ordered, scores[positives], side="right")

    resamples = weights.shape[1]
    areas = np.empty(resamples)
    for start in range(0, resamples, BLOCK):
        block = np.ascontiguousarray(weights[:, start : start + BLOCK])
        summed = np.zeros((len(negative) + 1, block.shape[1]))
        np.cumsum(block[group[negative]], axis=0, out=summed[1:])
        weight = block[group[positives]]
        ordered_pairs = np.einsum("pr,pr->r", weight, summed[below] + summed[upto]) / 2
        pairs = weight.sum(axis=0) * summed[-1]
        with np.errstate(invalid="ignore"):
            areas[start : start + BLOCK] = ordered_pairs / pairs
    return areas


def roc_points(
    scores: np.ndarray, positive: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the corners of one ROC curve.

    Args:
        scores: (N,) float.
        positive: (N,) bool.
    Returns: False positive rate, true positive rate and threshold, (M,) each, from (0, 0) at
        threshold infinity to (1, 1); a rate without any such crop is NaN.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, hit = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    true = np.append(0, np.cumsum(hit)[last]).astype(float)
    false = np.append(0, np.cumsum(~hit)[last]).astype(float)
    thresholds = np.append(np.inf, ordered[last])
    corner = np.ones(len(true), dtype=bool)
    corner[1:-1] = np.diff(true, 2).astype(bool) | np.diff(false, 2).astype(bool)
    corner[1] = True  # the largest score, as scikit-learn keeps it
    with np.errstate(invalid="ignore"):
        return (false / false[-1])[corner], (true / true[-1])[corner], thresholds[corner]
