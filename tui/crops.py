"""Choose crops of a store and read them for a gallery; blocking, so the UI calls it in a thread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stemcls.display.colours import to_rgb
from stemcls.store.cropstore import CropStore
from stemcls.store.layout import UNLABELLED
from tui.pixels import levels_of, shrunk, stretched

ALL = "all"
NO_CLASS = "(unlabelled)"
MIXED, STORED = "mixed", "as stored"
# What a screen of crops may be stretched by: one range for the page, one for each crop, none.
CONTRASTS = ("page", "crop", "none")
PAGE = 120
THUMBNAIL_PX = 160
_READ_BYTES = 16 * 2**20  # of large crops not a whole page is in memory at full size
_TAIL = 0.1
_MEASURES = ("brightness", "focus", "saturated", "unevenness", "n_cells", "radius")
_UNITS = {"radius": " px"}


@dataclass(frozen=True)
class Choice:
    """Which crops of a store are shown, and in which order.

    Attributes:
        label: Name of a class, `NO_CLASS` or `ALL`.
        group: Name of a group or `ALL`.
        quality: One of `qualities_of`, or `ALL`.
        order: `MIXED` or `STORED`.
    """

    label: str = ALL
    group: str = ALL
    quality: str = ALL
    order: str = MIXED


@lru_cache(maxsize=1)  # the cursor asks for every crop it comes to
def measures_of(store: CropStore) -> dict[str, np.ndarray]:
    """Return (N,) values of each measure that differs between crops; most belong to the field."""
    found = {}
    for name in _MEASURES:
        if name == "radius":
            values: np.ndarray | None = store.radius_px
        else:
            column = getattr(store.fields, name)
            values = None if column is None else np.asarray(column, float)[store.field_index]
        if values is None or not len(values):
            continue
        known = values[np.isfinite(values)]
        if len(known) and known.min() < known.max():
            found[name] = values
    return found


def qualities_of(store: CropStore) -> list[str]:
    """Return the filters by quality: both ends of every measure that differs."""
    return [f"{name}: {end} tenth" for name in measures_of(store) for end in ("lowest", "highest")]


def labels_of(store: CropStore) -> list[str]:
    """Return what crops can be filtered by: classes, and none where some have none."""
    return [*store.classes, *([NO_CLASS] if np.any(store.labels < 0) else [])]


def rows_of(store: CropStore, choice: Choice) -> np.ndarray:
    """Return the rows of the chosen crops in the chosen order, int64."""
    keep = np.ones(len(store), bool)
    if choice.label != ALL:
        number = UNLABELLED if choice.label == NO_CLASS else store.classes.index(choice.label)
        keep &= store.labels == number
    if choice.group != ALL:
        keep &= store.group_index == store.group_names.index(choice.group)
    if choice.quality != ALL:
        name, _, end = choice.quality.partition(": ")
        values = measures_of(store)[name]
        share = _TAIL if end.startswith("lowest") else 1 - _TAIL
        edge = np.nanquantile(values, share)
        keep &= values <= edge if share == _TAIL else values >= edge
    rows = np.flatnonzero(keep)
    if choice.order == MIXED:
        np.random.default_rng(0).shuffle(rows)
    return rows


def label_of(store: CropStore, row: int) -> str:
    """Return the name of a crop's class."""
    label = int(store.labels[row])
    return store.classes[label] if label >= 0 else NO_CLASS


def about_crop(store: CropStore, row: int) -> str:
    """Return what is known of a crop: two lines."""
    y_px, x_px = store.centers_px[row]
    where = f"{store.fields.path[store.field_index[row]]}, centre x {x_px:.0f} y {y_px:.0f} px"
    group = store.group_names[store.group_index[row]]
    kept = f", {store.group_what} {group}" if store.has_groups else ""
    values = [
        f"{name} {values[row]:.3g}{_UNITS.get(name, '')}"
        for name, values in measures_of(store).items() if np.isfinite(values[row])
    ]
    return f"crop {row}: {label_of(store, row)}{kept}, of {where}\n{', '.join(values)}"


def read_crops(store: CropStore, rows: np.ndarray, contrast: str) -> list[np.ndarray]:
    """Return each crop as (H, W, C) uint8 of thumbnail size.

    Args:
        store: Is read through its memory map.
        rows: At most a page of them.
        contrast: One of `CONTRASTS`.
    Raises:
        OSError, InputError: The file is gone or damaged.
    """
    if not len(rows):
        return []
    at_once = max(1, _READ_BYTES // max(1, int(np.prod(store.shape[1:])) * store.dtype.itemsize))
    crops = np.stack([
        shrunk(crop, THUMBNAIL_PX)
        for first in range(0, len(rows), at_once)
        for crop in store.read(rows[first : first + at_once])
    ])
    if contrast == "crop":
        return [stretched(crop) for crop in crops]
    if contrast == "page":
        return list(stretched(crops, levels_of(crops)))
    return list(to_rgb(crops, store.levels))
