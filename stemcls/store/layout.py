"""Names and version of the crop store's HDF5 layout, and the table of its fields."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

FORMAT = "stemcls-crops"
VERSION = 1
UNLABELLED = -1

# What every store must hold, whoever wrote it.
DATASETS = (
    "images", "label", "field", "group", "center_px", "radius_px", "intensity",
    "fields/path", "fields/sha256", "fields/shape", "fields/pixel_size_um", "fields/brightness",
    "fields/n_cells",
)
# What newer stores hold beside them.
OPTIONAL = ("at_border",)


@dataclass(frozen=True, eq=False)
class FieldTable:
    """The F fields that crops were cut from, one array per column.

    Attributes:
        path: F names, below the source folder where they were found there.
        sha256: F hexadecimal digests of the files.
        shape: (F, 3) int32: channels, height and width in pixels.
        pixel_size_um: (F,) float64, NaN where unknown.
        brightness: (F,) float32, mean V of HSV of the slices in the crop, 0 to 255; older
            stores hold it in the units of the file.
        n_cells: (F,) int32 cells found or known in the field, kept or not; -1: not counted.

    The following are None in stores that lack them:
        focus, saturated, unevenness: (F,) float32, see `stemcls.imaging.quality`.
        scale_low, scale_high: (F, S) float64, raw values that became 0 and 255 in each slice that
            takes part in the crop; NaN where pixels are as they were.
        position_um: (F, 2) float64, stage y and x, NaN where unknown.
        acquired: F times in ISO 8601, empty where unknown.
        dropped: F JSON objects, reason to number of cells left out.
        metadata: F JSON objects, column of the manifest to text, such as plate, well, passage.
    """

    path: tuple[str, ...]
    sha256: tuple[str, ...]
    shape: np.ndarray
    pixel_size_um: np.ndarray
    brightness: np.ndarray
    n_cells: np.ndarray
    focus: np.ndarray | None = None
    saturated: np.ndarray | None = None
    unevenness: np.ndarray | None = None
    scale_low: np.ndarray | None = None
    scale_high: np.ndarray | None = None
    position_um: np.ndarray | None = None
    acquired: tuple[str, ...] | None = None
    dropped: tuple[str, ...] | None = None
    metadata: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.path)


FIELD_COLUMNS = tuple(column.name for column in fields(FieldTable))
