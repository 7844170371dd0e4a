"""Every score under many weightings of the groups at once: what intervals are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stemcls.evaluation.intervals import weight_blocks
from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.reliability import BINS, bin_of
from stemcls.evaluation.roc import auroc_of

# A probability of 0 for the truth would make the log loss infinite.
LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True, eq=False)
class Sums:
    """What the crops of each of G groups add up to.

    Attributes:
        confusion: (G, K * K) counts, truth by truth.
        bins: (G, 3 * B): crops, scores and right answers in each bin of the score.
        losses: (G, 2): Brier scores and log losses.
        areas: Of each class, what gives its AUROC for a weighting.
    """

    confusion: np.ndarray
    bins: np.ndarray
    losses: np.ndarray
    areas: tuple[Callable[[np.ndarray], np.ndarray], ...]

    def score(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Score under each of R weightings (G, R).

        Returns: (R,) of each headline and calibration number, `class_<key>` (R, K) of each
            number of a class.
        """
        k = len(self.areas)
        confusion = (weights.T @ self.confusion).reshape(-1, k, k)
        auroc = np.stack([area(weights) for area in self.areas], axis=1)
        total = confusion.sum(axis=(1, 2))
        n, score, right = np.split(weights.T @ self.bins, 3, axis=1)
        brier, log_loss = (weights.T @ self.losses).T / total
        ece = np.abs(right - score).sum(axis=1) / n.sum(axis=1)
        return _rates(confusion, auroc) | {"ece": ece, "brier": brier, "log_loss": log_loss}


def sums_of(predictions: Predictions, resamples: int = 1) -> Sums:
    """Add up the crops of each group; `resamples` is about how often they will be weighted."""
    k, n = len(predictions.classes), len(predictions)
    names, group = np.unique(predictions.groups, return_inverse=True)
    predicted, score = predictions.predicted, predictions.score
    at_truth = predictions.probabilities[np.arange(n), predictions.labels].astype(np.float64)
    # Sum of squares of p - onehot, without the (N, K) array of ones.
    brier = (predictions.probabilities.astype(np.float64) ** 2).sum(axis=1) + 1 - 2 * at_truth
    log_loss = -np.log(np.maximum(at_truth, LEAST_PROBABILITY))
    bins = group * BINS + bin_of(score)

    def summed(place: np.ndarray, width: int, values: np.ndarray | None = None) -> np.ndarray:
        found = np.bincount(place, weights=values, minlength=len(names) * width)
        return found.reshape(len(names), width).astype(np.float64)

    return Sums(
        confusion=summed(group * (k * k) + predictions.labels * k + predicted, k * k),
        bins=np.hstack([
            summed(bins, BINS), summed(bins, BINS, score),
            summed(bins, BINS, predicted == predictions.labels),
        ]),
        losses=np.hstack([summed(group, 1, brier), summed(group, 1, log_loss)]),
        areas=tuple(
            auroc_of(
                predictions.probabilities[:, index], predictions.labels == index, group,
                len(names), resamples,
            )
            for index in range(k)
        ),
    )


def score_weighted(predictions: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Score under each of R weightings (G, R) of the groups in order; see `Sums.score`."""
    return sums_of(predictions, weights.shape[1]).score(weights)


def score_resampled(
    predictions: Predictions, resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Score under the weightings of `group_weights`, in memory that does not grow with them."""
    sums = sums_of(predictions, resamples)
    n_groups = len(sums.confusion)
    parts = [
        sums.score(weights)
        for weights in weight_blocks(n_groups, resamples, seed, len(predictions))
    ]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _rates(confusion: np.ndarray, auroc: np.ndarray) -> dict[str, np.ndarray]:
    total = confusion.sum(axis=(1, 2))[:, None]
    true = np.diagonal(confusion, axis1=1, axis2=2)
    support, called = confusion.sum(axis=2), confusion.sum(axis=1)
    with np.errstate(invalid="ignore"):
        sensitivity = true / support
        specificity = (total - support - called + true) / (total - support)
        ppv = true / called
        npv = (total - support - called + true) / (total - called)
        f1 = np.where(support > 0, 2 * true / (support + called), np.nan)
        f1_weighted = (np.nan_to_num(f1) * support).sum(axis=1) / total[:, 0]
        accuracy = true.sum(axis=1) / total[:, 0]
    return {
        "accuracy": accuracy,
        "balanced_accuracy": _mean_defined((sensitivity + specificity) / 2),
        "mean_recall": _mean_defined(sensitivity),
        "auroc": _mean_defined(auroc),
        "f1_macro": _mean_defined(f1),
        "f1_weighted": f1_weighted,
        "precision_macro": _mean_defined(np.where(support > 0, ppv, np.nan)),
        "class_sensitivity": sensitivity,
        "class_specificity": specificity,
        "class_ppv": ppv,
        "class_npv": npv,
        "class_f1": f1,
        "class_auroc": auroc,
    }


def _mean_defined(values: np.ndarray) -> np.ndarray:
    """Average (R, K) over classes that have a value; NaN where none has."""
    defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0).sum(axis=1) / defined.sum(axis=1)
