"""Confidence intervals from resampling whole groups, because crops of a group are alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

LEAST_GROUPS = 3
LEVEL = 0.95
# Half of the last of the three decimals that are shown.
_ALIKE = 5e-4
_RESAMPLES = 1000
# What one array of a block of resamples may take.
BLOCK_BYTES = 2**25


def group_weights(n_groups: int, resamples: int, seed: int) -> np.ndarray:
    """Draw groups with replacement, as many as there are.

    Returns: (G, R) float64, how often each group was drawn in each resample; columns sum to G.
    Source: the cluster bootstrap, Davison and Hinkley 1997, section 3.8.
    """
    return np.hstack(list(weight_blocks(n_groups, resamples, seed, n_groups)))


def whole_and_resampled(n_groups: int, resamples: int, seed: int) -> np.ndarray:
    """Return weights that count every group once, and those of `group_weights` beside them.

    Returns: (G, 1 + R) float64; (G, 1) where groups are too few to be resampled.
    """
    whole = np.ones((n_groups, 1))
    if n_groups < LEAST_GROUPS:
        return whole
    return np.hstack([whole, group_weights(n_groups, resamples, seed)])


def weight_blocks(
    n_groups: int, resamples: int, seed: int, n_rows: int
) -> Iterator[np.ndarray]:
    """Yield the columns of `group_weights` block by block, so that memory stays flat.

    Args:
        n_groups, resamples, seed: As there; blocks of any width draw the same groups.
        n_rows: Rows of the largest array that a caller makes per resample.
    """
    random = np.random.default_rng(seed)
    width = max(8, BLOCK_BYTES // (8 * max(n_groups, n_rows, 1)))
    for start in range(0, resamples, width):
        n = min(width, resamples - start)
        drawn = random.integers(n_groups, size=(n, n_groups), dtype=np.int64)
        drawn += np.arange(n)[:, None] * n_groups
        counts = np.bincount(drawn.ravel(), minlength=n * n_groups)
        yield np.ascontiguousarray(counts.reshape(n, n_groups).T, dtype=np.float64)


def mean_interval(values: np.ndarray, groups: np.ndarray, seed: int) -> list[float] | None:
    """Return the 95 % interval of a mean over crops, by resampling their groups.

    Args:
        values: (N,) finite.
        groups: (N,) int.
        seed: Of the resampling.
    Returns: [low, high]; None where groups are too few, or `percentile_interval` has none.
    """
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < LEAST_GROUPS:
        return None
    weights = group_weights(len(names), _RESAMPLES, seed)
    sums, n = np.bincount(group, values), np.bincount(group)
    return percentile_interval((sums @ weights) / (n @ weights))


def percentile_interval(values: np.ndarray, of_score: bool = False) -> list[float] | None:
    """Return the central 95 % of the defined `values` as [low, high].

    Args:
        values: (R,) of resamples.
        of_score: They lie between 0 and 1.
    Returns: None where no value is defined, where both ends are the same to three decimals (the
        groups do not differ, so resampling them cannot say how sure the value is), and where those
        of a score are 0 and 1 (which says nothing).
    """
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    if high - low < _ALIKE or (of_score and high - low > 1 - _ALIKE):
        return None
    return [float(low), float(high)]
