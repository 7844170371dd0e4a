"""Cross-validate a linear classifier on features, for one labelling or for hundreds at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stemcls.evaluation.predictions import Predictions

_SMALL = 1e-9


@dataclass(frozen=True, eq=False)
class Probe:
    """A linear classifier on standardised features.

    Attributes:
        mean, scale: (F,) of the training rows.
        weights: (F, L x K) of L labellings, offset in `offset`.
        offset: (L x K,).
        centroids: (L, K, K) mean outputs of each class in training; NaN for a class without rows.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    offset: np.ndarray
    centroids: np.ndarray

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Return (L, n, K) squared distances of rows to the classes, infinite where one lacks."""
        labellings, k, _ = self.centroids.shape
        outputs = ((features - self.mean) / self.scale) @ self.weights + self.offset
        outputs = outputs.reshape(len(features), labellings, k).transpose(1, 0, 2)
        squares = (outputs**2).sum(axis=2, keepdims=True)
        crossed = outputs @ np.nan_to_num(self.centroids).transpose(0, 2, 1)
        found = squares - 2 * crossed + (self.centroids**2).sum(axis=2)[:, None, :]
        return np.where(np.isnan(found), np.inf, found)


def fit_probe(features: np.ndarray, labels: np.ndarray, k: int) -> Probe:
    """Fit by ridge regression on class indicators; classify by the nearest class mean.

    The penalty is the number of features, so it is strong where crops are few, and does not depend
    on the labels: the same classifier meets the true labels and shuffled ones.

    Args:
        features: (n, F).
        labels: (n,) or (L, n) int in 0..k-1.
        k: Number of classes.
    Source: flexible discriminant analysis, Hastie, Tibshirani and Buja 1994, with a ridge penalty.
    """
    labels = np.atleast_2d(labels)
    features = np.asarray(features, np.float64)
    n, width = features.shape
    mean = features.mean(axis=0)
    spread = features.std(axis=0)
    scale = np.where(spread > _SMALL * (1 + np.abs(mean)), spread, np.inf)
    x = (features - mean) / scale
    targets = np.moveaxis(np.eye(k)[labels], 0, 1).reshape(n, -1)
    offset = targets.mean(axis=0)
    if width <= n:
        gram = x.T @ x + width * np.eye(width)
        weights = np.linalg.solve(gram, x.T @ (targets - offset))
    else:
        gram = x @ x.T + width * np.eye(n)
        weights = x.T @ np.linalg.solve(gram, targets - offset)
    by_labelling = weights.reshape(width, len(labels), k).transpose(1, 0, 2)
    centroids = np.full((len(labels), k, k), np.nan)
    for label in range(k):
        chosen = (labels == label).astype(np.float64)
        counts = chosen.sum(axis=1, keepdims=True)
        middle = (chosen @ x) / np.where(counts > 0, counts, np.nan)
        centroids[:, label] = (middle[:, None] @ by_labelling)[:, 0] + offset.reshape(-1, k)
    return Probe(mean, scale, weights, offset, centroids)


def probabilities_of(distances: np.ndarray) -> np.ndarray:
    """Turn (n, K) distances into rows that sum to 1, the nearest class the most probable."""
    finite = distances[np.isfinite(distances)]
    unit = max(float(np.median(finite)) if len(finite) else 1.0, _SMALL)
    logits = -(distances - distances.min(axis=1, keepdims=True)) / unit
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True)


def cross_validate(
    features: np.ndarray, labels: np.ndarray, k: int, fold: np.ndarray
) -> np.ndarray:
    """Return (L, n, K) squared distances to the classes, each row by a probe that did not see it.

    Args:
        features: (n, F).
        labels: (n,) or (L, n).
        k: Number of classes.
        fold: (n,) fold of each row, at least two.
    """
    labels = np.atleast_2d(labels)
    found = np.empty((len(labels), len(features), k))
    for number in np.unique(fold):
        out = fold == number
        probe = fit_probe(features[~out], labels[:, ~out], k)
        found[:, out] = probe.distances(np.asarray(features[out], np.float64))
    return found


def mean_recalls(distances: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Return (L,) mean recall of the nearest classes.

    Args:
        distances: (L, n, K).
        labels: (n,) or (L, n), what is true.
        k: Number of classes.
    """
    right = distances.argmin(axis=2) == labels
    labels = np.broadcast_to(np.atleast_2d(labels), right.shape)
    recalls = []
    for label in range(k):
        chosen = labels == label
        with np.errstate(invalid="ignore"):
            recalls.append((right & chosen).sum(axis=1) / chosen.sum(axis=1))
    return np.asarray(np.nanmean(recalls, axis=0))


def as_predictions(
    distances: np.ndarray, rows: np.ndarray, labels: np.ndarray, groups: np.ndarray,
    classes: tuple[str, ...],
) -> Predictions:
    """Return the (n, K) distances of one labelling as predictions that metrics can score."""
    return Predictions(rows, labels, probabilities_of(distances), groups, classes)
