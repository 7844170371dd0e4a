"""Fit a smooth surface to the background of a plane: uneven illumination, without the cells."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SURFACE_ORDER = 2
_GRID = 96  # the fit looks at about this many points along the longer edge


@dataclass(frozen=True, eq=False)
class Background:
    """A quadratic surface over a plane, independent of how finely the plane is sampled.

    Attributes:
        weights: (3, 3), factor of y**i x**j, where y and x run from -1 to 1 between the edges.
        noise: Standard deviation of background pixels about the surface.
    """

    weights: np.ndarray
    noise: float

    def surface(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the surface on a grid of `shape` (Y, X), float32."""
        y, x = (_positions(length) for length in shape)
        rows = np.vander(y, _SURFACE_ORDER + 1, increasing=True) @ self.weights
        columns = np.vander(x, _SURFACE_ORDER + 1, increasing=True)
        return rows.astype(np.float32) @ columns.T.astype(np.float32)


def fit_background(plane: np.ndarray) -> Background:
    """Fit a quadratic surface to the background alone.

    Background is taken to be calm (little local variation) and, among calm pixels, the
    commonest brightness; so cells may cover more than half of the field. A quadratic surface,
    refitted to the pixels that follow it best, absorbs uneven illumination.

    Args:
        plane: (Y, X) float32.
    """
    height, width = plane.shape
    step = max(1, max(height, width) // _GRID)
    mean = cv2.GaussianBlur(plane, (0, 0), 2.0)
    squares = cv2.subtract(plane, mean, dst=mean)  # in place: new pages cost more than the sums
    cv2.multiply(squares, squares, dst=squares)
    variation = cv2.GaussianBlur(squares, (0, 0), 2.0)[::step, ::step].ravel()
    calm = variation <= np.quantile(variation, 0.25)
    y, x = _positions(height)[::step], _positions(width)[::step]
    grid_y, grid_x = np.meshgrid(y, x, indexing="ij")
    everywhere = _terms(grid_y.ravel(), grid_x.ravel())
    sampled = plane[::step, ::step].ravel().astype(np.float64)
    terms, values = everywhere[calm], sampled[calm]

    residual = np.abs(values - _mode(values))
    for _ in range(8):
        kept = residual <= np.quantile(residual, 0.6)
        weights = _solved(terms[kept], values[kept])
        residual = np.abs(values - terms @ weights)
    kept = residual <= 3 * 1.4826 * np.median(residual[kept]) + 1e-9
    weights = _solved(terms[kept], values[kept])
    # Calm pixels are those where noise happens to be low; widen to all that the noise explains.
    noise = float(np.std(values[kept] - terms[kept] @ weights))
    residual = sampled - everywhere @ weights
    for _ in range(4):
        near = np.abs(residual) <= 3 * noise
        noise = max(noise, float(np.std(residual[near]))) if near.any() else noise

    square = np.zeros((_SURFACE_ORDER + 1, _SURFACE_ORDER + 1))
    for weight, power in zip(weights, _powers(), strict=True):
        square[power] = weight
    return Background(square, noise)


def subtract_background(plane: np.ndarray) -> tuple[np.ndarray, float]:
    """Subtract the surface that `fit_background` finds.

    Args:
        plane: (Y, X) float32.
    Returns: (Y, X) float32 signed deviations, and the standard deviation of background noise.
    """
    background = fit_background(plane)
    return plane - background.surface((plane.shape[0], plane.shape[1])), background.noise


def _positions(length: int) -> np.ndarray:
    """Return pixel centres on an axis whose edges are at -1 and 1."""
    return (np.arange(length) + 0.5) * (2.0 / length) - 1.0


def _powers() -> list[tuple[int, int]]:
    return [(i, j) for i in range(_SURFACE_ORDER + 1) for j in range(_SURFACE_ORDER + 1 - i)]


def _terms(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.stack([y**i * x**j for i, j in _powers()], axis=1)


def _solved(terms: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return least-squares weights by the normal equations: six unknowns, well conditioned."""
    return np.linalg.lstsq(terms.T @ terms, terms.T @ values, rcond=None)[0]


def _mode(values: np.ndarray) -> float:
    """Return the commonest value: the half-sample mode (Bickel and Frühwirth 2006)."""
    ordered = np.sort(values)
    while len(ordered) > 8:
        half = (len(ordered) + 1) // 2
        widths = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
        start = int(np.argmin(widths))
        ordered = ordered[start : start + half]
    return float(ordered.mean())
