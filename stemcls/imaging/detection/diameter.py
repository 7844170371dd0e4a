"""Estimate how large the cells of some fields are, when nobody says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from stemcls.config.imaging import DetectConfig
from stemcls.imaging.detection.blobs import log_spaced, map_blobs, prune_overlaps
from stemcls.imaging.detection.cellmap import RIM_RESPONSE, SHRINKAGE, WORKING_SIGMA_PX, map_cells

_RADII_PX = (4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_REACH = 2.0  # each guess looks for radii this many times smaller and larger
_WINDOW_PX = 400  # of the reduced field that one guess looks at
_SURENESS_POWER, _SIZE_POWER = 10.0, 0.8  # what a blob counts: its response and its radius
_BANDWIDTH = 0.2  # of log radius


def estimate_diameter(fields: Iterable[np.ndarray], config: DetectConfig) -> float | None:
    """Return the commonest diameter of blobs that fill their outline, or None without blobs.

    Args:
        fields: (C, Y, X) each; one is held at a time.
        config: How cells are looked for; its sizes are not used.
    Returns: Pixels.
    """
    return commonest_diameter([size_votes(pixels, config) for pixels in fields])


def size_votes(pixels: np.ndarray, config: DetectConfig) -> np.ndarray:
    """Look for cells of six sizes, in searches that reach from one size to the next.

    Blobs of the right size turn up in more than one search. Each counts by its response, steeply,
    and by its radius: noise gives many small blobs, but none that answers like a disc, and merged
    cells give few.

    Args:
        pixels: (C, Y, X).
        config: How cells are looked for; its sizes are not used.
    Returns: (2, N) radius in pixels and weight of each blob.
    """
    votes = [np.zeros((2, 0))]
    for guess in _RADII_PX:
        if guess > min(pixels.shape[1:]) / 3:
            continue
        radius, response = _blobs_near(pixels, guess, config)
        weight = np.minimum(response, 1.0) ** _SURENESS_POWER * radius**_SIZE_POWER
        votes.append(np.stack([radius, weight]))
    return np.concatenate(votes, axis=1)


def commonest_diameter(votes: Sequence[np.ndarray]) -> float | None:
    """Return the mode, smoothed, of the log radii of all votes, as a diameter in pixels.

    Args:
        votes: (2, N) radius and weight, one array per field.
    """
    radius, weight = np.concatenate([np.zeros((2, 0)), *votes], axis=1)
    if not weight.any():
        return None
    grid = np.linspace(np.log(_RADII_PX[0] / _REACH), np.log(_RADII_PX[-1] * _REACH), 200)
    apart = (grid[:, None] - np.log(radius)) / _BANDWIDTH
    return 2 * float(np.exp(grid[np.argmax((weight * np.exp(-0.5 * apart**2)).sum(axis=1))]))


def _blobs_near(
    pixels: np.ndarray, radius_px: float, config: DetectConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return radius and response of the blobs of about `radius_px` in the richest window."""
    sigma = radius_px / 2**0.5 / SHRINKAGE
    smallest, largest = sigma / _REACH, sigma * _REACH
    config = replace(config, mode="fast")
    edge = int(_WINDOW_PX * max(1.0, smallest / WORKING_SIGMA_PX))
    cells = map_cells(_richest_window(pixels, edge), smallest, largest, config)
    factor = float(cells.scale.mean())
    sigmas = log_spaced(smallest, largest, 5) / factor
    centers, found, response = map_blobs(cells.foreground, sigmas, "log", 0.4 * RIM_RESPONSE)
    radius = found * factor * SHRINKAGE
    kept = prune_overlaps(centers * factor, radius, response, config.overlap)
    return radius[kept], response[kept] / RIM_RESPONSE


def _richest_window(pixels: np.ndarray, edge: int) -> np.ndarray:
    """Return the window, of at most `edge` pixels each way, with the most varied pixels."""
    _, height, width = pixels.shape
    if height <= edge and width <= edge:
        return pixels
    best, chosen = -1.0, pixels
    for top in _starts(height, edge):
        for left in _starts(width, edge):
            window = pixels[:, top : top + edge, left : left + edge]
            varied = float(sum(np.std(plane[::7, ::7]) for plane in window))
            if varied > best:
                best, chosen = varied, window
    return chosen


def _starts(length: int, edge: int) -> list[int]:
    steps = max(1, -(-length // edge))
    return [round(step * (max(0, length - edge)) / max(1, steps - 1)) for step in range(steps)]
