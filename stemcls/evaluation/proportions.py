"""Shares of a whole, with their 95 % intervals by resampling groups."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stemcls.evaluation.intervals import LEAST_GROUPS, percentile_interval, weight_blocks

Z = 1.959963984540054
RESAMPLES = 2000


@dataclass(frozen=True)
class Share:
    """A part of a whole.

    Attributes:
        n: Crops.
        share: Of all, 0 to 1; NaN where there are none.
        share_ci: 95 % interval, or None.
    """

    n: int
    share: float
    share_ci: tuple[float, float] | None


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n independent trials; (0, 1) where n is 0.

    Crops of one group are no independent trials: of them it shows the least that chance allows.

    Source: Wilson 1927, Journal of the American Statistical Association 22, 209.
    """
    if not n:
        return 0.0, 1.0
    share, z2 = hits / n, Z**2 / n
    middle = (share + z2 / 2) / (1 + z2)
    reach = Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n)) / (1 + z2)
    low = 0.0 if hits == 0 else middle - reach
    return low, 1.0 if hits == n else middle + reach


def composition(
    called: np.ndarray, groups: np.ndarray, k: int, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[list[Share], str]:
    """Return the share of each class, with intervals of whole groups resampled.

    Args:
        called: (N,) int, class of each crop.
        groups: (N,) int, what is resampled as one.
        k: Number of classes.
        seed, resamples: Of the resampling.
    Returns: K shares, and what the intervals are over, or why there are none: fewer than three
        groups.
    """
    names, group = np.unique(groups, return_inverse=True)
    counts = np.bincount(group * k + called, minlength=len(names) * k).reshape(-1, k)
    return composition_of_counts(counts, seed, resamples)


def composition_of_counts(
    counts: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[list[Share], str]:
    """Return what `composition` does, of (G, K) crops of each group and class."""
    counts = counts[counts.sum(axis=1) > 0]
    n_groups, total, n = len(counts), counts.sum(axis=0), int(counts.sum())
    if n_groups < LEAST_GROUPS:
        why = f"no intervals: they need {LEAST_GROUPS} or more groups, and there are {n_groups}"
        return [Share(m, m / n if n else math.nan, None) for m in total.tolist()], why
    drawn = np.concatenate([
        (weights.T @ counts) / (weights.T @ counts.sum(axis=1, keepdims=True))
        for weights in weight_blocks(n_groups, resamples, seed, n_groups)
    ])
    shares = []
    for index, m in enumerate(total.tolist()):
        ends = percentile_interval(drawn[:, index], True)
        shares.append(Share(m, m / n, (ends[0], ends[1]) if ends else None))
    return shares, f"{n_groups} groups"
