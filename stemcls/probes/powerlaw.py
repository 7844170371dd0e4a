"""Fit a saturating learning curve: a ceiling, less a power of the size of the training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EXPONENTS = np.geomspace(0.05, 2.0, 60)
CEILING = 1.0
LEAST_POINTS = 4


@dataclass(frozen=True, eq=False)
class PowerLaw:
    """B curves score(n) = ceiling - amount * (n / unit) ** -exponent.

    Attributes:
        ceiling: (B,) at most 1.
        amount: (B,) what is missing at n = unit, at least 0.
        exponent: (B,) of `EXPONENTS`.
        unit: The n at which `amount` holds.
    """

    ceiling: np.ndarray
    amount: np.ndarray
    exponent: np.ndarray
    unit: float

    def at(self, n: float) -> np.ndarray:
        """Return (B,) scores at size n."""
        return self.ceiling - self.amount * (n / self.unit) ** -self.exponent


def fit_power_law(sizes: np.ndarray, scores: np.ndarray) -> PowerLaw:
    """Fit B curves by weighted least squares; a larger training set weighs more.

    Args:
        sizes: (P,) at least 4 different, rising.
        scores: (B, P) or (P,), at most 1.
    Source: inverse power law and weights n / N, Figueroa et al. 2012, BMC Medical Informatics and
        Decision Making 12, 8.
    """
    scores = np.atleast_2d(scores).astype(np.float64)
    sizes = np.asarray(sizes, np.float64)
    unit = float(sizes[-1])
    weight = sizes / sizes.sum()
    mean = scores @ weight
    best = np.full(len(scores), np.inf)
    found = np.zeros((3, len(scores)))
    for exponent in EXPONENTS:
        missing = (sizes / unit) ** -exponent
        middle = float(missing @ weight)
        spread = float(((missing - middle) ** 2) @ weight)
        amount = -((scores - mean[:, None]) * (missing - middle)) @ weight / spread
        amount = np.maximum(amount, 0.0)
        ceiling = mean + amount * middle
        over = ceiling > CEILING
        squares = float((missing**2) @ weight)
        pinned = np.maximum((CEILING - scores) @ (weight * missing) / squares, 0.0)
        amount, ceiling = np.where(over, pinned, amount), np.where(over, CEILING, ceiling)
        error = ((scores - ceiling[:, None] + amount[:, None] * missing) ** 2) @ weight
        better = error < best - 1e-15
        best = np.where(better, error, best)
        found = np.where(better, np.stack([ceiling, amount, np.full(len(scores), exponent)]), found)
    return PowerLaw(found[0], found[1], found[2], unit)
