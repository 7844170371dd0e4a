"""What is known of a field without looking at its cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemcls.probes.background import MEASURES
from stemcls.store.cropstore import CropStore

_LEVEL, _NOISE = MEASURES.index("level"), MEASURES.index("noise")
_FEW_CROPS = 4
_BLOCK = 256


def metadata_columns(
    store: CropStore, rows: np.ndarray, background: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return columns that acquisition decides, the same for all crops of a field.

    Brightness and evenness of the field as the store keeps them; size of its file, frame and
    pixels; crops with an empty channel; and of the background between the cells, in each channel,
    level, noise and the slope of the light across the field. Where every crop is a file of its own,
    brightness, evenness and size of the file are the cell's and are left out.

    Args:
        store: The crops.
        rows: (n,) rows.
        background: (n, 4 C) of `background_measures`; None where crops show too little of it.
    Returns: Name to (n,) float64; what does not vary is left out, what is unknown is the median.
    """
    fields = store.fields
    at = store.field_index[rows]
    found: dict[str, np.ndarray] = {} if shows_one_cell(store) else _of_whole_fields(store, at)
    found["pixel size"] = fields.pixel_size_um[at]
    found["frame height"], found["frame width"] = fields.shape[at, 1], fields.shape[at, 2]
    found |= blank_channels(store, rows, at)
    if background is not None:
        parts = np.split(background, store.n_channels, axis=1)
        for name, measures in zip(store.channels, parts, strict=True):
            for what, values in _field_measures(store, rows, at, measures).items():
                found[f"{name} background {what}"] = values
    return {name: column for name, column in map(_filled, found.items()) if np.ptp(column) > 0}


def cell_borne_columns(store: CropStore, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return columns in which cells have a say too: focus, clipped pixels, brightest pixels."""
    fields, at = store.fields, store.field_index[rows]
    found: dict[str, np.ndarray] = _of_whole_fields(store, at) if shows_one_cell(store) else {}
    if fields.focus is not None:
        found["focus"] = fields.focus[at]
    if fields.saturated is not None:
        found["saturated"] = fields.saturated[at]
    if fields.scale_high is not None:
        for number in range(fields.scale_high.shape[1]):
            found[f"brightest pixels of slice {number + 1}"] = fields.scale_high[at, number]
    return {name: column for name, column in map(_filled, found.items()) if np.ptp(column) > 0}


def shows_one_cell(store: CropStore) -> bool:
    """Return whether every field is a single crop."""
    return len(store.fields) == len(store)


def _of_whole_fields(store: CropStore, at: np.ndarray) -> dict[str, np.ndarray]:
    found = {"brightness": store.fields.brightness[at]}
    if store.fields.unevenness is not None:
        found["unevenness"] = store.fields.unevenness[at]
    size = file_sizes(store, np.unique(at))
    if size is not None:
        found["file size"] = size[at]
    return found


def file_sizes(store: CropStore, wanted: np.ndarray) -> np.ndarray | None:
    """Return (F,) bytes of the source files, None where a wanted one is no longer there.

    Args:
        store: Of F fields.
        wanted: Rows of its table of fields; the sizes of others are NaN.
    """
    if not store.source:
        return None
    sizes = np.full(len(store.fields), np.nan)
    for number in wanted.tolist():
        path = Path(store.source) / store.fields.path[number]
        if not path.is_file():
            return None
        sizes[number] = path.stat().st_size
    return sizes


def blank_channels(store: CropStore, rows: np.ndarray, at: np.ndarray) -> dict[str, np.ndarray]:
    """Return, for each channel that is constant in some crops, their share in every field."""
    blank = np.concatenate([
        np.ptp(store.read(rows[start : start + _BLOCK]), axis=(1, 2)) == 0
        for start in range(0, len(rows), _BLOCK)
    ])
    counts = np.maximum(np.bincount(at, minlength=len(store.fields)), 1)
    found = {}
    for channel, name in enumerate(store.channels):
        share = np.bincount(at, blank[:, channel], len(store.fields)) / counts
        if share.any():
            found[f"{name} empty"] = share[at]
    return found


def _field_measures(
    store: CropStore, rows: np.ndarray, at: np.ndarray, measures: np.ndarray
) -> dict[str, np.ndarray]:
    n_fields = len(store.fields)
    found = {key: np.full(n_fields, np.nan) for key in ("level", "noise", "slope y", "slope x")}
    half = np.maximum(store.fields.shape[:, 1:].astype(np.float64), 1) / 2
    for field in np.unique(at):
        own = (at == field) & np.isfinite(measures).all(axis=1)
        if not own.any():
            continue
        level = measures[own, _LEVEL].astype(np.float64)
        found["level"][field] = middle = float(np.median(level))
        found["noise"][field] = np.median(measures[own, _NOISE])
        found["slope y"][field] = found["slope x"][field] = 0.0
        if own.sum() >= _FEW_CROPS:
            place = store.centers_px[rows[own]] / half[field] - 1
            system = np.concatenate([np.ones((len(place), 1)), place], axis=1)
            slopes = np.linalg.lstsq(system, level, rcond=None)[0][1:]
            unit = max(abs(middle), 0.01)
            found["slope y"][field], found["slope x"][field] = slopes / unit
    return {key: values[at] for key, values in found.items()}


def _filled(item: tuple[str, np.ndarray]) -> tuple[str, np.ndarray]:
    name, column = item
    column = np.asarray(column, np.float64)
    known = np.isfinite(column)
    return name, np.where(known, column, np.median(column[known]) if known.any() else 0.0)
