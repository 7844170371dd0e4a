"""Suggest the next trial of a search from the trials so far, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from stemcls.errors import check_known
from stemcls.tuning.search.acquisition import BEST, Name, Setting, anywhere, name_of, propose
from stemcls.tuning.search.encoding import Encoding
from stemcls.tuning.search.evidence import weigh
from stemcls.tuning.search.halving import by_hyperband
from stemcls.tuning.search.history import Trial
from stemcls.tuning.search.stock import by_keras_tuner
from stemcls.tuning.search.surrogate import Surrogate
from stemcls.tuning.space.space import SearchSpace

# Spaces up to this size are looked through setting by setting where chance finds nothing new.
LISTED = 20_000
TRIES = 200


def suggest(
    space: SearchSpace,
    trials: Sequence[Trial],
    number: int,
    seed: int,
    algorithm: str = "ei",
    maximise: bool = True,
) -> Setting | None:
    """Return the setting of trial `number`.

    The same history, number and seed give the same answer in any process. Trial 0 is the initial
    configuration, every dimension at its default. No setting is suggested twice, whatever became of
    it (but stock KerasTuner may).

    Args:
        space: What to choose from.
        trials: Those suggested before, in any state.
        number: Of the new trial.
        seed: Of the search.
        algorithm: One of `ALGORITHMS`.
        maximise: The largest score is best; else the least.
    Returns: values of the active dimensions; None: every setting has been tried.
    Raises:
        InputError: There is no such algorithm; names the nearest.
    """
    check_known(algorithm, ALGORITHMS, f"there is no search {algorithm!r}")
    from threadpoolctl import threadpool_limits

    ordered = sorted(trials, key=lambda trial: trial.number)
    if not ordered:
        return space.defaults()
    # Matrices of tens of trials: more threads only wait for each other, and for running trials.
    with threadpool_limits(limits=1):
        return ALGORITHMS[algorithm](space, ordered, number, seed, maximise)


def by_chance(
    space: SearchSpace, trials: Sequence[Trial], number: int, seed: int, maximise: bool  # noqa: ARG001
) -> Setting | None:
    """Draw a setting that was not tried."""
    rng = np.random.default_rng([seed, number])
    return _first_new(space, _names(trials), (anywhere(space, rng) for _ in range(TRIES)))


def by_expected_improvement(
    space: SearchSpace, trials: Sequence[Trial], number: int, seed: int, maximise: bool
) -> Setting | None:
    """Spread the first trials out; then ask a Gaussian process where improvement is expected."""
    tried = _names(trials)
    scored = [trial for trial in trials if trial.score is not None and trial.state != "pending"]
    if number < n_initial(space) or len(scored) < 2:
        return _first_new(space, tried, _spread(space, number, seed))
    rng = np.random.default_rng([seed, number])
    encoding = Encoding(space)
    surrogate = _surrogate(encoding, trials, maximise)
    busy = _points(encoding, [trial for trial in trials if trial.state == "pending"])
    if len(busy):
        surrogate = surrogate.given(busy)
    positions = encoding.positions([trial.values for trial in scored])
    means = surrogate.predict(encoding.points(positions))[0]
    best = positions[np.argsort(means, kind="stable")[:BEST]]
    found = propose(encoding, surrogate, best, _points(encoding, trials), busy, rng)
    return _first_new(space, tried, () if found is None else (encoding.setting(found),))


def n_initial(space: SearchSpace) -> int:
    """How many trials are spread out before any are modelled."""
    return min(max(4, len(space.dimensions)), 6)


def _surrogate(
    encoding: Encoding, trials: Sequence[Trial], maximise: bool
) -> Surrogate:
    """Fit the trials that have ended; lost ones count as the worst score that was seen."""
    evidence = weigh(trials)
    scored = [trial for trial in trials if trial.score is not None and trial.state != "pending"]
    lost = [trial for trial in trials if trial.lost]
    sign = -1.0 if maximise else 1.0
    scores = [sign * evidence.mean(trial) for trial in scored]
    variances = [evidence.variance(trial) for trial in scored]
    scores += [max(scores)] * len(lost)
    variances += [0.0] * len(lost)
    return Surrogate(
        _points(encoding, [*scored, *lost]), encoding.groups, np.array(scores), np.array(variances)
    )


def _points(encoding: Encoding, trials: Sequence[Trial]) -> np.ndarray:
    positions = encoding.positions([trial.values for trial in trials])
    return encoding.points(positions.reshape(len(trials), encoding.n_dimensions))


def _spread(space: SearchSpace, number: int, seed: int) -> Iterator[Setting]:
    """Yield settings that fill the space evenly, from the `number`-th on; each search has its own.

    Source: Owen 1998, scrambled Sobol points.
    """
    from scipy.stats import qmc

    keys = [dimension.key for dimension in space.dimensions]
    sobol = qmc.Sobol(len(keys), scramble=True, rng=np.random.default_rng([seed]))
    sobol.fast_forward(number)
    for _ in range(TRIES):
        yield space.at(dict(zip(keys, sobol.random(1)[0].tolist(), strict=True)))


def _first_new(
    space: SearchSpace, tried: set[Name], settings: Any
) -> Setting | None:
    for setting in settings:
        if name_of(setting) not in tried:
            return setting
    size = space.size()
    if size is None or size > LISTED:
        return None
    return next((s for s in space.settings() if name_of(s) not in tried), None)


def _names(trials: Sequence[Trial]) -> set[Name]:
    return {name_of(trial.values) for trial in trials}


Algorithm = Callable[[SearchSpace, Sequence[Trial], int, int, bool], Setting | None]
ALGORITHMS: dict[str, Algorithm] = {
    "ei": by_expected_improvement,
    "random": by_chance,
    "kerastuner": by_keras_tuner,
    "hyperband": by_hyperband,
}
