"""Find the maxima of a scale space, and prune blobs that overlap."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

MAX_PEAKS = 50_000  # more than any field has cells; bounds memory where noise is let through
_MAX_PAIRS = 1_000_000
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class Peaks:
    """Where a scale space is largest, strongest first.

    Attributes:
        centers_px: (N, 2) float64 y, x.
        sigma_px: (N,) scale.
        response: (N,) height of the scale space, of the sign looked for.
        polarity: (N,) int8, +1 bright, -1 dark.
    """

    centers_px: np.ndarray
    sigma_px: np.ndarray
    response: np.ndarray
    polarity: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Peaks:
        return Peaks(
            self.centers_px[rows], self.sigma_px[rows], self.response[rows], self.polarity[rows]
        )


@dataclass(frozen=True, eq=False)
class Maxima:
    """Grid points of a scale space that no neighbour exceeds.

    Attributes:
        layer, y, x: (N,) int64; layer 0 is the first that is not a guard.
        sign: (N,) int8, +1 for maxima, -1 for minima.
        block: (N, 3, 3, 3) the values around each (layer, y, x) times sign, edges repeated.
        lowest, highest: Extremes of sign times the scale space, over all signs.
    """

    layer: np.ndarray
    y: np.ndarray
    x: np.ndarray
    sign: np.ndarray
    block: np.ndarray
    lowest: float
    highest: float

    @property
    def value(self) -> np.ndarray:
        """(N,) height of each maximum."""
        return self.block[:, 1, 1, 1]


def scale_maxima(
    layers: Iterable[np.ndarray],
    n_layers: int,
    *,
    signs: tuple[int, ...],
    floor: float,
    tolerance: float = 0.0,
    guards: tuple[float, float] = (1.0, 1.0),
) -> Maxima:
    """Find maxima among the 26 neighbours in space and scale, three layers in memory at a time.

    Args:
        layers: (Y, X) float32 or float64 each, by ascending scale; the first and the last are
            guards: compared with, not searched.
        n_layers: How many there are, guards included.
        signs: +1 for maxima, -1 for minima.
        floor: Values at or below are left out.
        tolerance: A neighbour may be this much larger.
        guards: What the values of the two guards are multiplied by before comparing.
    Returns: The maxima, at most about `MAX_PEAKS`: the largest.
    """
    window: deque[np.ndarray] = deque(maxlen=3)
    found: list[tuple[np.ndarray, ...]] = []
    lowest, highest = np.inf, -np.inf
    for number, layer in enumerate(layers):
        window.append(layer)
        if len(window) < 3:
            continue
        weights = (guards[0] if number == 2 else 1.0, guards[1] if number == n_layers - 1 else 1.0)
        least, most = float(window[1].min()), float(window[1].max())
        for sign in signs:
            lowest = min(lowest, least if sign > 0 else -most)
            highest = max(highest, most if sign > 0 else -least)
            y, x, block = _layer_maxima(tuple(window), sign, floor, tolerance, weights)
            here = np.full(len(y), number - 2), y, x, np.full(len(y), sign, np.int8), block
            found.append(here)
        if sum(len(part[0]) for part in found) > 2 * MAX_PEAKS:
            found = [_strongest(found)]
    layer_number, rows, columns, sign_of, blocks = _strongest(found)
    return Maxima(layer_number, rows, columns, sign_of, blocks, lowest, highest)


def _strongest(found: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    value = columns[-1][:, 1, 1, 1]
    if len(value) <= MAX_PEAKS:
        return tuple(columns)
    kept = np.sort(np.argpartition(-value, MAX_PEAKS)[:MAX_PEAKS])
    return tuple(column[kept] for column in columns)


def _layer_maxima(
    window: tuple[np.ndarray, ...],
    sign: int,
    floor: float,
    tolerance: float,
    weights: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    layer = window[1]
    lead = cv2.dilate(layer, _SQUARE) if sign > 0 else cv2.erode(layer, _SQUARE)
    lead -= layer
    near = np.abs(lead, out=lead) <= tolerance
    near &= (layer > floor) if sign > 0 else (layer < -floor)
    if tolerance and np.count_nonzero(near) > MAX_PEAKS:
        # A flat stretch, where rounding alone makes maxima.
        near &= lead == 0
    y, x = np.nonzero(near)
    if len(y) > MAX_PEAKS:
        kept = np.sort(np.argpartition(-sign * layer[y, x], MAX_PEAKS)[:MAX_PEAKS])
        y, x = y[kept], x[kept]
    around = np.arange(-1, 2)
    rows = np.clip(y[:, None] + around, 0, layer.shape[0] - 1)[:, :, None]
    columns = np.clip(x[:, None] + around, 0, layer.shape[1] - 1)[:, None, :]
    block = np.stack([plane[rows, columns] for plane in window], axis=1)
    block *= sign
    tops = block.max(axis=(2, 3)) if len(y) else np.zeros((0, 3))
    rival = np.maximum(tops[:, 1], np.maximum(tops[:, 0] * weights[0], tops[:, 2] * weights[1]))
    peak = block[:, 1, 1, 1] >= rival - tolerance
    return y[peak], x[peak], block[peak]


def disc_overlap(centers: np.ndarray, sigma: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return the area shared by two discs of radius sigma * sqrt 2, fraction of the smaller.

    Args:
        centers: (N, 2).
        sigma: (N,) positive.
        pairs: (P, 2) indices.
    Returns: (P,) in [0, 1].
    """
    first, second = pairs.T
    # Lengths in units of the larger radius and in this order of operations: the comparisons below
    # then round as skimage.feature's do.
    larger = np.maximum(sigma[first], sigma[second])
    small = np.minimum(sigma[first], sigma[second]) / larger
    unit = (larger * math.sqrt(2))[:, None]
    distance = np.sqrt(((centers[second] / unit - centers[first] / unit) ** 2).sum(axis=1))
    shared = (distance <= 1 - small).astype(np.float64)
    partly = np.flatnonzero((distance > 1 - small) & (distance <= 1 + small))
    d, r = distance[partly], small[partly]
    a = np.arccos(np.clip((d**2 + 1 - r**2) / (2 * d), -1, 1))
    b = np.arccos(np.clip((d**2 + r**2 - 1) / (2 * d * r), -1, 1))
    kite = np.sqrt(np.abs((r + 1 - d) * (d - r + 1) * (d + r - 1) * (d + r + 1)))
    shared[partly] = (a + r**2 * b - 0.5 * kite) / (np.pi * r**2)
    return shared


def prune(
    centers: np.ndarray, sigma: np.ndarray, overlap: float, *, as_skimage: bool
) -> np.ndarray:
    """Choose blobs so that none overlaps a larger one by more than `overlap`.

    Of two that overlap too much the smaller goes; of equals the earlier. Blobs that are gone
    remove no others. Where a chain of blobs leaves a choice the largest is settled first, or
    (`as_skimage`) pairs are settled in the order skimage.feature takes, that of a Python set;
    beyond a million pairs of blobs near one another it is always the largest first.

    Args:
        centers: (N, 2) y, x.
        sigma: (N,) positive; a blob is a disc of radius sigma * sqrt 2.
        overlap: Largest shared area, fraction of the smaller disc.
    Returns: (N,) bool, which to keep.
    """
    alive = np.ones(len(sigma), dtype=bool)
    if len(sigma) < 2:
        return alive
    tree = cKDTree(centers)
    reach = 2 * sigma.max() * math.sqrt(2)
    if tree.count_neighbors(tree, reach) > 2 * _MAX_PAIRS + len(sigma):
        largest_first = np.lexsort((-np.arange(len(sigma)), -sigma))
        return prune_in_order(
            centers, sigma, largest_first, 2 * sigma * math.sqrt(2), overlap, tree
        )
    pairs = tree.query_pairs(reach, output_type="ndarray")
    pairs = pairs[disc_overlap(centers, sigma, pairs) > overlap]
    second_loses = sigma[pairs[:, 0]] > sigma[pairs[:, 1]]
    winner = np.where(second_loses, pairs[:, 0], pairs[:, 1])
    loser = np.where(second_loses, pairs[:, 1], pairs[:, 0])
    settled = np.zeros(len(sigma), dtype=bool)
    for number in range(len(sigma)):
        beaten = np.zeros(len(sigma), dtype=bool)
        beaten[loser] = True
        kept = alive & ~settled & ~beaten
        alive[loser[kept[winner]]] = False
        settled = settled | kept | ~alive
        open_ = ~settled[winner] & ~settled[loser]
        # A blob that only blobs now gone had beaten is where the order starts to matter.
        undecided = alive & ~settled
        if not undecided.any():
            break
        if number == 0 and as_skimage:
            return _prune_in_set_order(tree, reach, pairs, second_loses)
        winner, loser = winner[open_], loser[open_]
    return alive


def _prune_in_set_order(
    tree: cKDTree, reach: float, pairs: np.ndarray, second_loses: np.ndarray
) -> np.ndarray:
    loses = dict(zip(map(tuple, pairs.tolist()), second_loses.tolist(), strict=True))
    alive = np.ones(tree.n, dtype=bool)
    for pair in tree.query_pairs(reach):
        if pair in loses and alive[pair[0]] and alive[pair[1]]:
            alive[pair[1] if loses[pair] else pair[0]] = False
    return alive


def prune_in_order(
    centers: np.ndarray, sigma: np.ndarray, order: np.ndarray, reach_px: np.ndarray,
    overlap: float, tree: cKDTree,
) -> np.ndarray:
    """Choose blobs one by one; each that is left removes the later ones that it overlaps.

    Args:
        centers, sigma, overlap: As for `prune`.
        order: (N,) which comes first.
        reach_px: (N,) how far away from a blob another, later one may lie that overlaps it.
        tree: Of `centers`.
    Returns: (N,) bool, which to keep.
    """
    alive = np.ones(len(sigma), dtype=bool)
    rank = np.empty(len(sigma), dtype=np.intp)
    rank[order] = np.arange(len(sigma))
    for best in order:
        if not alive[best]:
            continue
        near = np.array(tree.query_ball_point(centers[best], reach_px[best]))
        near = near[alive[near] & (rank[near] > rank[best])]
        pairs = np.stack([np.full(len(near), best), near], axis=1)
        alive[near[disc_overlap(centers, sigma, pairs) > overlap]] = False
    return alive
