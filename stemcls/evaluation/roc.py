"""Areas under ROC curves for many weightings at once, and the points of one curve."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Columns of groups that are counted at once.
_COLUMNS = 64


def auroc_of(
    scores: np.ndarray, positive: np.ndarray, group: np.ndarray, n_groups: int, resamples: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Order the scores once, and return what gives the area for any weighting (G, R).

    The area is the weighted share of pairs (positive, negative) that the score orders rightly,
    a tie counting one half. Where groups are fewer than weightings, pairs are counted once for
    every two groups, else summed along the order for every weighting; both are exact.

    Args:
        scores: (N,) float, larger means more likely positive.
        positive: (N,) bool.
        group: (N,) int index into the rows of the weightings.
        n_groups: G.
        resamples: About how many weightings there will be.
    Returns: A function of (G, R) float64, how often each group counts, to (R,) float64 in
        [0, 1]; NaN where positives or negatives have no weight.
    Source: Hanley and McNeil 1982 (the Wilcoxon statistic as area), with weights.
    """
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(scores[negatives], kind="stable")]
    positives = np.flatnonzero(positive)
    positives = positives[np.argsort(scores[positives], kind="stable")]
    below = np.searchsorted(scores[negatives], scores[positives], side="left")
    upto = np.searchsorted(scores[negatives], scores[positives], side="right")
    of_positive, of_negative = group[positives], group[negatives]
    n_positive = np.bincount(of_positive, minlength=n_groups).astype(np.float64)
    n_negative = np.bincount(of_negative, minlength=n_groups).astype(np.float64)
    pairs = (
        _count_pairs(of_positive, of_negative, below, upto, n_groups)
        if n_groups <= resamples else None
    )

    def areas(weights: np.ndarray) -> np.ndarray:
        if pairs is not None:
            ordered = np.einsum("gr,gr->r", pairs @ weights, weights)
        else:
            summed = np.zeros((len(negatives) + 1, weights.shape[1]))
            np.cumsum(weights[of_negative], axis=0, out=summed[1:])
            ordered = np.einsum(
                "pr,pr->r", weights[of_positive], summed[below] + summed[upto]
            ) / 2
        with np.errstate(invalid="ignore"):
            return ordered / ((n_positive @ weights) * (n_negative @ weights))

    return areas


def _count_pairs(
    of_positive: np.ndarray, of_negative: np.ndarray, below: np.ndarray, upto: np.ndarray,
    n_groups: int,
) -> np.ndarray:
    """Return (G, G): pairs of a positive of group g and a negative of group h in right order."""
    pairs = np.zeros((n_groups, n_groups))
    if not len(of_positive) or not len(of_negative):
        return pairs
    order = np.argsort(of_positive, kind="stable")
    present, starts = np.unique(of_positive[order], return_index=True)
    below, upto = below[order], upto[order]
    for first in range(0, n_groups, _COLUMNS):
        columns = np.arange(first, min(first + _COLUMNS, n_groups), dtype=np.int64)
        before = np.zeros((len(of_negative) + 1, len(columns)), dtype=np.int32)
        np.cumsum(of_negative[:, None] == columns, axis=0, dtype=np.int32, out=before[1:])
        twice = before[below] + before[upto]
        pairs[present, first : first + len(columns)] = (
            np.add.reduceat(twice, starts, axis=0, dtype=np.float64) / 2
        )
    return pairs


def called_from(
    scores: np.ndarray, positive: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every score there is, falling, and the positives and negatives that reach it.

    Args:
        scores: (N,) float.
        positive: (N,) bool.
    Returns: (M,) each; the counts are float64.
    """
    order = np.argsort(-scores, kind="stable")
    ordered, hit = scores[order], positive[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    true = np.cumsum(hit)[last].astype(float)
    return ordered[last], true, last + 1 - true


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
    thresholds, true, false = (
        np.append(first, counts)
        for first, counts in zip((np.inf, 0, 0), called_from(scores, positive), strict=True)
    )
    corner = np.ones(len(true), dtype=bool)
    corner[1:-1] = np.diff(true, 2).astype(bool) | np.diff(false, 2).astype(bool)
    corner[1] = True  # the largest score, as scikit-learn keeps it
    with np.errstate(invalid="ignore"):
        return (false / false[-1])[corner], (true / true[-1])[corner], thresholds[corner]
