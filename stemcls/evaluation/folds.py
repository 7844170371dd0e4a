"""Sum up cross-validation: mean and standard deviation over folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stemcls.errors import InputError
from stemcls.evaluation.metrics import HEADLINE, PER_CLASS


def summarise_folds(folds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Average the metrics of K folds.

    Args:
        folds: What `compute_metrics` returned for each, or the same read back from JSON.
    Returns:
        Each of `HEADLINE` as the mean over the folds that define it and its `<key>_sd`, the
        sample standard deviation (ddof = 1, NaN below two folds); the same within `per_class`;
        `n`, the crops of all folds; `folds`, the headline values of each.
    Raises:
        InputError: No folds, or folds of other classes.
    """
    if not folds:
        raise InputError("expected the metrics of at least one fold, found none")
    classes = list(folds[0]["per_class"])
    for index, fold in enumerate(folds):
        if list(fold["per_class"]) != classes:
            raise InputError(
                f"fold {index} has classes {list(fold['per_class'])}, fold 0 has {classes}; "
                "only folds of the same classes can be averaged"
            )
    summary: dict[str, Any] = {"n": sum(fold["n"] for fold in folds), "n_folds": len(folds)}
    for key in HEADLINE:
        summary[key], summary[f"{key}_sd"] = _mean_sd([fold[key] for fold in folds])
    summary["per_class"] = {}
    for name in classes:
        scores = [fold["per_class"][name] for fold in folds]
        row: dict[str, Any] = {"n": sum(score["n"] for score in scores)}
        for key in PER_CLASS:
            row[key], row[f"{key}_sd"] = _mean_sd([score[key] for score in scores])
        summary["per_class"][name] = row
    if len(classes) == 2:
        summary["positive_class"] = classes[-1]
        summary["positive"] = summary["per_class"][classes[-1]]
    summary["folds"] = [{key: fold[key] for key in ("n", *HEADLINE)} for fold in folds]
    return summary


def _mean_sd(values: Sequence[float | None]) -> tuple[float, float]:
    defined = [value for value in values if value is not None and math.isfinite(value)]
    if not defined:
        return math.nan, math.nan
    mean = math.fsum(defined) / len(defined)
    if len(defined) < 2:
        return mean, math.nan
    squares = math.fsum((value - mean) ** 2 for value in defined)
    return mean, math.sqrt(squares / (len(defined) - 1))
