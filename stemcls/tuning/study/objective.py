"""The metric that a search improves: any headline metric, or one of a single class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stemcls.errors import InputError, StemclsError, nearest
from stemcls.evaluation.metrics import HEADLINE, PER_CLASS

DEFAULT = "balanced_accuracy"


def check_objective(name: str, classes: Sequence[str]) -> None:
    """Refuse what is no metric.

    Args:
        name: One of `HEADLINE`, or CLASS.METRIC with one of `PER_CLASS`.
        classes: Those of the search.
    Raises:
        InputError: Names the nearest metric.
    """
    if name in HEADLINE:
        return
    class_name, dot, metric = name.rpartition(".")
    if dot and class_name in classes and metric in PER_CLASS:
        return
    if dot and class_name in classes:
        raise InputError(
            f"--objective {name}: {metric!r} is no metric of a class{nearest(metric, PER_CLASS)}"
        )
    known = [*HEADLINE, *(f"{label}.{metric}" for label in classes for metric in PER_CLASS)]
    hint = nearest(name, known)
    if hint.startswith("; one of"):
        hint = f"; one of: {', '.join(HEADLINE)}, or of one class: {classes[0]}.sensitivity"
    raise InputError(f"--objective {name!r} is not a metric{hint}")


def objective_of(metrics: Mapping[str, Any], name: str) -> float:
    """Return the objective's value among `metrics`, as `compute_metrics` returns them.

    Raises:
        StemclsError: It is undefined for these crops.
    """
    if name in HEADLINE:
        value = metrics.get(name)
    else:
        class_name, _, metric = name.rpartition(".")
        value = metrics["per_class"][class_name].get(metric)
    if value is None or not math.isfinite(value):
        raise StemclsError(f"{name} is undefined on this fold: {metrics.get('undefined')}")
    return float(value)
