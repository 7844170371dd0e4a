"""What a frozen backbone makes of flips and quarter turns of every crop, computed once."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from stemcls.config.experiment import ModelConfig
from stemcls.interruption import Interruption
from stemcls.models.inference import dihedral, view_numbers
from stemcls.models.parallel import predict_batches
from stemcls.store.cropstore import CropStore
from stemcls.training.featurecache import FeatureCache

# Settings of the part above the features (one that is missing here costs an extraction, no more),
# and the place of the weights, which count by their content.
HEAD_SETTINGS = ("dense", "dropout", "l2", "label_smoothing", "focal_gamma", "weights")
CHUNK = 512
# Features of all views are kept as float32 up to this, then as float16.
WHOLE_PRECISION_BYTES = 2 * 2**30
# What they may take of the disk, and of what is free there.
DISK_BYTES, DISK_SHARE = 24 * 2**30, 0.5
Read = Callable[[np.ndarray], np.ndarray]


class Listener(Protocol):
    """What is told how far an extraction is; a run's journal is one."""

    def progress(self, done: int, total: int, note: str) -> None:
        """Note that `done` of `total` crops are done."""

    def warn(self, message: str) -> None:
        """Tell the user of something that costs time and no more."""


@dataclass(frozen=True, eq=False)
class FeatureBank:
    """Features of some crops.

    Attributes:
        rows: (N,) rows of the store, sorted.
        views: Per dihedral view (N, F) float32, or float16 in large sets; in memory or mapped from
            a file.
    """

    rows: np.ndarray
    views: tuple[np.ndarray, ...]

    def read(self, rows: np.ndarray, view: int) -> np.ndarray:
        """Return (n, F) features of one view of these rows of the store."""
        return np.asarray(self.views[view][np.searchsorted(self.rows, rows)], np.float32)

    def averaged(self, rows: np.ndarray, views: int, memory_bytes: float) -> np.ndarray | Averaged:
        """Return (n, F) features of rows, averaged over the first `views` views.

        Args:
            rows: (n,) rows of the store.
            views: How many.
            memory_bytes: If they need no more than this they are averaged at once, else when read.
        """
        found = Averaged(self.views[:views], np.searchsorted(self.rows, rows))
        return found[:] if 4 * found.size <= memory_bytes else found

    def reader(self, rows: np.ndarray, views: int, memory_bytes: float) -> Read:
        """Return what reads positions 0 to views * n - 1: all rows in view 0, then in view 1, ...

        Args:
            rows: (n,) rows of the store.
            views: How many views.
            memory_bytes: They are copied to memory if they need no more than this.
        """
        one = self.views[0]
        if views * len(rows) * one.shape[1] * one.itemsize <= memory_bytes:
            flat = np.concatenate([self.read(rows, view) for view in range(views)])
            return flat.__getitem__
        places = np.searchsorted(self.rows, rows)

        def gather(positions: np.ndarray) -> np.ndarray:
            result = np.empty((len(positions), one.shape[1]), np.float32)
            view, place = np.divmod(positions, len(places))
            for number in np.unique(view):
                chosen = view == number
                result[chosen] = self.views[number][places[place[chosen]]]
            return result

        return gather


@dataclass(frozen=True, eq=False)
class Averaged:
    """Features averaged over views as they are read; indexed like an array.

    Attributes:
        views: (N, F) each.
        places: (n,) rows of these.
    """

    views: tuple[np.ndarray, ...]
    places: np.ndarray

    def __len__(self) -> int:
        """Return n."""
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, F)."""
        return len(self.places), int(self.views[0].shape[1])

    @property
    def size(self) -> int:
        """How many numbers."""
        return self.shape[0] * self.shape[1]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return float32 features of some rows."""
        places = self.places[index]
        total = np.asarray(self.views[0][places], np.float32)
        for view in self.views[1:]:
            total = total + view[places]
        return np.asarray(total / np.float32(len(self.views)))


def make_bank(
    extractor: Any,
    config: ModelConfig,
    store: CropStore,
    read: Read,
    rows: np.ndarray,
    views: int,
    cache: FeatureCache,
    journal: Listener,
    interruption: Interruption,
) -> FeatureBank:
    """Return the features of `rows`, from the cache where an earlier run has left them there.

    The rows should be all that any fold of the store uses, so that folds share the work.
    """
    rows = np.sort(rows)
    about = describe(extractor, config, store, rows)
    shape = (len(rows), int(extractor.output_shape[-1]))
    # Half the precision is a tenth of a per mille of a feature; the noise of a crop is far more.
    halved = 4 * views * shape[0] * shape[1] > WHOLE_PRECISION_BYTES
    if halved:
        about["kept_as"] = "float16"
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    label = f"{store.path.stem}-{config.backbone}-{key[:16]}"
    banks = []
    for view in view_numbers(store.size_px, views):
        blocks = partial(extract, extractor, read, rows, view, journal, interruption)
        banks.append(
            cache.view(
                label, about, view, shape, blocks, interruption.check, journal.warn,
                "<f2" if halved else "<f4",
            )
        )
    return FeatureBank(rows, tuple(banks))


def describe(
    extractor: Any, config: ModelConfig, store: CropStore, rows: np.ndarray
) -> dict[str, Any]:
    """Return everything that decides what the features are."""
    settings = {k: v for k, v in asdict(config).items() if k not in HEAD_SETTINGS}
    return {
        "store": store.verified_hash,
        "rows": _digest([rows]),
        "crops": [*map(int, store.shape[1:]), str(store.dtype)],
        "model": settings,
        "weights": _digest(extractor.get_weights()),
        "backend": keras.backend.backend(),
        "precision": keras.config.dtype_policy().name,
    }


def extract(
    extractor: Any,
    read: Read,
    rows: np.ndarray,
    view: int,
    journal: Listener,
    interruption: Interruption,
    batch_size: int = 64,
) -> Iterator[np.ndarray]:
    """Run the backbone over one dihedral view of every crop; yield (n, F) float32 in order."""
    for start in range(0, len(rows), CHUNK):
        interruption.check()
        crops = read(rows[start : start + CHUNK])
        turned = np.ascontiguousarray(dihedral(crops, view))
        yield predict_batches(extractor, turned, batch_size)
        done = min(start + CHUNK, len(rows))
        journal.progress(done, len(rows), f"features, view {view + 1}")


def _digest(arrays: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def affordable_views(shape: tuple[int, int], views: int, folder: Path) -> int:
    """Return how many of `views` views of (N, F) features fit on the disk, at least one.

    Args:
        shape: (N, F), two bytes each.
        views: 1, 2, 4 or 8.
        folder: Where they are to be kept.
    """
    there = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    budget = min(DISK_BYTES, DISK_SHARE * shutil.disk_usage(there).free)
    while views > 1 and 2 * views * shape[0] * shape[1] > budget:
        views //= 2
    return views


def cache_folder(run: Path) -> Path:
    """Return where the runs of a workspace share features: saved_models/.features."""
    for folder in run.resolve().parents:
        if folder.name == "saved_models":
            return folder / ".features"
    return run.parent / ".features"
