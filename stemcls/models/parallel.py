"""Split every batch over several GPUs, by the data parallelism that Keras itself has."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

# Those whose Keras backend has it (keras.distribution).
BACKENDS = ("jax",)


def spread(n_devices: int) -> None:
    """Keep a copy of every model made from now on, on each of the first devices, and share batches.

    Args:
        n_devices: How many; batches must be multiples of it, see `padded`.
    """
    from keras import distribution

    devices = distribution.list_devices()[:n_devices]
    distribution.set_distribution(
        distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    )


def n_shares() -> int:
    """Return into how many equal shares a batch is split: 1 unless `spread` was called."""
    if "keras" not in sys.modules:
        return 1  # a search asks, and leaves Keras to the processes of its folds
    from keras import distribution

    chosen = distribution.distribution()
    return 1 if chosen is None else int(chosen.num_model_replicas)


def padded(array: np.ndarray, shares: int) -> np.ndarray:
    """Return (N, ...) with rows from its start repeated at its end until shares divides N."""
    missing = -len(array) % shares
    if not missing:
        return array
    return np.concatenate([array, np.resize(array, (missing, *array.shape[1:]))])


def predict_batches(
    model: Any, inputs: np.ndarray, batch_size: int, callbacks: list[Any] | None = None
) -> np.ndarray:
    """Return what `model.predict` does, on any number of devices.

    Args:
        model: keras.Model.
        inputs: (N, ...).
        batch_size: Per step, over all devices; rounded down to what they can share.
        callbacks: As of `model.predict`.
    Returns: (N, ...).
    """
    shares = n_shares()
    size = max(batch_size // shares, 1) * shares
    outputs = model.predict(
        padded(inputs, shares), batch_size=size, verbose=0, callbacks=callbacks
    )
    return np.asarray(outputs[: len(inputs)])
