"""Score predictions: overall and per class, each headline number with its uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.evaluation.intervals import LEAST_GROUPS, group_weights, percentile_interval
from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.roc import weighted_auroc

HEADLINE = (
    "accuracy", "balanced_accuracy", "mean_recall", "auroc", "f1_macro", "f1_weighted",
    "precision_macro",
)
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
        Each of `HEADLINE` in [0, 1] and its `<key>_ci`, [low, high] or None; `ci_note`, why an
        interval is missing or shaky, or None; `per_class`, `PER_CLASS` and `n` by class name;
        `undefined`; `score_cuts`, what remains where only surer predictions count; `n` and
        `n_groups`; with two classes also `positive_class` and `positive`.
    Raises:
        InputError: A negative number of resamples.
    Source: balanced accuracy as in Khalkhali et al. 2025, the class mean of
        (sensitivity + specificity) / 2; AUROC one against all, macro.
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
        drawn = score_weighted(predictions, group_weights(len(groups), resamples, seed))
        note = _shaky(drawn["class_sensitivity"])

    document: dict[str, Any] = {"n": len(predictions), "n_groups": len(groups)}
    for key in HEADLINE:
        document[key] = float(values[key][0])
        document[f"{key}_ci"] = None if drawn is None else percentile_interval(drawn[key])
    document["ci_note"] = note or None
    counts = np.bincount(predictions.labels, minlength=len(predictions.classes))
    document["per_class"] = {
        name: {key: float(values[f"class_{key}"][0, index]) for key in PER_CLASS}
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
    if len(predictions.classes) == 2:
        positive = predictions.classes[-1]
        document["positive_class"] = positive
        document["positive"] = dict(document["per_class"][positive])
        for key in PER_CLASS:
            document["positive"][f"{key}_ci"] = (
                None if drawn is None else percentile_interval(drawn[f"class_{key}"][:, -1])
            )
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


def score_weighted(predictions: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Score under each of R weightings (G, R): HEADLINE (R,), `class_<PER_CLASS>` (R, K)."""
    k = len(predictions.classes)
    names, group = np.unique(predictions.groups, return_inverse=True)
    cells = group * (k * k) + predictions.labels * k + predictions.predicted
    counts = np.bincount(cells, minlength=len(names) * k * k).reshape(len(names), k * k)
    confusion = (weights.T @ counts).reshape(-1, k, k)
    auroc = np.stack(
        [
            weighted_auroc(
                predictions.probabilities[:, index], predictions.labels == index, group, weights
            )
            for index in range(k)
        ],
        axis=1,
    )
    return _rates(confusion, auroc)


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
        "precision_macro": _mean_defined(ppv),
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


def _shaky(sensitivity: np.ndarray) -> str:
    lacking = int((~np.isfinite(sensitivity)).any(axis=1).sum())
    if not lacking:
        return ""
    return (
        f"{lacking} of {len(sensitivity)} resamples lacked a class, which averages over classes "
        "then skipped: the groups are few, or hold one class each"
    )
