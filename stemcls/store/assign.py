"""Share out whole units (donors, fields) to the sides of a split, as stratified as they allow."""

from __future__ import annotations

import itertools

import numpy as np

_MANY_UNITS = 2000
_EXHAUSTIVE_CASES = 60_000


def assign_units(counts: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray | None:
    """Give every unit to one side so that each side has its share of every class.

    Many seeded attempts are made and the one with the smallest deviation wins; every class must
    be on every side. Where no attempt manages that, small problems are searched exhaustively.

    Args:
        counts: (U, C) crops of each class in each unit.
        shares: (S,) wanted share of each side, adding up to 1.
        seed: Makes the result repeatable; another seed gives another of the good assignments.
    Returns: (U,) side of each unit, or None where no way was found.
    """
    generator = np.random.default_rng(seed)
    weights = counts / counts.sum(axis=0)
    many = len(counts) > _MANY_UNITS
    attempts = 4 if many else int(np.clip(20_000 // len(counts), 8, 64))
    best, best_deviation = None, np.inf
    for attempt in range(attempts):
        if many:
            sides = _by_main_class(weights, shares, generator)
        else:
            sides = _greedy(weights, shares, generator, seeded=bool(attempt % 2))
        found = deviation(counts, sides, shares)
        if found < best_deviation:
            best, best_deviation = sides, found
    if best is None and len(shares) ** len(counts) <= _EXHAUSTIVE_CASES:
        cases = np.array(list(itertools.product(range(len(shares)), repeat=len(counts))))
        cases = generator.permutation(cases)
        deviations = [deviation(counts, sides, shares) for sides in cases]
        if np.isfinite(min(deviations)):
            best = cases[int(np.argmin(deviations))]
    return best


def deal_folds(unit: np.ndarray, labels: np.ndarray, k: int, folds: int, seed: int) -> np.ndarray:
    """Deal whole units to folds, each class in every fold where it has units enough.

    Args:
        unit: (n,) int, what is kept together.
        labels: (n,) int in 0..k-1.
        k: Number of classes.
        folds: Most folds; fewer where a class has fewer units.
        seed: Of the deal.
    Returns: (n,) fold of each row, from 0; all 0 where a class lives in a single unit.
    """
    _, dense = np.unique(unit, return_inverse=True)
    counts = np.zeros((int(dense.max()) + 1, k), np.int64)
    np.add.at(counts, (dense, labels), 1)
    most = int((counts > 0).sum(axis=0).min())
    for number in range(min(folds, most), 1, -1):
        sides = assign_units(counts, np.full(number, 1 / number), seed)
        if sides is not None:
            return np.asarray(sides[dense])
    return np.zeros(len(unit), np.int64)


def deviation(counts: np.ndarray, sides: np.ndarray, shares: np.ndarray) -> float:
    """Largest difference between a side's share of a class and the wanted one, 0 to 1.

    Infinite where a side lacks a class.
    """
    got = np.zeros((len(shares), counts.shape[1]))
    np.add.at(got, sides, counts)
    if not got.all():
        return np.inf
    return float(np.abs(got / counts.sum(axis=0) - shares[:, None]).max())


def _greedy(
    weights: np.ndarray, shares: np.ndarray, generator: np.random.Generator, seeded: bool
) -> np.ndarray:
    """Place units, large ones first, where they reduce sum (got - wanted)^2 / wanted the most."""
    sides = np.full(len(weights), -1)
    got = np.zeros((len(shares), weights.shape[1]))
    if seeded:
        # Rare classes first: one unit of each class on each side, as far as there are units.
        for label in np.argsort((weights > 0).sum(axis=0), kind="stable"):
            for side in generator.permutation(len(shares)):
                free = np.flatnonzero((sides < 0) & (weights[:, label] > 0))
                if got[side, label] == 0 and len(free):
                    unit = generator.choice(free)
                    sides[unit] = side
                    got[side] += weights[unit]
    size = weights.sum(axis=1) * generator.uniform(0.5, 1.0, len(weights))
    for unit in np.argsort(-size):
        if sides[unit] >= 0:
            continue
        added = weights[unit]
        change = (2 * (got - shares[:, None]) * added + added**2).sum(axis=1) / shares
        side = int(np.argmin(change))
        sides[unit] = side
        got[side] += added
    return sides


def _by_main_class(
    weights: np.ndarray, shares: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Cut the shuffled units of each main class at the wanted shares; for many small units."""
    sides = np.empty(len(weights), np.int64)
    main = weights.argmax(axis=1)
    cuts = np.cumsum(shares)[:-1]
    for label in np.unique(main):
        units = generator.permutation(np.flatnonzero(main == label))
        size = weights[units, label]
        middle = (np.cumsum(size) - size / 2) / size.sum()
        sides[units] = np.searchsorted(cuts, middle)
    return sides
