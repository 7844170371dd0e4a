"""Choose where simulated cells lie: apart from each other, or touching in small clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SPACING = 1.15  # least distance of two cells that do not touch, fraction of the sum of their radii
MARGIN = 2.0  # least distance of a centre from the edge of the field, in radii
_RADIUS_SPREAD = 0.08
_MOST_SPREAD = 0.2
_TOUCHING = (0.95, 1.0)  # distance of neighbours in a cluster, fraction of the sum of radii
_LEAST_IN_CLUSTER = 0.94
_BATCHES = (16, 48, 192, 768)  # tries for one cell, checked in ever larger batches


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the cells of one field are.

    Attributes:
        centers_px: (N, 2) y and x in pixels; pixel centres are whole numbers.
        radius_px: (N,).
        in_cluster: (N,) bool, touches another cell.
    """

    centers_px: np.ndarray
    radius_px: np.ndarray
    in_cluster: np.ndarray

    def __len__(self) -> int:
        return len(self.radius_px)


def place_cells(
    rng: np.random.Generator, cells: int, clusters: int, size_px: int, radius_px: float
) -> Placement:
    """Throw cells into a square field until all are placed or the next one finds no room.

    Args:
        rng: Source of randomness.
        cells: How many are wanted, those in clusters included.
        clusters: How many groups of 2 to 4 touching cells are among them.
        size_px: Edge of the field.
        radius_px: Mean radius; single radii vary by 8 % (standard deviation), 20 % at most.
    """
    spread = np.clip(rng.normal(0.0, _RADIUS_SPREAD, cells), -_MOST_SPREAD, _MOST_SPREAD)
    radii = radius_px * (1.0 + spread)
    centers = np.zeros((0, 2))
    sizes = np.zeros(0)
    touching = np.zeros(0, bool)
    clusters_left = clusters
    used = 0
    while used < cells:
        wanted = min(int(rng.integers(2, 5)), cells - used) if clusters_left > 0 else 1
        clusters_left -= 1
        group_radii = radii[used : used + wanted]
        group = _place_group(rng, group_radii, centers, sizes, size_px)
        if len(group) == 0:
            break
        centers = np.concatenate([centers, group])
        sizes = np.concatenate([sizes, group_radii[: len(group)]])
        touching = np.concatenate([touching, np.full(len(group), len(group) > 1)])
        used += len(group)
    return Placement(centers, sizes, touching)


def place_debris(
    rng: np.random.Generator, count: int, cells: Placement, size_px: int, radius_px: float
) -> np.ndarray:
    """Return up to `count` (y, x) centres of debris that keep clear of every cell."""
    tries = rng.uniform(0, size_px - 1, (32 * count, 2))
    clear = _gaps(tries, np.zeros(len(tries)), cells.centers_px, cells.radius_px) > 0.9 * radius_px
    return tries[clear][:count]


def _place_group(
    rng: np.random.Generator, radii: np.ndarray, centers: np.ndarray, sizes: np.ndarray,
    size_px: int,
) -> np.ndarray:
    """Return the (y, x) of a cell and of those that touch it; fewer, or none, without room."""
    group = np.zeros((0, 2))
    for number, radius in enumerate(radii):
        place = None
        for tries in _BATCHES:
            if number == 0:
                low, high = MARGIN * radius, size_px - 1 - MARGIN * radius
                places = rng.uniform(low, high, (tries, 2)) if high > low else np.zeros((0, 2))
            else:
                places = _beside(rng, group, radii[:number], radius, tries)
            free = _free(places, radius, centers, sizes, size_px)
            least = _LEAST_IN_CLUSTER * (radius + radii[:number])
            free &= (_distances(places, group) >= least).all(axis=1)
            if free.any():
                place = places[np.argmax(free)]
                break
        if place is None:
            return group
        group = np.concatenate([group, place[None]])
    return group


def _beside(
    rng: np.random.Generator, group: np.ndarray, radii: np.ndarray, radius: float, tries: int
) -> np.ndarray:
    member = rng.integers(0, len(group), tries)
    distance = rng.uniform(*_TOUCHING, tries) * (radii[member] + radius)
    angle = rng.uniform(0, 2 * np.pi, tries)
    return group[member] + distance[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)


def _free(
    places: np.ndarray, radius: float, centers: np.ndarray, sizes: np.ndarray, size_px: int
) -> np.ndarray:
    margin = MARGIN * radius
    inside = ((places >= margin) & (places <= size_px - 1 - margin)).all(axis=1)
    return inside & (_gaps(places, np.full(len(places), radius), centers, sizes) >= 0)


def _gaps(
    places: np.ndarray, radii: np.ndarray, centers: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Return how much further than `SPACING` each place is from its nearest cell, pixels."""
    if len(centers) == 0:
        return np.full(len(places), np.inf)
    return (_distances(places, centers) - SPACING * (radii[:, None] + sizes)).min(axis=1)


def _distances(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    along_y, along_x = (places[:, axis, None] - others[:, axis] for axis in (0, 1))
    return np.sqrt(along_y**2 + along_x**2)
