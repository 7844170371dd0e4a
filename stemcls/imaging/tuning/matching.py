"""Pair detected cells with known ones, and score the detection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree


@dataclass(frozen=True, eq=False)
class Matching:
    """One-to-one pairs of found and true centres.

    Attributes:
        pairs: (P, 2) int64 index into found, index into truth.
        distance_px: (P,) float64.
        n_found: All found centres.
        n_truth: All true centres.
    """

    pairs: np.ndarray
    distance_px: np.ndarray
    n_found: int
    n_truth: int

    @property
    def precision(self) -> float:
        """Share of the found centres that are true; NaN if nothing was found."""
        return len(self.pairs) / self.n_found if self.n_found else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true centres that were found; NaN if there are none."""
        return len(self.pairs) / self.n_truth if self.n_truth else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN if there is nothing on either side."""
        total = self.n_found + self.n_truth
        return 2 * len(self.pairs) / total if total else float("nan")

    @property
    def mean_error_px(self) -> float:
        """Mean distance of the pairs; NaN without pairs."""
        return float(self.distance_px.mean()) if len(self.pairs) else float("nan")


def match_centers(found: np.ndarray, truth: np.ndarray, within_px: float) -> Matching:
    """Pair centres so that as many as possible match, and then the distances add up to least.

    Args:
        found: (N, 2) y, x.
        truth: (M, 2) y, x.
        within_px: Largest distance of a pair.
    Source: Jonker and Volgenant 1987, sparse (scipy's min_weight_full_bipartite_matching).
    """
    found = np.asarray(found, np.float64).reshape(-1, 2)
    truth = np.asarray(truth, np.float64).reshape(-1, 2)
    rows, columns, distance = _near(found, truth, within_px)
    paired = _assign(rows, columns, distance, len(found), len(truth))
    paired = paired[np.argsort(rows[paired])]
    pairs = np.stack([rows[paired], columns[paired]], axis=1).astype(np.int64)
    return Matching(pairs, distance[paired], len(found), len(truth))


def _near(
    found: np.ndarray, truth: np.ndarray, within_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return row of found, row of truth and distance of every pair that is allowed."""
    if not len(found) or not len(truth):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    near = cKDTree(found).sparse_distance_matrix(cKDTree(truth), within_px, output_type="ndarray")
    return near["i"], near["j"], near["v"]


def _assign(
    rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, n_rows: int, n_columns: int
) -> np.ndarray:
    """Return which of the allowed pairs make the best one-to-one matching.

    Every row may also stay alone, in a column of its own. That costs more than any saving in
    distance, so that as many as possible are paired. Sparse, because thousands of dense cells hang
    together.
    """
    if not len(distance):
        return np.zeros(0, np.intp)
    alone = (distance.max() + 2.0) * (min(n_rows, n_columns) + 1)
    every = np.arange(n_rows)
    # A cost of 0 would count as no entry.
    costs = np.concatenate([distance + 1.0, np.full(n_rows, alone)])
    at = (np.concatenate([rows, every]), np.concatenate([columns, n_columns + every]))
    graph = csr_array((costs, at), (n_rows, n_columns + n_rows))
    row, column = min_weight_full_bipartite_matching(graph)
    chosen = np.full(n_rows, -1)
    chosen[row] = column
    return np.flatnonzero(chosen[rows] == columns)
