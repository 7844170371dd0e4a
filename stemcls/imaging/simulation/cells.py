"""Draw simulated cells: the optical path through each, its granules, and what class they tell."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from stemcls.imaging.simulation.placement import Placement

PATCH_RADII = 1.5  # half edge of the patch that a cell is drawn on
_SPREAD = 0.05  # standard deviation of a cell about its class, on the 0-1 scale of a recipe
_GRANULE_RADII = (0.045, 0.24)  # finest and coarsest granule, standard deviation in cell radii
_ECCENTRICITY = (0.0, 0.42)  # most central and most lateral nucleus, in cell radii
_FILL = 0.28  # part of a cell's area that granules cover
_MOST_GRANULES = 90
_PATH_CONTRAST = (0.1, 0.26)  # faintest and sharpest: standard deviation, fraction of the path
_STAIN_CONTRAST = (0.3, 0.7)
_NUCLEUS_RADII = 0.42
_DOME = 0.75  # exponent of the profile (1 - rho^2)^_DOME
_STEPS = (0.618034, 0.754878)  # irrational, so that classes spread over these scales out of order


@dataclass(frozen=True)
class Recipe:
    """What tells one class from another, each on a scale from 0 to 1.

    Attributes:
        coarseness: 0 many fine granules, 1 few coarse ones.
        contrast: 0 granules barely stand out, 1 they stand out.
        eccentricity: 0 nucleus in the middle, 1 nucleus near the rim.
    """

    coarseness: float
    contrast: float
    eccentricity: float


@dataclass(frozen=True, eq=False)
class Scene:
    """What lies in a field before any light falls on it.

    Attributes:
        path: (Y, X) float32 optical path length; about 1 in the middle of a cell.
        stain: (Y, X) float32 density of a granule stain; about 1 in the middle of a cell.
        body: (Y, X) float32, 1 inside a cell and 0 outside.
        opacity: (Y, X) float32 absorption by debris, 0 to 1.
        radius_px: Mean radius of a cell.
    """

    path: np.ndarray
    stain: np.ndarray
    body: np.ndarray
    opacity: np.ndarray
    radius_px: float


def class_position(index: int, classes: int) -> float:
    """Return where class `index` lies between the first (0) and the last (1)."""
    return index / (classes - 1) if classes > 1 else 0.0


def class_recipe(index: int, classes: int, difficulty: float) -> Recipe:
    """Return the recipe of a class; `difficulty` 1 gives every class that of the middle."""
    places = (class_position(index, classes), *((index * step) % 1.0 for step in _STEPS))
    return Recipe(*(0.5 + (place - 0.5) * (1.0 - difficulty) for place in places))


def draw_scene(
    rng: np.random.Generator, cells: Placement, debris_px: np.ndarray, recipe: Recipe,
    size_px: int, radius_px: float,
) -> Scene:
    """Draw every cell and every bit of debris into an empty field.

    Args:
        rng: Source of randomness.
        cells: Where the cells are.
        debris_px: (M, 2) centres of debris, y and x.
        recipe: The class that the cells vary about.
        size_px: Edge of the field.
        radius_px: Mean radius of a cell.
    """
    path, stain, body, opacity = (np.zeros((size_px, size_px), np.float32) for _ in range(4))
    for center, radius in zip(cells.centers_px, cells.radius_px, strict=True):
        window, y, x = _window(center, PATCH_RADII * radius, size_px)
        of_path, of_stain, of_body = _draw_cell(rng, y, x, radius, recipe)
        path[window] += of_path
        stain[window] += of_stain
        np.maximum(body[window], of_body, out=body[window])
    for center in debris_px:
        radius = radius_px * rng.uniform(0.12, 0.3)
        window, y, x = _window(center, 2.5 * radius, size_px)
        bit = _soft(_relative_radius(rng, y, x, radius, 0.45), radius)
        path[window] += rng.uniform(0.3, 0.8) * bit
        np.maximum(opacity[window], rng.uniform(0.3, 0.8) * bit, out=opacity[window])
    return Scene(path, stain, body, opacity, radius_px)


def _window(
    center: np.ndarray, half_px: float, size_px: int
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Return the part of a field around `center`, and the y and x of its pixels from there."""
    low = np.clip(np.floor(center - half_px).astype(int), 0, size_px)
    high = np.clip(np.ceil(center + half_px).astype(int) + 1, 0, size_px)
    window = (slice(low[0], high[0]), slice(low[1], high[1]))
    return window, np.arange(low[0], high[0]) - center[0], np.arange(low[1], high[1]) - center[1]


def _draw_cell(
    rng: np.random.Generator, y: np.ndarray, x: np.ndarray, radius: float, recipe: Recipe
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the path, stain and body of one cell on the grid of `y` and `x`.

    Path and stain are scaled to a sum that depends on the radius alone, so that neither class
    nor chance makes a cell brighter.
    """
    own = np.clip(astuple(recipe) + rng.normal(0, _SPREAD, 3), 0, 1)
    coarseness, contrast, lateral = (float(place) for place in own)
    rho = _relative_radius(rng, y, x, radius, 0.05)
    inside = rho < 1.0
    dome = np.maximum(1.0 - rho * rho, 0.0) ** _DOME
    nucleus, nucleus_px = _nucleus(rng, y, x, radius, lateral)
    granules = _granules(rng, y, x, radius, coarseness, nucleus_px)
    texture = np.where(inside, granules - granules[inside].mean(), 0.0)
    texture /= max(float(texture[inside].std()), 1e-9)
    in_path, in_stain = (_between(*ends, contrast) for ends in (_PATH_CONTRAST, _STAIN_CONTRAST))
    path = dome * (1.0 + in_path * texture + 0.22 * nucleus)
    stain = dome * np.maximum(1.0 + in_stain * texture, 0.0) * (1.0 - 0.6 * (nucleus > 0.5))
    total = np.pi * radius**2 / (1.0 + _DOME)
    return path * (total / path.sum()), stain * (total / stain.sum()), _soft(rho, radius)


def _relative_radius(
    rng: np.random.Generator, y: np.ndarray, x: np.ndarray, radius: float, roughness: float
) -> np.ndarray:
    """Return (Y, X) distances from the middle, 1 on an outline that wobbles about `radius`."""
    angle = np.arctan2(y[:, None], x[None])
    wobble = np.ones_like(angle)
    for order in (2, 3, 4, 5):
        phase, height = rng.uniform(0, 2 * np.pi), rng.normal(0, roughness)
        wobble += (2.0 * height / order) * np.cos(order * angle + phase)
    return np.hypot(y[:, None], x[None]) / (radius * np.maximum(wobble, 0.3))


def _nucleus(
    rng: np.random.Generator, y: np.ndarray, x: np.ndarray, radius: float, lateral: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return a soft disc with 1 to 3 nucleoli, and where its middle is."""
    angle, away = rng.uniform(0, 2 * np.pi), radius * _between(*_ECCENTRICITY, lateral)
    middle = away * np.array([np.sin(angle), np.cos(angle)])
    disc = _soft(_relative_radius(rng, y - middle[0], x - middle[1], _NUCLEUS_RADII * radius, 0.03),
                 _NUCLEUS_RADII * radius)
    spots = middle + rng.normal(0, 0.15 * radius, (int(rng.integers(1, 4)), 2))
    return disc + 0.8 * _blobs(y, x, spots, np.full(len(spots), 0.07 * radius)), middle


def _granules(
    rng: np.random.Generator, y: np.ndarray, x: np.ndarray, radius: float, coarseness: float,
    nucleus_px: np.ndarray,
) -> np.ndarray:
    """Scatter granules through the cytoplasm; the coarser, the fewer, over the same area."""
    fine, coarse = _GRANULE_RADII
    sigma = radius * fine * (coarse / fine) ** coarseness
    count = int(np.clip(round(_FILL * radius**2 / (2 * sigma**2)), 3, _MOST_GRANULES))
    angle, away = rng.uniform(0, 2 * np.pi, 4 * count), np.sqrt(rng.uniform(0, 0.8, 4 * count))
    places = radius * away[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    outside = np.hypot(*(places - nucleus_px).T) > _NUCLEUS_RADII * radius
    places = np.concatenate([places[outside], places[~outside]])[:count]
    return _blobs(y, x, places, sigma * rng.uniform(0.8, 1.2, count))


def _blobs(y: np.ndarray, x: np.ndarray, places: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return (Y, X) the sum of round Gaussians of height 1; separable, so one matrix product."""
    along_y = np.exp(-0.5 * ((y[:, None] - places[:, 0]) / sigma) ** 2)
    along_x = np.exp(-0.5 * ((x[:, None] - places[:, 1]) / sigma) ** 2)
    return along_y @ along_x.T


def _between(low: float, high: float, place: float) -> float:
    return low + place * (high - low)


def _soft(rho: np.ndarray, radius: float) -> np.ndarray:
    """Return 1 inside and 0 outside, with an edge about a pixel wide."""
    return np.clip(0.5 + (1.0 - rho) * radius, 0.0, 1.0)
