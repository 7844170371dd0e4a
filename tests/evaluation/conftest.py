"""Predictions with known answers."""

from __future__ import annotations

import numpy as np

from stemcls.evaluation.predictions import Predictions


def simulated(
    n: int = 400, k: int = 3, n_groups: int = 8, seed: int = 0, decimals: int = 2
) -> Predictions:
    """Draw predictions that are mostly right; rounded, so that many scores tie."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, k, n)
    logits = random.normal(size=(n, k))
    logits[np.arange(n), labels] += 1.2
    shares = np.round(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), decimals)
    return Predictions(
        rows=np.arange(n) + 100,
        labels=labels,
        probabilities=shares / shares.sum(axis=1, keepdims=True),
        groups=random.integers(0, n_groups, n) * 5,
        classes=tuple("ABCDEFGHIJKL"[:k]),
    )


def certain(labels: list[int], predicted: list[int], classes: tuple[str, ...]) -> Predictions:
    """Return predictions with probability 0.9 for the predicted class, a group per crop."""
    k = len(classes)
    probabilities = np.full((len(labels), k), 0.1 / (k - 1))
    probabilities[np.arange(len(labels)), predicted] = 0.9
    rows = np.arange(len(labels))
    return Predictions(rows, np.array(labels), probabilities, rows, classes)
