"""How much memory is free, and crops kept in it where they fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stemcls.machine import free_memory_bytes
from stemcls.store.cropstore import CropStore

# What crops, and again features, may take of the memory that is free.
SHARE = 0.25


def spare_memory_bytes() -> float:
    """Return how much one large array of a run may take."""
    return SHARE * free_memory_bytes()


def crop_reader(
    store: CropStore, memory_bytes: float | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what reads rows of a store to crops, from memory where all of them fit.

    Args:
        store: The crops.
        memory_bytes: What they may take; None: a quarter of what is free.
    """
    allowed = spare_memory_bytes() if memory_bytes is None else memory_bytes
    if int(np.prod(store.shape)) * store.dtype.itemsize > allowed:
        return store.read
    return store.read(slice(None)).__getitem__
