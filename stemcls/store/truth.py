"""Read the table of known cells that `detect --truth` scores against."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemcls.errors import InputError
from stemcls.imaging.tuning.scoring import KnownCells
from stemcls.store.tables import place_in, rows_of


def read_truth(table: Path) -> dict[str, KnownCells]:
    """Return field, as the table writes it, to its known cells.

    Args:
        table: Comma, semicolon or tab separated: field, x_px, y_px and optionally radius_px.

    Raises:
        InputError: The table cannot be read, lacks a column, holds no cells, or something else
            than numbers.
    """
    known: dict[str, list[tuple[float, float, float]]] = {}
    for line, row in rows_of(table, ("field", "x_px", "y_px")):
        y_px, x_px, radius_px = place_in(row, table, line)
        if not row["field"]:
            raise InputError(f"{table} line {line}: the field is empty, expected an image's name")
        known.setdefault(row["field"], []).append((y_px, x_px, radius_px))
    if not known:
        raise InputError(f"{table} holds no cells: expected one row of field, x_px, y_px for each")
    return {
        field: KnownCells(np.array(cells)[:, :2], np.array(cells)[:, 2])
        for field, cells in known.items()
    }
