"""Confidence intervals from resampling whole groups, because crops of a group are alike."""

from __future__ import annotations

import numpy as np

LEAST_GROUPS = 3
LEVEL = 0.95


def group_weights(n_groups: int, resamples: int, seed: int) -> np.ndarray:
    """Draw groups with replacement, as many as there are.

    Returns: (G, R) float64, how often each group was drawn in each resample; columns sum to G.
    Source: the cluster bootstrap, Davison and Hinkley 1997, section 3.8.
    """
    random = np.random.default_rng(seed)
    shares = np.full(n_groups, 1 / n_groups)
    return random.multinomial(n_groups, shares, size=resamples).T.astype(np.float64)


def percentile_interval(values: np.ndarray) -> list[float] | None:
    """Return the central 95 % of the defined `values` as [low, high]; None where none is."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]
