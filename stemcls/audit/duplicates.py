"""Find crops that show the same cell twice, whatever their rotation, mirroring or brightness."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from stemcls.imaging.shrink import shrunk
from stemcls.models.inference import dihedral, view_numbers
from stemcls.store.cropstore import CropStore

DESCRIBED_PX, COMPARED_PX = 32, 128
RADII = 8
_NEAREST = 4
# Distance of two descriptions below which pixels are compared, in units of their own spread.
_NEAR = 0.35
# Least correlation of the finest details of a pair. Of simulated cells two different ones stay
# below 0.2, a JPEG copy of quality 75, turned and darkened, is above 0.4; smooth cells in JPEG
# files resemble each other more, so the limit is set above what most pairs of the store have.
LIMITS = (0.35, 0.8)
_SURE, _LIKELY = 3.5, 2.0
# So many likely pairs of the same two fields are no chance.
_OFTEN = 5
_FINE_PX = 1.0


def twins(
    store: CropStore, rows: np.ndarray, check: Callable[[], None] | None = None
) -> np.ndarray:
    """Return (M, 2) pairs of places in `rows` that are near-duplicates, the smaller first.

    Crops are described by the mean and spread in rings around the centre after brightness and
    contrast are taken out, which no quarter turn or mirroring changes; neighbours in that space are
    then compared pixel by pixel in all their dihedral views, by the correlation of their finest
    details.

    Args:
        store: The crops.
        rows: (N,) rows.
        check: Called now and then; may raise.
    """
    from scipy.spatial import cKDTree

    described = []
    for start in range(0, len(rows), 512):
        if check is not None:
            check()
        crops = store.read(rows[start : start + 512])
        described += [_describe(_grey(crop, DESCRIBED_PX)) for crop in crops]
    descriptions = np.array(described, np.float32)
    textured = descriptions.any(axis=1)
    spread = np.median(np.abs(descriptions - np.median(descriptions, axis=0)), axis=0)
    space = descriptions / np.maximum(spread, 1e-3)
    places = np.flatnonzero(textured)
    if len(places) < 2:
        return np.zeros((0, 2), np.int64)
    limit = _NEAR * np.sqrt(space.shape[1])
    distance, near = cKDTree(space[places]).query(
        space[places], k=min(_NEAREST, len(places)), distance_upper_bound=limit
    )
    pairs = {
        (int(places[min(one, other)]), int(places[max(one, other)]))
        for one, (row, away) in enumerate(zip(near, distance, strict=True))
        for other, reach in zip(row, away, strict=True)
        if np.isfinite(reach) and other != one
    }
    candidates = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    alike = np.empty(len(candidates))
    for number, pair in enumerate(candidates):
        if check is not None and number % 256 == 0:
            check()
        alike[number] = likeness(*(_grey(crop, COMPARED_PX) for crop in store.read(rows[pair])))
    if not len(candidates):
        return candidates
    sure, likely = (_limit(alike, spreads) for spreads in (_SURE, _LIKELY))
    together = alike >= likely
    together[together] = _in_shared_fields(store.field_index[rows[candidates[together]]])
    return candidates[(alike >= sure) | together]


def _limit(alike: np.ndarray, spreads: float) -> float:
    middle = float(np.median(alike))
    spread = 1.4826 * float(np.median(np.abs(alike - middle)))
    return float(np.clip(middle + spreads * spread, *LIMITS))


def _in_shared_fields(fields: np.ndarray) -> np.ndarray:
    """Tell which (M, 2) pairs of fields come up often: the same place, photographed twice."""
    _, which, counts = np.unique(
        np.sort(fields, axis=1), axis=0, return_inverse=True, return_counts=True
    )
    return (counts[which.ravel()] >= _OFTEN) & (fields[:, 0] != fields[:, 1])


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest correlation of the finest details over all dihedral views, -1 to 1.

    Args:
        one, other: (H, W) float32.
    """
    first = _details(one)
    views = (
        dihedral(other[None, :, :, None], view)[0, :, :, 0]
        for view in view_numbers(other.shape, 8)
    )
    return max(float((first * _details(np.ascontiguousarray(view))).sum()) for view in views)


def _grey(crop: np.ndarray, most_px: int) -> np.ndarray:
    image = shrunk(crop.astype(np.float32).mean(axis=2), most_px)
    spread = float(image.std())
    return (image - image.mean()) / spread if spread > 1e-6 else np.zeros_like(image)


def _describe(image: np.ndarray) -> np.ndarray:
    height, width = image.shape
    y, x = np.mgrid[:height, :width]
    away = np.hypot((y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5)
    ring = np.minimum((away / away.max() * RADII).astype(int), RADII - 1).ravel()
    flat = image.ravel().astype(np.float64)
    counts = np.maximum(np.bincount(ring, minlength=RADII), 1)
    means = np.bincount(ring, flat, RADII) / counts
    squares = np.bincount(ring, flat**2, RADII) / counts
    return np.concatenate([means, np.sqrt(np.maximum(squares - means**2, 0))])


def _details(image: np.ndarray) -> np.ndarray:
    fine = image - cv2.GaussianBlur(image, (0, 0), _FINE_PX)
    fine -= fine.mean()
    norm = float(np.sqrt((fine**2).sum()))
    return fine / norm if norm > 1e-6 else np.zeros_like(fine)
