"""Gather what a build recorded, image by image, into the columns of a crop store."""

from __future__ import annotations

import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stemcls.atomic import dump_json
from stemcls.store.layout import FIELD_COLUMNS

# Columns of the table of fields that are numbers, and what they are stored as.
_NUMBERS = {
    "pixel_size_um": np.float64, "brightness": np.float32, "n_cells": np.int32,
    "focus": np.float32, "saturated": np.float32, "unevenness": np.float32,
}
# Rows of numbers, and what they are stored as; all others are text.
_ROWS = {
    "shape": np.int32, "scale_low": np.float64, "scale_high": np.float64,
    "position_um": np.float64,
}


class Rows:
    """Rows of numbers of any width: (n, K), NaN where a row is shorter.

    Lists of lists, or an array per image, take ten times the memory of what they hold.

    Args:
        kind: What numbers are kept as: d (8 bytes) or f (4 bytes).
    """

    def __init__(self, kind: str = "d") -> None:
        self._kind = kind
        self._columns: list[array.array] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, row: Any) -> None:
        """Append one row; None stands for a row of which nothing is known."""
        row = () if row is None else row
        while len(self._columns) < len(row):
            self._columns.append(array.array(self._kind, [np.nan]) * self._length)
        for number, column in enumerate(self._columns):
            value = row[number] if number < len(row) else None
            column.append(np.nan if value is None else value)
        self._length += 1

    def table(self, dtype: Any, width: int = 0) -> np.ndarray:
        """Return all rows, (n, K) of `dtype` with K at least `width`."""
        missing = [array.array(self._kind, [np.nan]) * self._length] * (width - len(self._columns))
        columns = [np.array(column, dtype) for column in (*self._columns, *missing)]
        return np.stack(columns, 1) if columns else np.empty((self._length, 0), dtype)


@dataclass(eq=False)
class Columns:
    """Everything in a store but its images, gathered image by image.

    Memory: about 40 bytes a crop and 4 for each source channel, about 500 bytes a field.
    """

    labels: list[str | None] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    field_index: array.array = field(default_factory=lambda: array.array("i"))
    centers_px: Rows = field(default_factory=lambda: Rows("f"))
    radius_px: array.array = field(default_factory=lambda: array.array("f"))
    at_border: array.array = field(default_factory=lambda: array.array("B"))
    intensity: Rows = field(default_factory=lambda: Rows("f"))
    table: dict[str, Any] = field(default_factory=dict)
    crop_pixel_um: set[float | None] = field(default_factory=set)
    source_channels: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    _known: dict[str | None, str | None] = field(default_factory=dict)

    def add(self, entry: dict[str, Any]) -> None:
        """Append one image's journal entry."""
        row = len(self.table.setdefault("path", []))
        for column in FIELD_COLUMNS:
            self._add_field(column, entry.get(column))
        self.slices = self.slices or tuple(entry["slices"])
        if not entry["n"]:
            return
        self.labels += map(self._shared, entry["labels"])
        self.groups += map(self._shared, entry["groups"])
        self.field_index.extend([row] * entry["n"])
        for center, means in zip(entry["centers_px"], entry["intensity"], strict=True):
            self.centers_px.add(center)
            self.intensity.add(means)
        self.radius_px.extend(entry["radius_px"])
        self.at_border.extend(entry.get("at_border") or [False] * entry["n"])
        size_um = entry["crop_pixel_um"]
        self.crop_pixel_um.add(None if size_um is None else round(size_um, 6))
        if len(entry["channels"]) > len(self.source_channels):
            self.source_channels = tuple(entry["channels"])

    def _add_field(self, column: str, value: Any) -> None:
        if column in _ROWS:
            self.table.setdefault(column, Rows()).add(value)
        elif column in _NUMBERS:
            # Zero is no size of a pixel: it stands for an unknown one.
            unknown = value is None or (column == "pixel_size_um" and not value)
            self.table.setdefault(column, array.array("d")).append(np.nan if unknown else value)
        else:
            text = value if isinstance(value, str) else dump_json(value)
            if column not in ("path", "sha256"):  # these two are a field's own
                text = self._shared(text)
            self.table.setdefault(column, []).append(text)

    def _shared(self, text: str | None) -> Any:
        """Return one object for equal texts: each line of a journal brings its own."""
        return self._known.setdefault(text, text)

    def crop_size_um(self) -> float | None:
        """Edge of a crop's pixel, None where unknown or not the same for all."""
        return next(iter(self.crop_pixel_um)) if len(self.crop_pixel_um) == 1 else None

    def classes(self) -> tuple[str, ...]:
        """Names of the classes that have crops, sorted."""
        return tuple(sorted({label for label in self.labels if label is not None}))

    def grouped(self, what: str) -> tuple[np.ndarray, tuple[str, ...] | None, str]:
        """Return group index, names (None: the fields' own) and what a group is."""
        index = np.array(self.field_index, np.int32)
        if not any(self.groups):
            return index, None, "field"
        paths = self.table["path"]
        # A crop without a named group is kept apart by its field.
        filled = [
            name or paths[row] for name, row in zip(self.groups, self.field_index, strict=True)
        ]
        names = tuple(sorted(set(filled)))
        place = {name: number for number, name in enumerate(names)}
        return np.array([place[name] for name in filled], np.int32), names, what

    def field_table(self) -> dict[str, Any]:
        """Return the columns of the table of fields: arrays of numbers, lists of texts."""
        least = {"position_um": 2}
        told = {
            column: values for column, values in self.table.items()
            if column != "metadata" or any(text not in ("{}", "null") for text in values)
        }
        return {
            column: values.table(_ROWS[column], least.get(column, 0))
            if isinstance(values, Rows)
            else np.array(values, _NUMBERS[column]) if column in _NUMBERS else values
            for column, values in told.items()
        }
