"""Sets of classes that hold the truth at a promised rate, for each class, in new groups."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.evaluation.predictions import Predictions
from stemcls.models.saved import ModelCard

ALPHA = 0.1


@dataclass(frozen=True)
class ClassThreshold:
    """The least probability at which a class joins the set.

    Attributes:
        name: Of the class.
        least: Probability; 0 where too few groups are known, so that it always joins.
        by_crop: The same if crops were independent: right only for new cells of known groups.
        n, n_groups: Crops and groups of the class that it rests on.
    """

    name: str
    least: float
    by_crop: float
    n: int
    n_groups: int


def least_groups(alpha: float) -> int:
    """Return how many groups of a class the promise needs before a set can leave it out."""
    return math.ceil(round(1 / alpha - 1, 9))


def fit_thresholds(predictions: Predictions, alpha: float = ALPHA) -> list[ClassThreshold]:
    """Find thresholds such that a new group's crops of a class are missed at a rate of `alpha`.

    Every group counts the same, however many crops it has, and one more group, all missed, stands
    for the unknown new one: the (1 - alpha) quantile of the mixture is the threshold.

    Args:
        predictions: Of groups that the model did not train on.
        alpha: Share of crops whose set may miss the truth, in each class.
    Raises:
        InputError: alpha outside 0 to 1.
    Source: class-wise (Mondrian) sets: Vovk, Gammerman and Shafer 2005, section 4.5; groups:
        hierarchical conformal prediction, Lee, Barber and Willett 2023 (arXiv:2306.06342).
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is a share between 0 and 1, found {alpha}")
    found = []
    for index, name in enumerate(predictions.classes):
        rows = np.flatnonzero(predictions.labels == index)
        misfit = 1 - predictions.probabilities[rows, index].astype(np.float64)
        _, group, size = np.unique(
            predictions.groups[rows], return_inverse=True, return_counts=True
        )
        by_group = _quantile(misfit, 1 / (size[group] * (len(size) + 1)), alpha)
        by_crop = _quantile(misfit, np.full(len(rows), 1 / (len(rows) + 1)), alpha)
        found.append(ClassThreshold(name, 1 - by_group, 1 - by_crop, len(rows), len(size)))
    return found


def least_probabilities(card: ModelCard) -> list[float]:
    """Return the threshold of each class that a calibrated model carries; empty for others."""
    return [row["least"] for row in card.provenance.get("calibration", {}).get("sets", ())]


def sets_of(probabilities: np.ndarray, least: Sequence[float]) -> np.ndarray:
    """Return (N, K) bool: the classes whose probability reaches their threshold."""
    # Rounding of float32 must not drop a crop that lies on its own threshold.
    return np.asarray(probabilities >= np.asarray(least) - 1e-6)


def describe_sets(predictions: Predictions, least: Sequence[float]) -> dict[str, Any]:
    """Say how often sets hold the truth, and how much they decide.

    Returns: `coverage` and `coverage_of_class` (NaN where a class has no crops), `mean_size`, the
        shares `one` (a single class), `none` (no class: unlike all) and `many`, and how many sets
        of one class are right.
    """
    sets = sets_of(predictions.probabilities, least)
    hit = sets[np.arange(len(predictions)), predictions.labels]
    size = sets.sum(axis=1)
    of_class: Mapping[str, float] = {
        name: float(hit[own].mean()) if (own := predictions.labels == index).any() else math.nan
        for index, name in enumerate(predictions.classes)
    }
    return {
        "coverage": float(hit.mean()), "coverage_of_class": of_class,
        "mean_size": float(size.mean()), "one": float((size == 1).mean()),
        "none": float((size == 0).mean()), "many": float((size > 1).mean()),
        "right_of_one": float(hit[size == 1].mean()) if (size == 1).any() else math.nan,
    }


def _quantile(misfit: np.ndarray, weight: np.ndarray, alpha: float) -> float:
    """Return the (1 - alpha) quantile of weighted values, the missing weight lying at 1."""
    order = np.argsort(misfit, kind="stable")
    reached = np.flatnonzero(np.cumsum(weight[order]) >= 1 - alpha - 1e-9)
    return float(misfit[order][reached[0]]) if len(reached) else 1.0
