"""A Gaussian process over the points of a space, aware of how uncertain each observation is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Logarithms of: variance of the sum of single effects, its length, variance of what dimensions do
# together, its length, white noise. Means and deviations of a prior for scores of variance 1.
PRIOR_MEAN = np.log([1.0, 1.5, 0.2, 1.0, 1e-4])
PRIOR_SD = np.array([1.5, 0.7, 1.5, 0.5, 3.0])
BOUNDS = [(-7.0, 5.0), (-2.5, 3.0), (-7.0, 5.0), (-2.5, 4.0), (-18.0, 0.0)]
STARTS = (np.log([1.0, 1.5, 0.1, 1.0, 1e-4]), np.log([0.1, 1.0, 1.0, 0.5, 1e-2]))
# Points of a unit cube are further apart the more dimensions it has, and the length of what they do
# together grows alike (Hvarfner et al. 2024, arXiv:2402.02229): its prior is times this.
JOINT_LENGTH = 3
JITTER = 1e-9


class Surrogate:
    """What each dimension does alone, plus what all of them do together, plus noise.

    Most settings act much alike whatever the others are, so the sum of single effects, which are
    smooth (squared exponential), is learned from few trials; the second part (Matern 5/2) takes the
    rest. One length for all dimensions in each: with tens of trials one each is not to be learned.

    Args:
        points: (N, D).
        groups: How many columns each dimension has; their sum is D.
        scores: (N,), lower is better.
        variances: (N,) known noise of the scores.

    Source: Rasmussen & Williams 2006, chapters 2 and 5; the sum as in Duvenaud et al. 2011
        (arXiv:1112.4394).
    """

    def __init__(
        self, points: np.ndarray, groups: tuple[int, ...], scores: np.ndarray,
        variances: np.ndarray,
    ) -> None:
        from scipy.optimize import minimize

        self._groups = groups
        self._centre, self._scale = float(scores.mean()), float(scores.std()) or 1.0
        targets, noise = (scores - self._centre) / self._scale, variances / self._scale**2
        distances = _distances(points, points, groups)
        wider = np.zeros(len(PRIOR_MEAN))
        wider[JOINT_LENGTH] = 0.5 * math.log(len(groups))
        fits = [
            minimize(
                _misfit, start + wider, args=(distances, targets, noise, PRIOR_MEAN + wider),
                jac=True, method="L-BFGS-B", bounds=BOUNDS, options={"maxiter": 60},
            )
            for start in STARTS
        ]
        self._parameters = np.exp(min(fits, key=lambda fit: fit.fun).x)
        self._observe(points, targets, noise)

    def given(self, points: np.ndarray) -> Surrogate:
        """Return the same surrogate as if `points` had been observed to be what it expects."""
        more = object.__new__(Surrogate)
        more._groups, more._parameters = self._groups, self._parameters
        more._centre, more._scale = self._centre, self._scale
        expected = (self.predict(points)[0] - self._centre) / self._scale
        more._observe(
            np.concatenate([self._points, points]), np.concatenate([self._targets, expected]),
            np.concatenate([self._noise, np.zeros(len(points))]),
        )
        return more

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation (N,) of the function itself, without noise."""
        from scipy.linalg import solve_triangular

        across = _kernel(_distances(points, self._points, self._groups), self._parameters)
        explained = solve_triangular(self._factor, across.T, lower=True)
        prior = self._parameters[0] + self._parameters[2]
        variance = np.maximum(prior - np.sum(explained**2, axis=0), JITTER)
        mean = across @ self._weights
        return mean * self._scale + self._centre, np.sqrt(variance) * self._scale

    @property
    def least(self) -> float:
        """The lowest mean at an observed point."""
        return float(self.predict(self._points)[0].min())

    def _observe(self, points: np.ndarray, targets: np.ndarray, noise: np.ndarray) -> None:
        from scipy.linalg import cho_solve

        self._points, self._targets, self._noise = points, targets, noise
        covariance = _kernel(_distances(points, points, self._groups), self._parameters)
        covariance[np.diag_indices(len(points))] += noise + self._parameters[4] + JITTER
        self._factor = np.linalg.cholesky(covariance)
        self._weights = cho_solve((self._factor, True), targets)


@dataclass(frozen=True, eq=False)
class _Distances:
    alone: np.ndarray  # (G, N, M) of each dimension, squared
    together: np.ndarray  # (N, M) of all


def _distances(points: np.ndarray, others: np.ndarray, groups: tuple[int, ...]) -> _Distances:
    ends = np.cumsum(groups)
    squares = np.stack([
        np.sum((points[:, None, a:b] - others[None, :, a:b]) ** 2, axis=-1)
        for a, b in zip(ends - groups, ends, strict=True)
    ])
    return _Distances(squares, np.sqrt(squares.sum(axis=0)))


def _kernel(distances: _Distances, parameters: np.ndarray) -> np.ndarray:
    alone, length_alone, together, length_together, _ = parameters
    return np.asarray(
        alone * np.exp(distances.alone / (-2.0 * length_alone**2)).mean(axis=0)
        + together * _matern(distances.together, length_together)[0]
    )


def _matern(distance: np.ndarray, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Return Matern 5/2, and its derivative by log(length)."""
    scaled = math.sqrt(5.0) / length * distance
    decay, squares = np.exp(-scaled), scaled**2 / 3.0
    return (1.0 + scaled + squares) * decay, squares * (1.0 + scaled) * decay


def _parts(distances: _Distances, parameters: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the kernel's two parts, each followed by its derivative by log(length)."""
    alone, length_alone, together, length_together, _ = parameters
    squares = distances.alone / length_alone**2
    single = np.exp(-0.5 * squares)
    joint, joint_slope = _matern(distances.together, length_together)
    return (
        alone * single.mean(axis=0), alone * (squares * single).mean(axis=0), together * joint,
        together * joint_slope,
    )


def _misfit(
    logs: np.ndarray, distances: _Distances, targets: np.ndarray, noise: np.ndarray,
    expected: np.ndarray,
) -> tuple[float, np.ndarray]:
    """Return the negative log posterior of the parameters, and its gradient."""
    from scipy.linalg import cho_solve

    n, white = len(targets), math.exp(logs[4])
    parts = (*_parts(distances, np.exp(logs)), white * np.eye(n))
    covariance = parts[0] + parts[2] + np.diag(noise + white + JITTER)
    factor = np.linalg.cholesky(covariance)
    inverse = cho_solve((factor, True), np.eye(n))
    weights = inverse @ targets
    beyond = (logs - expected) / PRIOR_SD
    value = 0.5 * targets @ weights + np.log(np.diag(factor)).sum() + 0.5 * beyond @ beyond
    slope = inverse - np.outer(weights, weights)
    gradient = np.array([0.5 * np.sum(slope * part) for part in parts]) + beyond / PRIOR_SD
    return float(value), gradient


