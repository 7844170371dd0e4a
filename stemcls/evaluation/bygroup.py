"""Scores of every group by itself: one poor donor hides in an average."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.proportions import wilson_interval


@dataclass(frozen=True)
class GroupScore:
    """How well one group was told.

    Attributes:
        name: Of the group.
        n: Crops.
        accuracy: Share that is right.
        accuracy_ci: 95 % interval over its crops, as if they were independent.
        mean_recall: Mean over the classes that it has.
        n_of_class: Crops of each class.
    """

    name: str
    n: int
    accuracy: float
    accuracy_ci: tuple[float, float]
    mean_recall: float
    n_of_class: tuple[int, ...]


def score_groups(
    predictions: Predictions, names: Mapping[int, str] | None = None
) -> list[GroupScore]:
    """Return the scores of each group, worst first.

    Args:
        predictions: What was scored.
        names: Of the groups by their number; None: the numbers.
    """
    k = len(predictions.classes)
    numbers, group = np.unique(predictions.groups, return_inverse=True)
    right = predictions.predicted == predictions.labels
    place = group * k + predictions.labels
    n = np.bincount(place, minlength=len(numbers) * k).reshape(-1, k)
    hits = np.bincount(place, weights=right, minlength=len(numbers) * k).reshape(-1, k)
    found = []
    for index, number in enumerate(numbers.tolist()):
        there = n[index] > 0
        total, correct = int(n[index].sum()), int(hits[index].sum())
        found.append(
            GroupScore(
                name=(names or {}).get(number, str(number)), n=total, accuracy=correct / total,
                accuracy_ci=wilson_interval(correct, total),
                mean_recall=float((hits[index][there] / n[index][there]).mean()),
                n_of_class=tuple(n[index].tolist()),
            )
        )
    return sorted(found, key=lambda score: (score.accuracy, score.name))

