"""Score predictions: overall and per class, each headline number with its uncertainty."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.evaluation.intervals import LEAST_GROUPS, percentile_interval
from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.reliability import reliability
from stemcls.evaluation.weighted import score_resampled, score_weighted

HEADLINE = (
    "accuracy", "balanced_accuracy", "mean_recall", "auroc", "f1_macro", "f1_weighted",
    "precision_macro",
)
# How far scores are from the shares that are right; less is better.
CALIBRATION = ("ece", "brier", "log_loss")
PER_CLASS = ("sensitivity", "specificity", "ppv", "npv", "f1", "auroc")
SCORE_CUTS = (0.34, 0.5, 0.7, 0.9)


def compute_metrics(
    predictions: Predictions, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Score predictions.

    A value that the data cannot give (the sensitivity of a class without crops, the precision of
    a class never predicted) is NaN; averages over classes skip it, and `undefined` names it.

    Args:
        predictions: What the model said and what is true.
        resamples: Bootstrap resamples of the groups for 95 % intervals; 0: no intervals.
        seed: Seed of the resampling.
    Returns:
        Each of `HEADLINE` in [0, 1], each of `CALIBRATION`, and its `<key>_ci`, [low, high] or
        None; `ci_note`, why an interval is missing or shaky, or None; `per_class`, `PER_CLASS` with
        intervals and `n` by class name; `undefined`; `score_cuts`, what remains where only surer
        predictions count; `reliability`, bins of the score; `n` and `n_groups`; with two classes
        also `positive_class` and `positive`.
    Raises:
        InputError: A negative number of resamples.
    Source: balanced accuracy as in Khalkhali et al. 2025, the class mean of
        (sensitivity + specificity) / 2; AUROC one against all, macro; Brier score summed over
        classes, 0 to 2 (Brier 1950, Monthly Weather Review 78, 1); `ece` as in `reliability`.
    """
    if resamples < 0:
        raise InputError(f"resamples must be 0 or more, found {resamples}")
    groups = np.unique(predictions.groups)
    values = score_weighted(predictions, np.ones((len(groups), 1)))
    drawn, note = None, "intervals were not asked for (resamples = 0)"
    if len(groups) < LEAST_GROUPS:
        note = (
            f"no intervals: they need {LEAST_GROUPS} or more independent groups, "
            f"and there are {len(groups)}"
        )
    elif resamples:
        drawn = score_resampled(predictions, resamples, seed)
        there = np.unique(predictions.labels)
        note = _shaky(drawn["class_sensitivity"][:, there])

    document: dict[str, Any] = {"n": len(predictions), "n_groups": len(groups)}
    for key in (*HEADLINE, *CALIBRATION):
        document[key] = float(values[key][0])
        document[f"{key}_ci"] = None if drawn is None else percentile_interval(drawn[key])
    document["ci_note"] = note or None
    counts = np.bincount(predictions.labels, minlength=len(predictions.classes))
    document["per_class"] = {
        name: {key: float(values[f"class_{key}"][0, index]) for key in PER_CLASS}
        | {
            f"{key}_ci": None if drawn is None
            else percentile_interval(drawn[f"class_{key}"][:, index])
            for key in PER_CLASS
        }
        | {"n": int(counts[index])}
        for index, name in enumerate(predictions.classes)
    }
    document["undefined"] = [
        f"{key} of {name}"
        for name, scores in document["per_class"].items()
        for key in PER_CLASS
        if not np.isfinite(scores[key])
    ]
    document["score_cuts"] = score_cuts(predictions)
    document["reliability"] = [asdict(part) for part in reliability(predictions)]
    if len(predictions.classes) == 2:
        positive = predictions.classes[-1]
        document["positive_class"] = positive
        document["positive"] = dict(document["per_class"][positive])
    return document


def confusion_matrix(predictions: Predictions) -> np.ndarray:
    """Return (K, K) int64 counts: rows are the truth, columns the prediction."""
    k = len(predictions.classes)
    cells = predictions.labels * k + predictions.predicted
    return np.bincount(cells, minlength=k * k).reshape(k, k)


def score_cuts(
    predictions: Predictions, cuts: tuple[float, ...] = SCORE_CUTS
) -> list[dict[str, float]]:
    """Say how many crops have at least each prediction score, and how accurate those are."""
    right = predictions.predicted == predictions.labels
    rows = []
    for cut in cuts:
        kept = predictions.score >= cut
        rows.append({
            "cut": cut,
            "n": int(kept.sum()),
            "share": float(kept.mean()),
            "accuracy": float(right[kept].mean()) if kept.any() else float("nan"),
        })
    return rows


def _shaky(sensitivity: np.ndarray) -> str:
    lacking = int((~np.isfinite(sensitivity)).any(axis=1).sum())
    if not lacking:
        return ""
    return (
        f"{lacking} of {len(sensitivity)} resamples lacked a class, which averages over classes "
        "then skipped: the groups are few, or hold one class each"
    )
