"""Number the crops of a store by classes that are given from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from stemcls.errors import check_known
from stemcls.store.cropstore import CropStore


def check_classes(store: CropStore, names: Iterable[str]) -> None:
    """Refuse a class that a store does not have.

    Raises:
        InputError: Names the nearest.
    """
    for name in names:
        check_known(name, store.classes, f"{store.path} has no class {name!r}")


def class_index(store: CropStore, classes: Sequence[str]) -> np.ndarray:
    """Return (N,) int64 index into `classes` of each crop's label, -1 for all others."""
    return places_among(store.classes, classes)[store.labels]


def places_among(names: Iterable[str], classes: Sequence[str]) -> np.ndarray:
    """Return (n + 1,) int64 index into `classes` of each name, -1 where it is none of them.

    The last entry is that of `UNLABELLED`, which is -1 too.
    """
    place = {name: number for number, name in enumerate(classes)}
    return np.array([*(place.get(name, -1) for name in names), -1], np.int64)
