"""Find the setting of the largest expected improvement."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from stemcls.tuning.search.encoding import Encoding
from stemcls.tuning.search.surrogate import Surrogate
from stemcls.tuning.space.space import SearchSpace

CANDIDATES = 3000
# The best settings, whose neighbours are half of the candidates.
BEST = 5
# How far neighbours are, as standard deviations on the line of a dimension.
REACHES = (0.2, 0.07, 0.02)
# The best candidates are moved to better neighbours, round by round, ever less far.
POLISHED, NEIGHBOURS = 4, 60
POLISHING = (0.1, 0.05, 0.03, 0.01, 0.005)

# Trials that are under way at the same time are at least this far apart.
APART = 0.05

Setting = dict[str, Any]
Name = tuple[tuple[str, Any], ...]


def name_of(setting: Mapping[str, Any]) -> Name:
    """Return what tells settings apart."""
    return tuple(sorted(setting.items()))


def log_expected_improvement(mean: np.ndarray, deviation: np.ndarray, least: float) -> np.ndarray:
    """Return the logarithm of the expected fall below `least`, (N,).

    Args:
        mean, deviation: (N,) of the surrogate.
        least: What is to be beaten.

    Source: Jones, Schonlau & Welch 1998, eq. 15; its tail as in Ament et al. 2023
        (arXiv:2310.20708).
    """
    from scipy.stats import norm

    z = (least - mean) / deviation
    near = np.maximum(z, -8.0)
    bulk = np.log(norm.pdf(near) + near * norm.cdf(near))
    far = np.minimum(z, -8.0)
    tail = norm.logpdf(far) - 2 * np.log(-far)
    return np.log(deviation) + np.where(z > -8.0, bulk, tail)


def propose(
    space: SearchSpace,
    encoding: Encoding,
    surrogate: Surrogate,
    best: Sequence[Mapping[str, Any]],
    tried: Collection[Name],
    pending: Sequence[Mapping[str, Any]],
    rng: np.random.Generator,
) -> Setting | None:
    """Return the untried setting of the largest expected improvement that was found.

    Args:
        space: What to choose from.
        encoding: Of the space.
        surrogate: Of the scores, lower is better.
        best: The best settings so far, at most `BEST` are used.
        tried: Names of settings that are not to be suggested again.
        pending: Settings under way, to keep apart from.
        rng: Of the candidates.
    Returns: None where no candidate was new.
    """
    least = surrogate.least
    busy = [encoding.points([setting])[0] for setting in pending]

    def gains(settings: Sequence[Setting]) -> np.ndarray:
        points = encoding.points(settings)
        gain = log_expected_improvement(*surrogate.predict(points), least)
        for place in busy:
            gain[np.linalg.norm(points - place, axis=1) < APART] = -np.inf
        return gain

    half = CANDIDATES // 2
    settings = [
        *_anywhere(space, half, rng),
        *(
            neighbour
            for number in range(half)
            for neighbour in [_neighbour(
                space, best[number % min(len(best), BEST)], REACHES[number % len(REACHES)], rng
            )]
        ),
    ]
    found = _new(settings, tried)
    if not found:
        return None
    gain = gains(found)
    leaders = [(float(gain[i]), found[i]) for i in np.argsort(-gain, kind="stable")[:POLISHED]]
    for reach in POLISHING:
        leaders = [_polished(space, leader, reach, tried, gains, rng) for leader in leaders]
    return max(leaders, key=lambda leader: leader[0])[1]


def anywhere(space: SearchSpace, rng: np.random.Generator) -> Setting:
    """Return a random setting."""
    return _anywhere(space, 1, rng)[0]


def _anywhere(space: SearchSpace, count: int, rng: np.random.Generator) -> list[Setting]:
    keys = [dimension.key for dimension in space.dimensions]
    return [
        space.at(dict(zip(keys, row, strict=True)))
        for row in rng.random((count, len(keys))).tolist()
    ]


def _neighbour(
    space: SearchSpace, setting: Mapping[str, Any], reach: float, rng: np.random.Generator
) -> Setting:
    """Return a setting some of whose values moved: numbers along their line, names anywhere."""
    n = len(space.dimensions)
    # Few dimensions at a time or all of them: both kinds of step are needed.
    moved = rng.random(n) < (1.5 / n, 0.5, 1.0)[rng.integers(3)]
    steps = rng.normal(0.0, reach, n).tolist()
    fresh, jumps = rng.random((2, n)).tolist()
    values = {}
    for place, dimension in enumerate(space.dimensions):
        value = setting.get(dimension.key)
        if value is None:
            values[dimension.key] = dimension.at(fresh[place])
        elif not moved[place]:
            values[dimension.key] = value
        elif dimension.ordered:
            values[dimension.key] = _stepped(dimension, value, steps[place])
        else:
            jump = jumps[place] < max(reach, 1 / n)
            values[dimension.key] = dimension.at(fresh[place]) if jump else value
    return space.pruned(values)


def _stepped(dimension: Any, value: Any, step: float) -> Any:
    """Return the value `step` along the line, at least the next one of a coarse dimension."""
    n = dimension.n_values
    if n is not None and abs(step) < 1 / n:
        step = math.copysign(1 / n, step)
    position = dimension.position_of(value) + step
    # Mirrored at the ends, so that neighbours do not pile up there.
    return dimension.at(1.0 - abs(1.0 - abs(position)))


def _polished(
    space: SearchSpace,
    leader: tuple[float, Setting],
    reach: float,
    tried: Collection[Name],
    gains: Any,
    rng: np.random.Generator,
) -> tuple[float, Setting]:
    neighbours = _new([_neighbour(space, leader[1], reach, rng) for _ in range(NEIGHBOURS)], tried)
    if not neighbours:
        return leader
    gain = gains(neighbours)
    place = int(np.argmax(gain))
    return max(leader, (float(gain[place]), neighbours[place]), key=lambda pair: pair[0])


def _new(settings: Sequence[Setting], tried: Collection[Name]) -> list[Setting]:
    return list({
        name: setting for setting in settings if (name := name_of(setting)) not in tried
    }.values())
