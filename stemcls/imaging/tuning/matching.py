"""Pair detected cells with known ones, and score the detection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
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
    """
    found = np.asarray(found, np.float64).reshape(-1, 2)
    truth = np.asarray(truth, np.float64).reshape(-1, 2)
    near = cKDTree(found).sparse_distance_matrix(
        cKDTree(truth), within_px, output_type="ndarray"
    ) if len(found) and len(truth) else np.zeros(0, [("i", int), ("j", int), ("v", float)])
    size = len(found) + len(truth)
    graph = coo_array((np.ones(len(near)), (near["i"], near["j"] + len(found))), (size, size))
    _, part = connected_components(graph, directed=False)
    order = np.argsort(part[near["i"]], kind="stable")
    cuts = np.flatnonzero(np.diff(part[near["i"]][order])) + 1
    pairs: list[tuple[int, int, float]] = []
    for edges in np.split(near[order], cuts):
        pairs += _matched(edges, within_px)
    pairs.sort()
    return Matching(
        np.array([pair[:2] for pair in pairs], np.int64).reshape(-1, 2),
        np.array([pair[2] for pair in pairs], np.float64),
        len(found),
        len(truth),
    )


def _matched(edges: np.ndarray, within_px: float) -> list[tuple[int, int, float]]:
    """Match one connected component exactly."""
    if not len(edges):
        return []
    rows, row = np.unique(edges["i"], return_inverse=True)
    columns, column = np.unique(edges["j"], return_inverse=True)
    # One more pair must outweigh any saving in distance.
    forbidden = (within_px + 1.0) * (min(len(rows), len(columns)) + 1)
    cost = np.full((len(rows), len(columns)), forbidden)
    cost[row, column] = edges["v"]
    chosen = zip(*linear_sum_assignment(cost), strict=True)
    return [
        (int(rows[a]), int(columns[b]), float(cost[a, b]))
        for a, b in chosen
        if cost[a, b] < forbidden
    ]
