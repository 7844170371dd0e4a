"""Read the table of known cells that `detect --truth` scores against."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stemcls.imaging.tuning.scoring import KnownCells


def read_truth(table: Path) -> dict[str, KnownCells]:
    """Return field, as the table writes it, to its known cells.

    Args:
        table: Comma, semicolon or tab separated: field, x_px, y_px and optionally radius_px.

    Raises:
        InputError: The table cannot be read, lacks a column, or holds something else than numbers.
    """
    import numpy as np

    from stemcls.imaging.tuning.scoring import KnownCells
    from stemcls.store.sources import _number, _rows

    known: dict[str, list[tuple[float, float, float]]] = {}
    for line, row in _rows(table, ("field", "x_px", "y_px")):
        y_px, x_px = (_number(row, key, table, line) for key in ("y_px", "x_px"))
        radius_px = _number(row, "radius_px", table, line) if row.get("radius_px") else math.nan
        known.setdefault(Path(row["field"]).as_posix(), []).append((y_px, x_px, radius_px))
    return {
        field: KnownCells(np.array(cells)[:, :2], np.array(cells)[:, 2])
        for field, cells in known.items()
    }
