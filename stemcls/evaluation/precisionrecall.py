"""The precision-recall curve of one class and its average precision."""

from __future__ import annotations

import numpy as np

from stemcls.evaluation.roc import called_from


def precision_recall(
    scores: np.ndarray, positive: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the curve of one class against all others, and the area below its steps.

    Args:
        scores: (N,) float, larger means more likely positive.
        positive: (N,) bool.
    Returns: recall (M,) from 0 to 1, precision (M,), and the average precision; all NaN where
        there is no positive.
    Source: average precision as sum over thresholds of (recall gained) x precision, Manning,
        Raghavan and Schütze 2008, section 8.4.
    """
    _, true, false = called_from(scores, positive)
    if not positive.any():
        nothing = np.full(len(true) + 1, np.nan)
        return nothing, nothing.copy(), float("nan")
    recall, precision = true / true[-1], true / (true + false)
    average = float(np.sum(np.diff(recall, prepend=0.0) * precision))
    return np.append(0.0, recall), np.append(precision[0], precision), average
