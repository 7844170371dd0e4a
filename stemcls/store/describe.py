"""Describe a crop store and measure how fast random crops are read from it."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.store.cropstore import CropStore

MEASURES = ("brightness", "focus", "saturated", "unevenness")
_BATCH = 64
_SECONDS = 0.5
_BATCHES = 200


def describe(path: Path) -> dict[str, Any]:
    """Return what `stemcls info --json` prints.

    Raises:
        InputError: `path` is not a readable crop store.
    """
    store = CropStore.open(path)
    layout = store.layout
    counts = np.bincount(store.labels[store.labels >= 0], minlength=len(store.classes))
    per_second = measure_reads(store)
    n_groups = len(np.unique(store.group_index))
    named: dict[str, int] = {}
    if store.has_groups:
        crops = np.bincount(store.group_index, minlength=len(store.group_names))
        named = dict(zip(store.group_names, crops.tolist(), strict=True))
    return {
        "store": str(path),
        "crops": len(store),
        "size_px": store.size_px,
        "channels": store.channels,
        "slices": store.slices,
        "dtype": store.dtype.name,
        "pixel_size_um": store.pixel_size_um,
        "classes": dict(zip(store.classes, counts.tolist(), strict=True)),
        "unlabelled": int((store.labels < 0).sum()),
        "fields": len(store.fields),
        "groups": {"what": store.group_what, "count": n_groups, "crops": named},
        "metadata": metadata_summary(store),
        "quality": quality_summary(store),
        "dropped": dropped_cells(store),
        "scale": scale_summary(store),
        "layout": {
            "kind": layout.kind, "chunks": layout.chunks, "compression": layout.compression,
        },
        "bytes": path.stat().st_size,
        "version": store.version,
        "created": store.created,
        "content_hash": store.content_hash,
        "config": store.config,
        "read_crops_per_second": per_second,
        "read_cost": read_cost(store, per_second),
    }


def quality_summary(store: CropStore) -> dict[str, dict[str, float]]:
    """Return min, median and max over fields of each measure that the store holds."""
    summary = {}
    for measure in MEASURES:
        found = _spread(getattr(store.fields, measure))
        if found is not None:
            summary[measure] = found
    return summary


def dropped_cells(store: CropStore) -> dict[str, int]:
    """Return why cells of all fields were left out, and how many for each reason."""
    total: Counter[str] = Counter()
    for text in store.fields.dropped or ():
        total.update(json.loads(text))
    return dict(total)


def metadata_summary(store: CropStore) -> dict[str, dict[str, int]]:
    """Return each column of metadata, and how many fields have each of its values."""
    summary: dict[str, Counter[str]] = {}
    for text in store.fields.metadata or ():
        for column, value in json.loads(text).items():
            summary.setdefault(column, Counter())[value] += 1
    return {
        column: dict(sorted(counts.items())) for column, counts in sorted(summary.items())
    }


def scale_summary(store: CropStore) -> list[dict[str, Any]]:
    """Return, for each slice that was scaled, the raw values that became 0 and 255."""
    lows, highs = store.fields.scale_low, store.fields.scale_high
    if lows is None or highs is None:
        return []
    rows = []
    for number, (low, high) in enumerate(zip(lows.T, highs.T, strict=True)):
        name = store.slices[number] if number < len(store.slices) else f"slice {number + 1}"
        ends = _spread(low), _spread(high)
        if ends[0] is not None:
            rows.append({"slice": name, "low": ends[0], "high": ends[1]})
    return rows


def _spread(values: np.ndarray | None) -> dict[str, float] | None:
    known = values[np.isfinite(values)] if values is not None else np.zeros(0)
    if not len(known):
        return None
    return {
        "min": float(known.min()), "median": float(np.median(known)), "max": float(known.max())
    }


def measure_reads(store: CropStore) -> float:
    """Return crops read per second in random batches of 64, over at most about half a second."""
    generator = np.random.default_rng(0)
    if not len(store):
        return 0.0
    read, start = 0, time.perf_counter()
    for _ in range(_BATCHES):
        rows = generator.integers(len(store), size=_BATCH)
        read += len(store.read(rows))
        if time.perf_counter() - start > _SECONDS:
            break
    return read / (time.perf_counter() - start)


def read_cost(store: CropStore, crops_per_second: float) -> str | None:
    """Say what a chunked layout costs; None for contiguous stores."""
    chunks = store.layout.chunks
    if store.layout.kind == "contiguous":
        return None
    per_chunk = chunks[0] if chunks else 1
    squeezed = f", compressed with {store.layout.compression}" if store.layout.compression else ""
    epoch = len(store) / max(crops_per_second, 1e-9)
    return (
        f"images are in chunks of {per_chunk} crops{squeezed}: a random crop reads its whole "
        f"chunk, so one pass in random order takes about {epoch:.1f} s; stores made by "
        "`stemcls build` are contiguous and mapped into memory instead"
    )
