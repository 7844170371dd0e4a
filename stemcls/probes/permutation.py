"""Permute labels as they could have fallen: whole units at a time, within donors where they can."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

_DOMINANT = 0.5


@dataclass(frozen=True, eq=False)
class Exchange:
    """Which crops change labels together.

    Attributes:
        unit: (n,) int: crops of a unit keep together.
        block: (n,) int: units change places within their block only.
        what: A unit in one word, plural.
        n_units: How many there are.
        log10_ways: Logarithm of how many different arrangements there are.
        k: Number of classes.
    """

    unit: np.ndarray
    block: np.ndarray
    what: str
    n_units: int
    log10_ways: float
    k: int

    @property
    def least_p(self) -> float:
        """The smallest p that a test could give: a score is the same when classes swap names."""
        return min(1.0, math.factorial(self.k) * 10**-self.log10_ways)


def exchange_of(
    group: np.ndarray, field: np.ndarray, labels: np.ndarray, k: int, what: str = "groups"
) -> Exchange:
    """Find the units that labels came in.

    If groups differ much in what classes they hold, whole groups are exchanged: their crops are not
    independent. Otherwise fields are, within their group, for the group is then no sign of the
    class.

    Args:
        group, field: (n,) int.
        labels: (n,) int in 0..k-1.
        k: Number of classes.
        what: Name of groups, plural.
    Source: restricted permutation, Anderson and ter Braak 2003, J. Stat. Comput. Simul. 73, 85.
    """
    _, group = np.unique(group, return_inverse=True)
    _, field = np.unique(field, return_inverse=True)
    if _share_between(group, labels, k) >= _DOMINANT or np.array_equal(group, field):
        unit, block, name = group, np.zeros_like(group), what
    else:
        unit, block, name = field, group, "fields"
    n_units = int(unit.max()) + 1
    return Exchange(unit, block, name, n_units, _log10_ways(unit, block, labels, k), k)


def permuted(labels: np.ndarray, exchange: Exchange, count: int, seed: int) -> np.ndarray:
    """Return (count, n) labellings in which units have changed labels within their blocks.

    A unit of several classes gives its mixture: its receiver draws from it in random order.
    """
    random = np.random.default_rng(seed)
    order = np.argsort(exchange.unit, kind="stable")
    starts = np.searchsorted(exchange.unit[order], np.arange(exchange.n_units + 1))
    members = [order[a:b] for a, b in itertools.pairwise(starts)]
    block = exchange.block[order[starts[:-1]]]
    blocks = [np.flatnonzero(block == b) for b in np.unique(block)]
    result = np.empty((count, len(labels)), labels.dtype)
    for row in result:
        for units in blocks:
            for receiver, giver in zip(units, random.permutation(units), strict=True):
                given = labels[members[giver]]
                if given.min() != given.max():
                    given = random.permutation(given)
                row[members[receiver]] = np.resize(given, len(members[receiver]))
    return result


def p_value(observed: float, shuffled: np.ndarray) -> float:
    """Return the one-sided p of a permutation test.

    Source: Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9, 39: (b + 1) / (m + 1).
    """
    return float((np.sum(shuffled >= observed - 1e-12) + 1) / (len(shuffled) + 1))


def _share_between(group: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Return the share of the labels' variance that lies between groups, 0 to 1."""
    counts = np.zeros((int(group.max()) + 1, k))
    np.add.at(counts, (group, labels), 1)
    size = counts.sum(axis=1, keepdims=True)
    overall = counts.sum(axis=0) / counts.sum()
    between = (size * (counts / size - overall) ** 2).sum()
    total = len(labels) * (1 - (overall**2).sum())
    return float(between / total) if total else 0.0


def _log10_ways(unit: np.ndarray, block: np.ndarray, labels: np.ndarray, k: int) -> float:
    counts = np.zeros((int(unit.max()) + 1, k))
    np.add.at(counts, (unit, labels), 1)
    first = np.unique(unit, return_index=True)[1]
    logs = 0.0
    for number in np.unique(block):
        rows = counts[block[first] == number]
        kinds = np.unique(rows / rows.sum(axis=1, keepdims=True), axis=0, return_counts=True)[1]
        logs += math.lgamma(len(rows) + 1) - sum(math.lgamma(count + 1) for count in kinds)
    return logs / math.log(10)
