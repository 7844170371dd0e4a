"""Which samples an epoch serves, and how much each weighs, where classes are unequal."""

from __future__ import annotations

import numpy as np


def class_weights(targets: np.ndarray, balance: str) -> np.ndarray:
    """Return (N,) float32 weights of the loss, mean 1.

    Args:
        targets: (N,) class indices.
        balance: As `Experiment.balance`. Weights stand for the balance where samples are not drawn
            anew: under `class-weights`, and for validation under every balance but `none`.
    """
    if balance == "none":
        return np.ones(len(targets), dtype=np.float32)
    counts = np.bincount(targets)
    present = np.count_nonzero(counts)
    return (len(targets) / (present * counts[targets])).astype(np.float32)


def epoch_order(targets: np.ndarray, balance: str, rng: np.random.Generator) -> np.ndarray:
    """Return the samples of one epoch in the order they are served.

    Args:
        targets: (N,) class indices.
        balance: `oversample`: every sample once, and those of smaller classes drawn again at random
            until each class counts as many as the largest (Wang 2023); `weighted-sampling`: N
            draws with replacement, each class equally likely; else every sample once.
        rng: Of this epoch.
    Returns: positions in `targets`; their number is the same in every epoch.
    """
    if balance == "weighted-sampling":
        return rng.choice(len(targets), len(targets), p=_chances(targets))
    order = np.arange(len(targets))
    if balance == "oversample":
        order = np.concatenate([order, *_extras(targets, rng)])
    return rng.permutation(order)


def epoch_size(targets: np.ndarray, balance: str) -> int:
    """Return how many samples an epoch serves."""
    if balance != "oversample":
        return len(targets)
    counts = np.bincount(targets)
    return int(counts.max() * np.count_nonzero(counts))


def _chances(targets: np.ndarray) -> np.ndarray:
    counts = np.bincount(targets)
    return 1.0 / (np.count_nonzero(counts) * counts[targets])


def _extras(targets: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    counts = np.bincount(targets)
    return [
        rng.choice(np.flatnonzero(targets == label), counts.max() - count)
        for label, count in enumerate(counts) if count
    ]
