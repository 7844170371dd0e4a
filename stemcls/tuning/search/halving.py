"""Hyperband over epochs: many settings for few epochs, the better ones again for more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.tuning.search.acquisition import anywhere, name_of
from stemcls.tuning.search.history import Trial
from stemcls.tuning.space.dimensions import Dimension
from stemcls.tuning.space.space import SearchSpace

FACTOR = 3
TRIES = 200


@dataclass(frozen=True)
class _Rung:
    """Trials of one length: the first rung of a bracket is drawn, the others are promoted."""

    first: int
    size: int
    share: float  # of the most epochs
    promoted_from: _Rung | None


def by_hyperband(
    space: SearchSpace, trials: Sequence[Trial], number: int, seed: int, maximise: bool
) -> dict[str, Any] | None:
    """Return a random setting for few epochs, or one of the best so far for three times as many.

    Promoted trials train from the start again: a trial is known by its values alone. What is
    shortened are the epochs of the last stage that the space searches.

    Raises:
        InputError: The space has no epochs.

    Source: Li et al. 2018, algorithm 1 (JMLR 18:185).
    """
    epochs = _epochs(space)
    rung = next(r for r in _rungs(epochs) if number < r.first + r.size)
    length = _length(epochs, rung.share)
    by_number = {trial.number: trial for trial in trials}
    tried = {name_of(trial.values) for trial in trials}
    if rung.promoted_from is not None:
        below = rung.promoted_from
        sign = -1.0 if maximise else 1.0
        ranked = sorted(
            (t for n in range(below.first, below.first + below.size)
             if (t := by_number.get(n)) is not None and t.score is not None
             and t.state != "pending"),
            key=lambda t: (sign * (t.score or 0.0), t.number),
        )
        for trial in ranked:
            values = {**trial.values, epochs.key: length}
            if name_of(values) not in tried:
                return values
    rng = np.random.default_rng([seed, number])
    for _ in range(TRIES):
        values = {**anywhere(space, rng), epochs.key: length}
        if name_of(values) not in tried:
            return values
    return None


def _epochs(space: SearchSpace) -> Dimension:
    found = [
        d for d in space.dimensions
        if d.key.startswith("stages.") and d.key.endswith(".epochs") and d.when is None
        and d.kind == "int"
    ]
    if not found:
        raise InputError(
            "hyperband shortens the epochs of a stage, but the space has none: add an int such as "
            "[stages.frozen.epochs], or choose another --algorithm"
        )
    return found[-1]


def _rungs(epochs: Dimension) -> Iterator[_Rung]:
    """Yield the rungs of all brackets, most halving first, and then over again."""
    low, high = float(epochs.low or 1), float(epochs.high or 1)
    deepest = int(math.log(high / max(low, 1.0)) / math.log(FACTOR) + 1e-9)
    first = 0
    while True:
        for halvings in range(deepest, -1, -1):
            size = math.ceil((deepest + 1) / (halvings + 1) * FACTOR**halvings)
            below = None
            for step in range(halvings + 1):
                rung = _Rung(first, size, FACTOR ** (step - halvings), below)
                yield rung
                first, size, below = first + size, max(1, size // FACTOR), rung


def _length(epochs: Dimension, share: float) -> int:
    wanted = float(epochs.high or 1) * share
    return int(epochs.at(epochs.position_of(max(wanted, float(epochs.low or 1)))))

