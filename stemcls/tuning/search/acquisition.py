"""Find the setting of the largest expected improvement."""

from __future__ import annotations

from collections.abc import Mapping
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

# The share of the surrogate's standard deviation that counts where trials are exact. Searches of
# tens of trials gain by greed; under noise they lose by it, so there the share grows up to all.
LEAST_SHARE = 0.5

# Trials that are under way at the same time are at least this far apart.
APART = 0.05
# Closer than this two points are one setting: numbers keep six digits.
SAME = 2e-6

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
    encoding: Encoding,
    surrogate: Surrogate,
    best: np.ndarray,
    tried: np.ndarray,
    busy: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray | None:
    """Return the positions of the largest expected improvement that was found, (D,).

    Args:
        encoding: Of the space.
        surrogate: Of the scores, lower is better.
        best: (B, D) positions of the best settings so far, at most `BEST` are used.
        tried: (T, C) points that are not to be suggested again.
        busy: (P, C) points of settings under way, to keep apart from.
        rng: Of the candidates.
    Returns: None where no candidate was new.

    Source: greed in searches of few trials, De Ath et al. 2021 (arXiv:1911.12809).
    """
    least = surrogate.least
    share = min(1.0, LEAST_SHARE + surrogate.noise)

    def gains(positions: np.ndarray) -> np.ndarray:
        points = encoding.points(positions)
        mean, deviation = surrogate.predict(points)
        gain = log_expected_improvement(mean, share * deviation, least)
        gain[_nearest(points, tried) < SAME] = -np.inf
        gain[_nearest(points, busy) < APART] = -np.inf
        return gain

    half = CANDIDATES // 2
    numbers = np.arange(half)
    candidates = np.concatenate([
        encoding.snapped(rng.random((half, encoding.n_dimensions))),
        _neighbours(
            encoding, best[numbers % min(len(best), BEST)],
            np.array(REACHES)[numbers % len(REACHES)], rng,
        ),
    ])
    gain = gains(candidates)
    leading = np.argsort(-gain, kind="stable")[:POLISHED]
    leaders, gain = candidates[leading], gain[leading]
    for reach in POLISHING:
        around = _neighbours(
            encoding, leaders.repeat(NEIGHBOURS, axis=0), np.full(len(leaders) * NEIGHBOURS, reach),
            rng,
        )
        # What a leader comes to is the best of itself and its neighbours.
        rivals = np.concatenate(
            [leaders[:, None], around.reshape(len(leaders), NEIGHBOURS, -1)], axis=1
        )
        gain = np.column_stack([gain, gains(around).reshape(len(leaders), NEIGHBOURS)])
        winners = gain.argmax(axis=1)
        rows = np.arange(len(leaders))
        leaders, gain = rivals[rows, winners], gain[rows, winners]
    place = int(gain.argmax())
    return leaders[place] if np.isfinite(gain[place]) else None


def anywhere(space: SearchSpace, rng: np.random.Generator) -> Setting:
    """Return a random setting."""
    keys = [dimension.key for dimension in space.dimensions]
    return space.at(dict(zip(keys, rng.random(len(keys)).tolist(), strict=True)))


def _neighbours(
    encoding: Encoding, positions: np.ndarray, reaches: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return positions some of which moved: numbers along their line, names anywhere.

    Args:
        encoding: Of the space.
        positions: (N, D), snapped.
        reaches: (N,) standard deviations of the steps.
        rng: Of the steps.
    """
    shape, n = positions.shape, positions.shape[1]
    # Few dimensions at a time or all of them: both kinds of step are needed.
    shares = np.array([1.5 / n, 0.5, 1.0])[rng.integers(3, size=len(positions))]
    moved = rng.random(shape) < shares[:, None]
    steps = rng.normal(0.0, 1.0, shape) * reaches[:, None]
    # At least to the next value of a coarse dimension.
    steps = np.copysign(np.maximum(np.abs(steps), encoding.least_steps), steps)
    # Mirrored at the ends, so that neighbours do not pile up there.
    stepped = 1.0 - np.abs(1.0 - np.abs(positions + steps))
    fresh = rng.random(shape)
    jumps = rng.random(shape) < np.maximum(reaches, 1 / n)[:, None]
    named = np.where(jumps, fresh, positions)
    found = np.where(moved, np.where(encoding.ordered, stepped, named), positions)
    return encoding.snapped(np.where(np.isnan(positions), fresh, found))


def _nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the distance of each point from the nearest of the others, (N,)."""
    if not len(others):
        return np.full(len(points), np.inf)
    # By the scalar product: differences of all pairs would need much memory.
    squares = np.sum(points**2, axis=1)[:, None] + np.sum(others**2, axis=1)
    return np.asarray(np.sqrt(np.maximum(squares - 2 * points @ others.T, 0.0).min(axis=1)))
