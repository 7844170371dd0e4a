"""Which dimensions of a space the score depends on, by a forest fitted to the trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.tuning.search.history import Trial
from stemcls.tuning.space.dimensions import Dimension
from stemcls.tuning.space.space import SearchSpace

LEAST_TRIALS = 8
TREES, REPEATS = 100, 10


@dataclass(frozen=True)
class Importance:
    """How much the scores depend on one dimension.

    Attributes:
        key: Of the dimension.
        share: Of the drop in explained variance when its values are shuffled, all dimensions
            together being 1.
        sd: Standard deviation of `share` over shufflings.
    """

    key: str
    share: float
    sd: float


def importances(space: SearchSpace, trials: Sequence[Trial], seed: int = 0) -> list[Importance]:
    """Return the importance of each dimension that varies, the largest first.

    It tells what mattered within the trials that were made, most of them near the best, and nothing
    of values outside. A dimension that is not active in a trial has a value of its own there.

    Args:
        space: Of the search.
        trials: Those with a score are used; fewer than 8 tell nothing.
        seed: Of forest and shuffling.
    Returns: empty where there are too few trials, or all have the same score.
    Source: permutation importance, Breiman 2001, Machine Learning 45, 5, section 10.
    """
    scored = [trial for trial in trials if trial.score is not None]
    scores = np.array([trial.score for trial in scored], dtype=np.float64)
    if len(scored) < LEAST_TRIALS or np.ptp(scores) == 0:
        return []
    table = np.column_stack([
        [_coordinate(d, trial.values) for trial in scored] for d in space.dimensions
    ])
    varied = [i for i in range(table.shape[1]) if np.ptp(table[:, i]) > 0]
    if not varied:
        return []
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    forest = RandomForestRegressor(TREES, random_state=seed, min_samples_leaf=2, n_jobs=1)
    forest.fit(table[:, varied], scores)
    found = permutation_importance(
        forest, table[:, varied], scores, n_repeats=REPEATS, random_state=seed, n_jobs=1
    )
    means = np.maximum(found.importances_mean, 0.0)
    whole = float(means.sum()) or 1.0
    result = [
        Importance(space.dimensions[i].key, float(mean) / whole, float(sd) / whole)
        for i, mean, sd in zip(varied, means, found.importances_std, strict=True)
    ]
    return sorted(result, key=lambda entry: -entry.share)


def _coordinate(dimension: Dimension, values: Any) -> float:
    """Return a place on the dimension's line, -1 where it is not active."""
    if dimension.key not in values:
        return -1.0
    place = dimension.position_of(values[dimension.key])
    return place if math.isfinite(place) else -1.0
