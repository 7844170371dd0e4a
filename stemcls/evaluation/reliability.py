"""Whether scores mean what they say: bins of the score beside the share that is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stemcls.evaluation.predictions import Predictions

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Crops of about one score.

    Attributes:
        low, high: Ends of the bin, the upper one inside.
        n: Crops in it.
        score: Their mean score.
        right: Share of them that is right.
    """

    low: float
    high: float
    n: int
    score: float
    right: float


def bin_of(score: np.ndarray) -> np.ndarray:
    """Return (N,) int, which of `BINS` equal bins of 0 to 1 holds each score."""
    return np.clip(np.ceil(score * BINS).astype(np.int64) - 1, 0, BINS - 1)


def reliability(predictions: Predictions) -> list[Bin]:
    """Return those of the `BINS` bins of the prediction score that hold crops.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 2 (15 equal bins of
        the largest probability); `ece` of the metrics is the mean of |score - right| over crops.
    """
    place = bin_of(predictions.score)
    right = predictions.predicted == predictions.labels
    n = np.bincount(place, minlength=BINS)
    score = np.bincount(place, weights=predictions.score, minlength=BINS)
    rightly = np.bincount(place, weights=right, minlength=BINS)
    return [
        Bin(i / BINS, (i + 1) / BINS, int(n[i]), float(score[i] / n[i]), float(rightly[i] / n[i]))
        for i in np.flatnonzero(n).tolist()
    ]
