"""Serve the batches of one epoch after another to any backend, made ahead in threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import keras
import numpy as np

from stemcls.config.experiment import AugmentConfig
from stemcls.models.parallel import n_shares, padded
from stemcls.training.augment import augment
from stemcls.training.sampling import epoch_order, epoch_size

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]
AHEAD = 6
ORDER, CHANGE = 2, 3


@dataclass(frozen=True, eq=False)
class Samples:
    """What is to be learned of some crops, or of their features: (N,) each.

    Attributes:
        rows: What to read: rows of a store, or positions in a bank of features.
        targets: Class indices.
        weights: float32 weights of the loss.
        groups: Numbers of the groups or fields that they are from; None: each is on its own.
    """

    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    groups: np.ndarray | None = None


def epoch_rng(seed: int, *where: int) -> np.random.Generator:
    """Return the generator of one place in a run (stage, epoch, batch), alike on every backend."""
    return np.random.default_rng([seed, *where])


class Batches(keras.utils.PyDataset):
    """Batches of (inputs, targets, sample weights), made ahead in threads while a step runs.

    A batch depends on seed, epoch and its number alone, so that a resumed stage and another backend
    see the same. With a seed the batches of one epoch follow those of the other without an end:
    Keras is told `steps_per_epoch` and keeps one iterator for a whole stage, because to begin a new
    one costs TensorFlow as much as a step or two, and nothing would be ready for it.

    Args:
        read: Rows to inputs (n, ...), e.g. `CropStore.read`; called from threads.
        samples: What there is to serve.
        batch_size: Samples per step; the last batch of an epoch may be smaller.
        seed: (seed of the run, number of the stage), or None to serve the samples in their order,
            once.
        balance: As `Experiment.balance`.
        augmentation: Random changes to crops, or None for inputs as they are.
        epoch: The first one.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        samples: Samples,
        batch_size: int,
        seed: tuple[int, int] | None = None,
        balance: str = "none",
        augmentation: AugmentConfig | None = None,
        epoch: int = 0,
    ) -> None:
        super().__init__()
        self._read, self._samples, self._batch_size = read, samples, batch_size
        self._seed, self._balance, self._augmentation = seed, balance, augmentation
        self._threads = ThreadPoolExecutor(loader_threads(), thread_name_prefix="loader")
        self._shares = n_shares()
        self._lock = threading.Lock()
        self._ahead: dict[int, Future[Batch]] = {}
        self._orders: dict[int, np.ndarray] = {}
        self._first = epoch
        self._make_ahead(0)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    @property
    def steps_per_epoch(self) -> int:
        """How many batches make an epoch."""
        balance = self._balance if self._seed is not None else "none"
        return -(-epoch_size(self._samples.targets, balance) // self._batch_size)

    @property
    def num_batches(self) -> int | None:
        """What Keras asks for: how many batches there are, None without an end."""
        return self.steps_per_epoch if self._seed is None else None

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index`, counted from the start of the first epoch."""
        with self._lock:
            self._make_ahead(index)
            made = self._ahead.pop(index)
        return made.result()

    def _make_ahead(self, index: int) -> None:
        end = index + AHEAD if self.num_batches is None else self.num_batches
        for number in range(index, min(index + AHEAD, end)):
            if number not in self._ahead:
                epoch, place = divmod(number, self.steps_per_epoch)
                epoch += self._first
                self._ahead[number] = self._threads.submit(
                    self._made, place, epoch, self._order_of(epoch)
                )

    def _order_of(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            # An epoch and the start of the next one are under way together.
            self._orders = {old: self._orders[old] for old in self._orders if old == epoch - 1}
            self._orders[epoch] = self._drawn(epoch)
        return self._orders[epoch]

    def _drawn(self, epoch: int) -> np.ndarray:
        if self._seed is None:
            return np.arange(len(self._samples.rows))
        rng = epoch_rng(*self._seed, ORDER, epoch)
        return epoch_order(self._samples.targets, self._balance, rng)

    def _made(self, index: int, epoch: int, order: np.ndarray) -> Batch:
        part = order[index * self._batch_size : (index + 1) * self._batch_size]
        inputs = self._read(self._samples.rows[part])
        if self._augmentation is not None and self._seed is not None:
            rng = epoch_rng(*self._seed, CHANGE, epoch, index)
            inputs = augment(inputs, self._augmentation, rng)
        batch = (inputs, self._samples.targets[part], self._samples.weights[part])
        return batch if self._shares == 1 else shared(batch, self._shares)


def shared(batch: Batch, shares: int) -> Batch:
    """Return a batch that devices can share equally, with the same weighted mean of the loss.

    What fills it up has no weight; Keras divides by the number of crops, so the others get more.
    """
    inputs, targets, weights = (padded(part, shares) for part in batch)
    real = len(batch[0])
    weights = weights * np.float32(len(weights) / real)
    weights[real:] = 0.0
    return inputs, targets, weights


def loader_threads() -> int:
    """Return how many threads make batches: half the cores, at most four."""
    return max(1, min(4, (os.cpu_count() or 2) // 2))
