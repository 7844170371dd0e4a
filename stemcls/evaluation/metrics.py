"""Score predictions: overall and per class, each headline number with its uncertainty."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.evaluation.fewgroups import FOLDS, few_note, groups_of_classes
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
    predictions: Predictions, resamples: int = 1000, seed: int = 0, remedy: str = FOLDS
) -> dict[str, Any]:
    """Score predictions.

    An interval of a class needs three groups or more that hold crops of it; one of all crops, or of
    all classes, needs that of every class that has crops.

    A value that the data cannot give (the sensitivity of a class without crops, the precision of
    a class never predicted) is NaN; averages over classes skip it, and `undefined` names it.

    Args:
        predictions: What the model said and what is true.
        resamples: Bootstrap resamples of the groups for 95 % intervals; 0: no intervals.
        seed: Seed of the resampling.
        remedy: Where groups are too few: what gives more, for `ci_note`.
    Returns:
        Each of `HEADLINE` in [0, 1], each of `CALIBRATION`, and its `<key>_ci`, [low, high] or
        None; `ci_note`, why intervals are missing or shaky and what to type, or None; `per_class`,
        `PER_CLASS` with intervals, `n` and `n_groups` by class name; `undefined`; `score_cuts`,
        what remains where only surer predictions count; `reliability`, bins of the score; `n` and
        `n_groups`; with two classes also `positive_class` and `positive`.
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
    k = len(predictions.classes)
    of_class = groups_of_classes(predictions.labels, predictions.groups, k)
    drawn = None
    notes = ["intervals were not asked for (resamples = 0)"]
    if resamples:
        notes = [few_note(dict(zip(predictions.classes, of_class, strict=True)), remedy)]
        if max(of_class) >= LEAST_GROUPS:
            drawn = score_resampled(predictions, resamples, seed)
            notes.append(_shaky(drawn["class_sensitivity"][:, np.array(of_class) > 0]))
    enough = drawn if min(n for n in of_class if n) >= LEAST_GROUPS else None

    document: dict[str, Any] = {"n": len(predictions), "n_groups": len(groups)}
    for key in (*HEADLINE, *CALIBRATION):
        document[key] = float(values[key][0])
        document[f"{key}_ci"] = (
            None if enough is None else percentile_interval(enough[key], key in HEADLINE)
        )
    counts = np.bincount(predictions.labels, minlength=k)
    document["per_class"] = {}
    for index, name in enumerate(predictions.classes):
        sure = drawn if of_class[index] >= LEAST_GROUPS else None
        document["per_class"][name] = {
            key: float(values[f"class_{key}"][0, index]) for key in PER_CLASS
        } | {
            f"{key}_ci": None if sure is None
            else percentile_interval(sure[f"class_{key}"][:, index], of_score=True)
            for key in PER_CLASS
        } | {"n": int(counts[index]), "n_groups": of_class[index]}
    if enough is not None and document["accuracy_ci"] is None:
        notes.append(
            f"no interval of a score that is the same in all {len(groups)} groups: resampling them "
            "cannot say how sure it is"
        )
    document["ci_note"] = "; ".join(filter(None, notes)) or None
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
