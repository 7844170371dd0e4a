"""How much memory is free, and crops kept in it where they fit."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stemcls.store.cropstore import CropStore

# What crops, and again features, may take of the memory that is free.
SHARE = 0.25


def spare_memory_bytes() -> float:
    """Return how much one large array of a run may take."""
    return SHARE * min(_free_memory_bytes(), _left_in_container_bytes())


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


def _free_memory_bytes() -> float:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass  # only Linux tells; elsewhere half of what is built in is taken as free
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2


def _left_in_container_bytes() -> float:
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = (folder / "memory.current").read_text(encoding="ascii").strip()
    except OSError:
        return float("inf")
    return float("inf") if limit == "max" else max(0.0, float(limit) - float(used))
