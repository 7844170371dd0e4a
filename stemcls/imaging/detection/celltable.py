"""Write found cells as a table, and count them as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.atomic import new_csv
from stemcls.errors import explained_disk_errors
from stemcls.imaging.detection.survey import FoundCells
from stemcls.imaging.field import Detections
from stemcls.imaging.listing.positions import Position

_COLUMNS = ("field", "x_px", "y_px", "radius_px", "score")
_COLUMNS_UM = ("x_um", "y_um", "radius_um")


def cell_rows(cells: Detections) -> list[dict[str, float]]:
    """Return one mapping per cell: y_px, x_px, radius_px, score."""
    table = zip(cells.centers_px, cells.radius_px, cells.score, strict=True)
    return [
        {
            "y_px": round(float(y), 3), "x_px": round(float(x), 3),
            "radius_px": round(float(radius), 3), "score": round(float(score), 4),
        }
        for (y, x), radius, score in table
    ]  # fmt: skip


def radius_spread(cells: Detections) -> dict[str, float] | None:
    """Return the quartiles of the radii in pixels, or None without cells."""
    if not len(cells):
        return None
    values = np.percentile(cells.radius_px, [25, 50, 75]).round(3).tolist()
    return dict(zip(("q25", "median", "q75"), values, strict=True))


def write_cells(path: Path, found: Iterable[FoundCells], names: Mapping[Position, str]) -> None:
    """Write one CSV row per cell, atomically; in micrometres too where any field tells its scale.

    Raises:
        StemclsError: The disk is full.
    """
    fields = list(found)
    scaled = any(field.pixel_size_um for field in fields)
    with (
        explained_disk_errors(path, "make room and repeat the command"),
        new_csv(path) as writer,
    ):
        writer.writerow([*_COLUMNS, *(_COLUMNS_UM if scaled else ())])
        for field in fields:
            for row in cell_rows(field.cells):
                place = [row["x_px"], row["y_px"], row["radius_px"]]
                line: list[Any] = [names[field.path], *place, row["score"]]
                if scaled:
                    line += _in_um(place, field.pixel_size_um)
                writer.writerow(line)


def _in_um(lengths_px: list[float], pixel_size_um: float | None) -> list[Any]:
    return [round(px * pixel_size_um, 4) if pixel_size_um else "" for px in lengths_px]
