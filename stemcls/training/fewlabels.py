"""Draw a few labelled crops of a split, for training that must do with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stemcls.store.cropstore import CropStore
from stemcls.store.splits import Split

# Of the labels, how many stop training.
STOPPING = 0.25


def parts_of(labels: int) -> dict[str, int]:
    """Return how many of the labels of a class train, and how many stop training."""
    stopping = max(1, round(STOPPING * labels))
    return {"train": labels - stopping, "validation": stopping}


def most_labels(store: CropStore, split: Split) -> tuple[int, str]:
    """Return how many labels a class a split can give, and the class that has the fewest."""
    counts = {
        side: np.bincount(
            split.targets(store, getattr(split, side)), minlength=len(split.classes)
        )
        for side in ("train", "validation")
    }
    rare = split.classes[int(np.argmin(counts["train"]))]
    least = {side: int(count.min()) for side, count in counts.items()}
    for labels in range(sum(least.values()), 1, -1):
        if all(count <= least[side] for side, count in parts_of(labels).items()):
            return labels, rare
    return 0, rare


def draw_labels(store: CropStore, split: Split, labels: int, seed: int) -> Split:
    """Return the split with `labels` crops a class to learn from; what tests stays as it is.

    Draws of one seed are nested: fewer labels are part of more.

    Args:
        store: The crops.
        split: Where they are drawn from: training and validation groups apart.
        labels: Crops a class, up to `most_labels`.
        seed: Of the draw.
    """
    drawn: dict[str, np.ndarray] = {}
    for side, count in parts_of(labels).items():
        rows = getattr(split, side)
        targets = split.targets(store, rows)
        random = np.random.default_rng([seed, len(drawn)])
        drawn[side] = np.sort(np.concatenate([
            random.permutation(rows[targets == number])[:count]
            for number in range(len(split.classes))
        ]))
    return replace(split, train=drawn["train"], validation=drawn["validation"])
