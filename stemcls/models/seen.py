"""What the images of training were like, measured on the store that a model learns from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from stemcls.store.cropstore import CropStore

RGB = ("red", "green", "blue")
PERCENTILES = (1.0, 50.0, 99.0)
# What is measured per field; of each the percentiles are kept.
MEASURES = ("brightness", "focus", "saturated", "unevenness", "diameter_px")
_MOST_CROPS = 4000
_MOST_PER_FIELD = 64
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Seen:
    """What training saw; an empty value says that its store did not record it.

    Attributes:
        n_fields: Fields that crops for training were cut from.
        slices: Names of the source slices in the crops, in order.
        mixed_slices: Whether the fields of the store differed in them.
        photometric: grey, rgb or channels.
        dtypes: Types of pixels in the files, the most frequent first.
        bits: Bits that those use, where fewer than the type's.
        ranges: Per slice [low, high] in raw values that became 0 and 255, the median field's;
            empty where pixels stayed as they were.
        scale: kept, own (by each field's own range), store (by one range for all), or "".
        pixel_size_um: Least and largest edge of a pixel of the fields; empty where no file said it.
        modality: What the slices show, as it was settled or asked for.
        edge: reflect or drop: what was done with cells at the border.
        brightness, focus, saturated, unevenness: 1st, 50th and 99th percentile over fields, see
            `stemcls.imaging.quality`.
        diameter_px: The same of the median cell of each field, in pixels of a crop.
        contrast: Per channel of a crop the same percentiles over fields of `contrast_of`.
    """

    n_fields: int = 0
    slices: tuple[str, ...] = ()
    mixed_slices: bool = False
    photometric: str = ""
    dtypes: tuple[str, ...] = ()
    bits: tuple[int, ...] = ()
    ranges: tuple[tuple[float, ...], ...] = ()
    scale: str = ""
    pixel_size_um: tuple[float, ...] = ()
    modality: str = ""
    edge: str = ""
    brightness: tuple[float, ...] = ()
    focus: tuple[float, ...] = ()
    saturated: tuple[float, ...] = ()
    unevenness: tuple[float, ...] = ()
    diameter_px: tuple[float, ...] = ()
    contrast: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def of(cls, document: dict[str, Any]) -> Seen:
        """Return what a card's JSON holds; keys of a newer version are passed over."""
        known = {one.name for one in fields(cls)}
        return cls(**{key: _tuples(value) for key, value in document.items() if key in known})


def seen_in_settings(build: dict[str, Any]) -> Seen:
    """Return what the settings of a store say, without its crops; all of it for older cards."""
    recorded = build.get("recorded", {})
    slices, dtypes = tuple(recorded.get("slices", ())), tuple(recorded.get("dtype", ()))
    detect = build.get("detect", {})
    diameter = float(detect.get("diameter_px") or 0.0)
    return Seen(
        slices=slices, dtypes=dtypes, bits=tuple(recorded.get("bits", ())),
        # The build's notice on fields that differ in their slices begins with the property.
        mixed_slices=any(said.startswith("CHANNELS:") for said in recorded.get("warnings", ())),
        photometric=photometric_of(slices),
        scale=scaling(str(build.get("scale", "")), dtypes),
        pixel_size_um=tuple(recorded.get("pixel_size_um", ())),
        modality=str(recorded.get("modality") or detect.get("modality", "")),
        edge=str(build.get("edge", "")),
        diameter_px=(diameter,) * 3 if diameter and not build.get("crop_um") else (),
    )


def seen_in_store(store: CropStore, rows: np.ndarray | None = None) -> Seen:
    """Measure what training saw.

    Args:
        store: That a model learns from.
        rows: Crops that it learns from; None: all.
    """
    said = seen_in_settings(store.config)
    rows = np.arange(len(store)) if rows is None else np.asarray(rows)
    numbers, field_of = np.unique(store.field_index[rows], return_inverse=True)
    table = store.fields
    low, high = table.scale_low, table.scale_high
    ranges: tuple[tuple[float, ...], ...] = ()
    if low is not None and high is not None and len(numbers):
        ends = np.stack([low[numbers], high[numbers]], axis=-1)
        if np.isfinite(ends).all():
            ranges = tuple(tuple(map(float, pair)) for pair in np.median(ends, axis=0))
    sizes = table.pixel_size_um[numbers]
    sizes = sizes[np.isfinite(sizes)]
    values = field_measures(store)
    return Seen(
        n_fields=len(numbers), slices=store.slices or said.slices, mixed_slices=said.mixed_slices,
        photometric=photometric_of(store.slices or said.slices), dtypes=said.dtypes,
        bits=said.bits, ranges=ranges, scale=said.scale,
        pixel_size_um=(float(sizes.min()), float(sizes.max())) if len(sizes) else (),
        modality=said.modality, edge=said.edge,
        contrast=_contrasts(store, rows, field_of),
        **{name: percentiles_of(values[name][numbers]) for name in MEASURES},
    )


def field_measures(store: CropStore) -> dict[str, np.ndarray]:
    """Return (F,) values of each of `MEASURES`, NaN where unknown."""
    table, unknown = store.fields, np.full(len(store.fields), np.nan)
    found = {name: getattr(table, name, None) for name in MEASURES[:-1]}
    measures = {
        name: unknown if values is None else np.asarray(values, np.float64)
        for name, values in found.items()
    }
    level = measures["brightness"]
    measures["brightness"] = np.where(level <= 255, level, np.nan)  # older stores: raw units
    diameters = unknown.copy()
    if store.config.get("kind", "cells") == "cells":
        crop_um, scale = store.pixel_size_um, np.ones(len(table))
        if store.config.get("crop_um") and crop_um:
            scale = table.pixel_size_um / crop_um
        for number in np.unique(store.field_index):
            radii = store.radius_px[store.field_index == number]
            diameters[number] = diameter_of(radii, float(scale[number]))
    measures["diameter_px"] = diameters
    return measures


def diameter_of(radius_px: np.ndarray, scale: float) -> float:
    """Return the median diameter in crop pixels, NaN of fewer than three known radii."""
    known = radius_px[np.isfinite(radius_px)]
    return float(2 * scale * np.median(known)) if len(known) >= 3 else float("nan")


def contrast_of(crops: np.ndarray) -> np.ndarray:
    """Return (n, C): how much brighter the middle of each crop is than its rim.

    The mean of the inner third minus that of the outermost eighth, over the standard deviation of
    the crop: negative where cells are darker than what is around them, about 0 in DIC.

    Args:
        crops: (n, H, W, C).
    """
    n, height, width, channels = crops.shape
    y, x = np.ogrid[:height, :width]
    away = np.maximum(
        np.abs(y - (height - 1) / 2) / (height / 2), np.abs(x - (width - 1) / 2) / (width / 2)
    )
    middle, rim = away <= 1 / 3, away >= 3 / 4
    if not n or not middle.any() or not rim.any():
        return np.full((n, channels), np.nan)
    values = crops.astype(np.float32)
    inner = values[:, middle].mean(axis=1)
    outer = values[:, rim].mean(axis=1)
    spread = values.std(axis=(1, 2))
    return np.asarray((inner - outer) / np.maximum(spread, _LEAST_SPREAD))


def percentiles_of(values: np.ndarray) -> tuple[float, ...]:
    """Return the 1st, 50th and 99th percentile of the known values, () where there are none."""
    known = values[np.isfinite(values)]
    return tuple(float(value) for value in np.percentile(known, PERCENTILES)) if len(known) else ()


def scaling(scale: str, dtypes: tuple[str, ...]) -> str:
    """Return how the pixels of files of these types became those of crops.

    Returns: kept, own, store; "" where files of several types were treated differently, or
        nothing says it.
    """
    if scale != "auto":
        return {"none": "kept", "field": "own", "store": "store"}.get(scale, "")
    if not dtypes:
        return ""
    eight = [dtype == "uint8" for dtype in dtypes]
    return "kept" if all(eight) else "" if any(eight) else "own"


def photometric_of(slices: tuple[str, ...]) -> str:
    """Return grey, rgb or channels; "" where slices are unknown."""
    if not slices:
        return ""
    return "rgb" if slices == RGB else "grey" if len(slices) == 1 else "channels"


def _contrasts(
    store: CropStore, rows: np.ndarray, field_of: np.ndarray
) -> tuple[tuple[float, ...], ...]:
    """Return percentiles over fields of the median contrast of some crops of each, per channel."""
    if not len(rows) or store.config.get("kind", "cells") == "fields":
        return ()
    chosen: list[int] = []
    n_fields = int(field_of.max()) + 1
    each = max(1, min(_MOST_PER_FIELD, _MOST_CROPS // n_fields))
    random = np.random.default_rng(0)
    fields_taken = random.permutation(n_fields)[:_MOST_CROPS]
    order = np.argsort(field_of, kind="stable")
    starts = np.searchsorted(field_of[order], np.arange(n_fields + 1))
    for number in fields_taken:
        own = order[starts[number] : starts[number + 1]]
        chosen += own[np.linspace(0, len(own) - 1, min(each, len(own))).astype(int)].tolist()
    contrast = np.concatenate([
        contrast_of(store.read(rows[chosen[start : start + 256]]))
        for start in range(0, len(chosen), 256)
    ])
    of = field_of[chosen]
    medians = np.stack([np.median(contrast[of == number], axis=0) for number in np.unique(of)])
    return tuple(percentiles_of(column) for column in medians.T)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list | tuple) else value
