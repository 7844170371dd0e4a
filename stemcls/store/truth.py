"""Read the table of known cells that `detect --truth` scores against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stemcls.errors import InputError
from stemcls.imaging.detection.exchange import is_circles
from stemcls.imaging.tuning.scoring import KnownCells
from stemcls.store.decimals import place_in
from stemcls.store.outlines import read_outlines
from stemcls.store.tables import posix_path, read_table


def read_truth(path: Path, tell: Callable[[str], None] | None = None) -> dict[str, KnownCells]:
    """Return field, as the table writes it, to its known cells.

    Args:
        path: Table of field, x_px, y_px and optionally radius_px, see `read_table`, or outlines of
            ImageJ, QuPath or label images.
        tell: Called with each sentence about what was taken otherwise than it is written.

    Raises:
        InputError: The table cannot be read, lacks a column, holds no cells, or something else
            than numbers.
    """
    table = read_outlines(path) if is_circles(path) else read_table(
        path, ("field", "x_px", "y_px"), ("radius_px",), numbers=("x_px", "y_px", "radius_px"),
        verbatim=("field",),
    )
    known: dict[str, list[tuple[float, float, float]]] = {}
    for line, row in table:
        y_px, x_px, radius_px = place_in(row, table.path, line)
        if not row["field"]:
            raise InputError(f"{path} line {line}: the field is empty, expected an image's name")
        field = posix_path(row["field"])
        known.setdefault(field, []).append((y_px, x_px, radius_px))
    if not known:
        raise InputError(f"{path} holds no cells: expected one row of field, x_px, y_px for each")
    if tell is not None:
        for notice in table.notices:
            tell(notice.message)
    return {
        field: KnownCells(np.array(cells)[:, :2], np.array(cells)[:, 2])
        for field, cells in known.items()
    }
