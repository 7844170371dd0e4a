"""Find crops that show the same cell twice, also turned, shifted, enlarged or compressed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from stemcls.audit.align import DESCRIBED_PX, aligned_likeness, shifted_likeness
from stemcls.imaging.shrink import shrunk
from stemcls.store.cropstore import CropStore

COMPARED_PX = 64
# Pairs are aligned the likeliest first, each in some milliseconds, until so many in all, or so many
# in a row that are no copies.
MOST_ALIGNED = 4_000
PATIENCE = 500
RADII = 8
# Rings of the spectrum that are described: JPEG and noise change the finest.
_BANDS = 12
# Neighbours of each crop that are compared: fewer in larger stores, so that it takes minutes.
_NEIGHBOURS, _MOST_COMPARED = (6, 24), 200_000
_BLOCK = 512
# Least likeness of small pictures at the best shift and quarter turn for a pair to be aligned.
_QUICK = 0.7
# Least likeness of aligned details. Cells of one kind resemble each other more in some sets than
# in others, so that the limit lies above what most of `_SAMPLED` pairs of neighbours have. Where
# these are alike in all but noise, the finest details are judged instead.
_SAMPLED, _ALL_ALIKE = 100, 0.85
_SURE, _LIKELY = 0.35, 0.2
SURE_LIMITS, LIKELY_LIMITS = ((0.75, 0.93), (0.5, 0.92)), ((0.65, 0.85), (0.45, 0.88))
# So many likely pairs of the same two fields are no chance.
_OFTEN = 5


@dataclass(frozen=True, eq=False)
class Twins:
    """Near-duplicates among some crops.

    Attributes:
        pairs: (M, 2) places in the rows that were searched, the smaller first.
        n_unaligned: Pairs that looked somewhat alike and were not compared closely, because more
            than `MOST_ALIGNED`, or the `PATIENCE` likeliest before them, were no copies.
    """

    pairs: np.ndarray
    n_unaligned: int = 0


def find_twins(
    store: CropStore, rows: np.ndarray, check: Callable[[], None] | None = None
) -> Twins:
    """Find pairs of crops that are near-duplicates.

    Crops are described by what neither a turn nor a small shift changes much: mean and spread in
    rings around the centre, and the mean spectrum in rings. Neighbours in that space are compared
    at their best shift and quarter turn, then aligned by an affine map, and judged by the
    correlation of details that compression leaves.

    Args:
        store: The crops.
        rows: (N,) rows.
        check: Called now and then; may raise.
    """
    check = check or (lambda: None)
    small = _small_pictures(store, rows, check)
    candidates = _neighbours(_described(small))
    quick = np.concatenate([np.zeros(0), *(
        shifted_likeness(small[pairs[:, 0]], small[pairs[:, 1]])
        for pairs in _checked(candidates, check)
    )])  # fmt: skip
    promising = np.flatnonzero(quick >= _QUICK)
    promising = promising[np.argsort(-quick[promising], kind="stable")]

    def likeness(place: int) -> tuple[float, float]:
        one, other = store.read(rows[candidates[place]])
        return aligned_likeness(_grey(one, COMPARED_PX), _grey(other, COMPARED_PX))

    if not len(candidates):
        return Twins(candidates)
    sample = np.random.default_rng(0).permutation(len(candidates))[:_SAMPLED]
    usual = np.percentile([likeness(place) for place in sample], 90, axis=0)
    band = int(usual[0] > _ALL_ALIKE)
    sure = np.clip(usual[band] + _SURE, *SURE_LIMITS[band])
    likely = np.clip(usual[band] + _LIKELY, *LIKELY_LIMITS[band])
    alike = np.zeros(len(candidates))
    fruitless = n_aligned = 0
    for place in promising[:MOST_ALIGNED]:
        if fruitless >= PATIENCE:
            break
        if n_aligned % 64 == 0:
            check()
        alike[place] = likeness(place)[band]
        n_aligned += 1
        fruitless = 0 if alike[place] >= likely else fruitless + 1
    together = alike >= likely
    together[together] = _in_shared_fields(store.field_index[rows[candidates[together]]])
    return Twins(candidates[(alike >= sure) | together], len(promising) - n_aligned)


def _small_pictures(
    store: CropStore, rows: np.ndarray, check: Callable[[], None]
) -> np.ndarray:
    """Return (N, P, P) float32, brightness and contrast taken out; zeros of what is blank."""
    found = np.empty((len(rows), DESCRIBED_PX, DESCRIBED_PX), np.float32)
    size = (DESCRIBED_PX, DESCRIBED_PX)
    for start in range(0, len(rows), _BLOCK):
        check()
        for place, crop in enumerate(store.read(rows[start : start + _BLOCK]), start):
            grey = _grey(crop, max(crop.shape))
            found[place] = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return found


def _described(small: np.ndarray) -> np.ndarray:
    """Return (N, D) descriptions, each column in units of its own spread; NaN of what is blank."""
    edge = small.shape[1]
    y, x = np.mgrid[:edge, :edge] + 0.5
    away = np.hypot(y / edge - 0.5, x / edge - 0.5)
    ring = np.minimum((away / away.max() * RADII).astype(int), RADII - 1).ravel()
    frequency = np.hypot(np.fft.fftfreq(edge)[:, None], np.fft.rfftfreq(edge)) * edge
    band = np.minimum(frequency.astype(int), _BANDS).ravel()
    window = np.outer(np.hanning(edge), np.hanning(edge))
    described = np.empty((len(small), 2 * RADII + _BANDS), np.float32)
    for start in range(0, len(small), _BLOCK):
        part = small[start : start + _BLOCK].astype(np.float64)
        flat = part.reshape(len(part), -1)
        means, squares = _ring_means(flat, ring), _ring_means(flat**2, ring)
        power = np.abs(np.fft.rfft2(part * window)) ** 2
        described[start : start + len(part)] = np.hstack([
            means, np.sqrt(np.maximum(squares - means**2, 0)),
            np.log(_ring_means(power.reshape(len(part), -1), band)[:, :_BANDS] + 1e-6),
        ])
    spread = np.median(np.abs(described - np.median(described, axis=0)), axis=0)
    described /= np.maximum(spread, 1e-3)
    described[~small.any(axis=(1, 2))] = np.nan
    return described


def _ring_means(values: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Return (N, R) means over the pixels of each ring of (N, P) values."""
    member = np.eye(ring.max() + 1)[ring]
    means: np.ndarray = values @ (member / member.sum(axis=0))
    return means


def _neighbours(described: np.ndarray) -> np.ndarray:
    """Return (M, 2) pairs of neighbours, the smaller place first, sorted."""
    from scipy.spatial import cKDTree

    places = np.flatnonzero(np.isfinite(described).all(axis=1))
    if len(places) < 2:
        return np.zeros((0, 2), np.int64)
    space = described[places]
    wanted = int(np.clip(_MOST_COMPARED // len(places), *_NEIGHBOURS))
    _, near = cKDTree(space).query(space, k=min(wanted + 1, len(places)))
    pairs = np.stack([np.repeat(np.arange(len(places)), near.shape[1]), near.ravel()], axis=1)
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    found: np.ndarray = places[np.unique(pairs, axis=0)].astype(np.int64)
    return found


def _checked(pairs: np.ndarray, check: Callable[[], None]) -> list[np.ndarray]:
    check()
    return [pairs[start : start + _BLOCK] for start in range(0, len(pairs), _BLOCK)]


def _in_shared_fields(fields: np.ndarray) -> np.ndarray:
    """Tell which (M, 2) pairs of fields come up often: the same place, photographed twice."""
    _, which, counts = np.unique(
        np.sort(fields, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return (counts[which.ravel()] >= _OFTEN) & (fields[:, 0] != fields[:, 1])


def _grey(crop: np.ndarray, most_px: int) -> np.ndarray:
    image = shrunk(crop.astype(np.float32).mean(axis=2), most_px)
    spread = float(image.std())
    return (image - image.mean()) / spread if spread > 1e-6 else np.zeros_like(image)
