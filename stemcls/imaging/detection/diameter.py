"""Estimate how large the cells of some fields are, when nobody says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from stemcls.config.imaging import DetectConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.blobs import log_spaced, map_blobs, prune_overlaps
from stemcls.imaging.detection.cellmap import (
    RIM_RESPONSE,
    SHRINKAGE,
    WORKING_SIGMA_PX,
    map_cells,
    mean_inside,
)
from stemcls.imaging.detection.foreground import SURE_NOISE
from stemcls.imaging.detection.outline import measure_radius
from stemcls.imaging.detection.windows import rich_windows

_RADII_PX = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_REACH = 2.0  # each guess looks for radii this many times smaller and larger
# and believes these. A cell much smaller than the guess looks like a blob of the map's own
# resolution, 0.45 guesses wide: a finer search has to confirm it.
_BELIEVED = 2**0.5
_WINDOW_PX = 400  # of the reduced field that one guess looks at
_MOST_WINDOWS = 4
_LEAST_EVIDENCE = 5.0  # mean over the middle of a blob, in standard deviations of noise
# What a blob counts: likeness to a full disc, radius, and evidence.
_SURENESS_POWER, _SIZE_POWER, _EVIDENCE_POWER = 10.0, 0.8, 0.5
_BANDWIDTH = 0.2  # of log radius
_ALIKE = 1.4  # radii within this factor of the commonest speak for it
_ENOUGH = 6.0  # full discs of one size, from which no more windows are looked at
_FEWEST = 1.5  # from which a size is believed: two cells
_FULL = 0.5  # or one that is this like a disc, where none of another size is
_FIELDS_THAT_SETTLE = 3


def estimate_diameter(fields: Iterable[np.ndarray], config: DetectConfig) -> float | None:
    """Return the commonest diameter of blobs that fill their outline, or None without blobs.

    Args:
        fields: (C, Y, X) each; one is held at a time, and no more are taken than are needed.
        config: How cells are looked for; its sizes are not used.
    Returns: Pixels.

    Raises:
        InputError: Too few blobs speak for one size, or a single one against others.
    """
    votes: list[np.ndarray] = []
    for pixels in fields:
        votes.append(size_votes(pixels, config))
        if is_settled(votes):
            break
    return commonest_diameter(votes)


def is_settled(votes: Sequence[np.ndarray]) -> bool:
    """Say whether no more fields are needed: three or more, each clear by itself, say the same."""
    if len(votes) < _FIELDS_THAT_SETTLE:
        return False
    said = [_agreeing(one) for one in votes]
    radii = [radius for radius, _, _ in said]
    clear = all(discs >= _ENOUGH for _, discs, _ in said)
    return clear and max(radii) < _ALIKE * min(radii)


def size_votes(pixels: np.ndarray, config: DetectConfig) -> np.ndarray:
    """Look for cells of six sizes, each search where most stands out, until one size is clear.

    A search believes blobs of about its own size alone, so that each cell is counted about once,
    at the resolution that it needs, and only blobs that noise does not explain. Each counts by its
    likeness to a disc, steeply, by its radius, and by its evidence: noise gives many small blobs,
    but none that answers like a disc, merged cells give few, granules are smaller than their cell.
    Searches for small cells see less of a field than those for large ones; their votes are scaled
    up by the part, of all that stands out, that they saw.

    Args:
        pixels: (C, Y, X).
        config: How cells are looked for; its sizes are not used.
    Returns: (3, N) radius in pixels, weight, and likeness to a full disc (0 to 1) of each blob.
    """
    guesses = [guess for guess in _RADII_PX if guess <= min(pixels.shape[1:]) / 3]
    searches = {guess: rich_windows(pixels, _window_px(guess), guess) for guess in guesses}
    seen: dict[float, list[np.ndarray]] = {guess: [] for guess in guesses}
    looked_at: dict[float, list[tuple[slice, slice]]] = {guess: [] for guess in guesses}
    share = dict.fromkeys(guesses, 1.0)
    votes = np.zeros((3, 0))
    for _ in range(_MOST_WINDOWS):
        for guess in guesses:
            window, share[guess] = next(searches[guess], (None, share[guess]))
            if window is not None:
                one, centers = _votes_near(pixels[:, *window], guess, config)
                centers += [part.start for part in window]
                seen[guess].append(one[:, ~_within(centers, looked_at[guess])])
                looked_at[guess].append(window)
        scaled = [_scaled(one, share[guess]) for guess in guesses for one in seen[guess]]
        votes = np.concatenate([votes[:, :0], *scaled], axis=1)
        if _agreeing(votes)[1] >= _ENOUGH:
            break
    return votes


def commonest_diameter(votes: Sequence[np.ndarray]) -> float | None:
    """Return the mode, smoothed, of the log radii of all votes, as a diameter in pixels.

    Args:
        votes: From `size_votes`, one array per field.
    Returns: None where no field holds anything that looks like a cell, of whatever size.

    Raises:
        InputError: Too few blobs speak for one size, or a single one against others.
    """
    pooled = np.concatenate([np.zeros((3, 0)), *votes], axis=1)
    if not pooled[1].any():
        return None
    radius, discs, rival = _agreeing(pooled)
    if discs < _FEWEST and not rival < _FULL <= discs:
        raise InputError(
            "the usual diameter of a cell could not be estimated: too few blobs in the "
            f"{len(votes)} field(s) looked at look like whole cells of one size; say it, in "
            "pixels, by --diameter-px"
        )
    return 2 * radius


def no_size(n_looked_at: int, n_fields: int) -> str:
    """Return what to say where nothing looks like a cell."""
    return (
        f"the usual diameter of a cell could not be estimated: nothing in the {n_looked_at} of "
        f"{n_fields} field(s) looked at stands out from noise like a cell; if there are cells, say "
        "their diameter in pixels by --diameter-px"
    )


def _agreeing(votes: np.ndarray) -> tuple[float, float, float]:
    """Return the commonest radius, how many full discs have about it, and the fullest other."""
    radius, weight, disc = votes
    if not weight.any():
        return 0.0, 0.0, 0.0
    grid = np.linspace(np.log(_RADII_PX[0] / _REACH), np.log(_RADII_PX[-1] * _REACH), 200)
    apart = (grid[:, None] - np.log(radius)) / _BANDWIDTH
    commonest = float(np.exp(grid[np.argmax((weight * np.exp(-0.5 * apart**2)).sum(axis=1))]))
    alike = np.abs(np.log(radius / commonest)) < np.log(_ALIKE)
    return commonest, float(disc[alike].sum()), float(disc[~alike].max(initial=0.0))


def _scaled(votes: np.ndarray, share: float) -> np.ndarray:
    radius, weight, disc = votes
    return np.stack([radius, weight / share, disc])


def _within(centers: np.ndarray, windows: Sequence[tuple[slice, slice]]) -> np.ndarray:
    """Return (N,) bool: which centres lie in one of the windows, which may overlap."""
    inside = np.zeros(len(centers), bool)
    for window in windows:
        low, high = ([getattr(part, end) for part in window] for end in ("start", "stop"))
        inside |= ((centers >= low) & (centers < high)).all(axis=1)
    return inside


def _window_px(radius_px: float) -> int:
    smallest = radius_px / 2**0.5 / SHRINKAGE / _REACH
    return int(_WINDOW_PX * max(1.0, smallest / WORKING_SIGMA_PX))


def _votes_near(
    window: np.ndarray, radius_px: float, config: DetectConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return (3, N) as `size_votes` of the blobs of about `radius_px`, and their (N, 2) centres."""
    sigma = radius_px / 2**0.5 / SHRINKAGE
    smallest, largest = sigma / _REACH, sigma * _REACH
    cells = map_cells(window, smallest, largest, replace(config, mode="fast"))
    factor = float(cells.scale.mean())
    sigmas = log_spaced(smallest, largest, 5) / factor
    centers, found, response = map_blobs(cells.foreground, sigmas, "log", 0.4 * RIM_RESPONSE)
    found, response = found * SHRINKAGE, response / RIM_RESPONSE
    kept = prune_overlaps(centers, found, response, config.overlap)
    kept = kept[np.abs(np.log(found[kept] * factor / radius_px)) <= np.log(_BELIEVED)]
    centers, found, response = centers[kept], found[kept], response[kept]
    evidence = mean_inside(cells, centers, radius_px / factor / 3)
    sure = evidence > _LEAST_EVIDENCE
    measured = measure_radius(cells.evidence, centers[sure], found[sure], SURE_NOISE)
    measured *= factor
    disc = np.minimum(response[sure], 1.0) ** _SURENESS_POWER
    weight = disc * measured**_SIZE_POWER * evidence[sure] ** _EVIDENCE_POWER
    return np.stack([measured, weight, disc]), cells.to_field(centers[sure])
