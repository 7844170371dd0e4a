"""Lay features out in two dimensions, and measure how well classes separate in all of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.evaluation.intervals import percentile_interval, whole_and_resampled
from stemcls.extras import check_extra

COMPONENTS = 50
RESAMPLES = 1000


def reduced(features: np.ndarray, seed: int) -> np.ndarray:
    """Return (n, <= 50) principal components of standardised features."""
    from sklearn.decomposition import PCA

    spread = features.std(axis=0)
    kept = spread > 1e-7 * (1 + np.abs(features).max())
    if not kept.any():
        return np.zeros((len(features), 2))
    scaled = (features[:, kept] - features[:, kept].mean(axis=0)) / spread[kept]
    n = min(COMPONENTS, *scaled.shape)
    found = PCA(n, random_state=seed).fit_transform(scaled.astype(np.float64))
    return np.pad(found, ((0, 0), (0, max(0, 2 - found.shape[1]))))


def by_pca(components: np.ndarray, perplexity: float, seed: int) -> np.ndarray:  # noqa: ARG001
    """Return the first two principal components (n, 2)."""
    return components[:, :2]


def by_tsne(components: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """Return the t-SNE layout (n, 2).

    Source: van der Maaten and Hinton 2008, JMLR 9, 2579; begun from PCA (Kobak and Berens 2019).
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if not np.ptp(components):
        return components[:, :2]
    least = min(perplexity, max(2.0, (len(components) - 1) / 3))
    # One thread repeats to the last digit, and does not wait for others on a busy machine.
    with threadpool_limits(1):
        layout = TSNE(2, perplexity=least, init="pca", random_state=seed)
        return np.asarray(layout.fit_transform(components))


def by_umap(components: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """Return the UMAP layout (n, 2).

    Raises:
        InputError: umap-learn is not installed.
    Source: McInnes, Healy and Melville 2018 (arXiv:1802.03426).
    """
    check_extra("--methods umap", ["umap"], "umap", "leave it out")
    import umap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises on threads and on its own dependencies
        neighbours = int(min(perplexity, len(components) - 1))
        return np.asarray(
            umap.UMAP(n_neighbors=neighbours, random_state=seed).fit_transform(components)
        )


LAYOUTS: dict[str, Callable[[np.ndarray, float, int], np.ndarray]] = {
    "pca": by_pca, "tsne": by_tsne, "umap": by_umap,
}


def separation(
    components: np.ndarray, labels: np.ndarray, groups: np.ndarray, neighbours: int, seed: int
) -> dict[str, Any]:
    """Measure how well classes separate in all components, not in a picture of two.

    Args:
        components: (n, D).
        labels, groups: (n,) int.
        neighbours: How many neighbours purity counts.
        seed: Of the resampling.
    Returns: `silhouette` (-1 to 1), `purity` (mean over classes of the share of neighbours that are
        of the crop's class), `purity_other_groups` (neighbours of other groups only; None where
        there are none), each with `<key>_ci` by resampling groups, and `purity_chance`.
    Source: Rousseeuw 1987, J. Comput. Appl. Math. 20, 53, for the silhouette.
    """
    from sklearn.metrics import silhouette_samples

    present = np.unique(labels)
    if len(present) < 2 or len(labels) <= len(present):
        raise InputError("separation needs crops of two classes or more, and more than one of each")
    values = {
        "silhouette": silhouette_samples(components, labels),
        "purity": purities(components, labels, neighbours),
        "purity_other_groups": purities(components, labels, neighbours, groups),
    }
    shares = np.bincount(labels)[present] / len(labels)
    document: dict[str, Any] = {"purity_chance": float(1 / len(shares))}
    for key, each in values.items():
        if not np.isfinite(each).any():
            document[key], document[f"{key}_ci"] = None, None
            continue
        document[key], document[f"{key}_ci"] = _averaged(
            each, labels, groups, seed, by_class=key != "silhouette"
        )
    return document


def purities(
    components: np.ndarray, labels: np.ndarray, neighbours: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return (n,) how much of a crop's neighbourhood is of its class, corrected for class sizes.

    Every neighbour counts 1 / (crops of its class); so a crop among random neighbours scores
    1 / K on average whatever the sizes.

    Args:
        components: (n, D).
        labels: (n,) int.
        neighbours: k.
        groups: (n,) int: only neighbours of another group count; NaN where there is none.
    """
    n = len(labels)
    counts = np.bincount(labels)
    found = np.full(n, np.nan)
    squares = (components**2).sum(axis=1)
    for row in range(n):
        distance = squares - 2 * components @ components[row]
        allowed = np.arange(n) != row
        if groups is not None:
            allowed &= groups != groups[row]
        places = np.flatnonzero(allowed)
        if not len(places):
            continue
        k = min(neighbours, len(places))
        near = labels[places[np.argpartition(distance[places], k - 1)[:k]]]
        weight = 1 / counts[near]
        found[row] = weight[near == labels[row]].sum() / weight.sum()
    return found


def _averaged(
    values: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int, by_class: bool
) -> tuple[float, list[float] | None]:
    known = np.isfinite(values)
    values, labels, groups = values[known], labels[known], groups[known]
    _, group = np.unique(groups, return_inverse=True)
    n_groups = int(group.max()) + 1
    weights = whole_and_resampled(n_groups, RESAMPLES, seed)
    parts = []
    for label in np.unique(labels) if by_class else (None,):
        chosen = slice(None) if label is None else labels == label
        total = np.bincount(group[chosen], values[chosen], n_groups) @ weights
        size = np.bincount(group[chosen], minlength=n_groups) @ weights
        with np.errstate(invalid="ignore"):
            parts.append(total / size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        means = np.nanmean(parts, axis=0)
    return float(means[0]), percentile_interval(means[1:]) if len(means) > 1 else None
