"""Serve augmented batches of one epoch from a crop store to any backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from stemcls.config.experiment import AugmentConfig
from stemcls.training.augment import augment


def epoch_rng(seed: int, *where: int) -> np.random.Generator:
    """Return the generator of one place in a run (stage, epoch, batch), alike on every backend."""
    return np.random.default_rng([seed, *where])


class CropBatches(keras.utils.PyDataset):
    """One epoch of (crops, targets, sample weights).

    Args:
        read: Rows to crops (n, H, W, C), e.g. `CropStore.read`; called from loader threads.
        rows: (N,) store rows, in the order they are served.
        targets: (N,) class indices.
        weights: (N,) float32 sample weights.
        batch_size: Crops per step; the last batch may be smaller.
        augmentation: Random changes, or None for the crops as stored.
        seed: What makes batch i of this epoch the same each time it is asked for.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        rows: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        batch_size: int,
        augmentation: AugmentConfig | None = None,
        seed: tuple[int, ...] = (0,),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._read, self._rows = read, rows
        self._targets, self._weights = targets, weights
        self._batch_size, self._augmentation, self._seed = batch_size, augmentation, seed

    def __len__(self) -> int:
        return -(-len(self._rows) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        part = slice(index * self._batch_size, (index + 1) * self._batch_size)
        crops = self._read(self._rows[part])
        if self._augmentation is not None:
            crops = augment(crops, self._augmentation, epoch_rng(*self._seed, index))
        return crops.astype(np.float32), self._targets[part], self._weights[part]
