"""Read outlines of cells, drawn in other programs, as a table of known cells."""

from __future__ import annotations

from pathlib import Path

from stemcls.errors import InputError
from stemcls.imaging.detection.exchange import read_circles
from stemcls.store.tables import Table


def read_outlines(path: Path) -> Table:
    """Return ImageJ's regions, QuPath's GeoJSON or label images as field, x_px, y_px, radius_px.

    Args:
        path: A file, or a folder of them; their names say the field. `label` is a column where any
            outline has one.

    Raises:
        InputError: As `read_circles`, or there is no outline.
    """
    found = list(read_circles(path))
    if not found:
        raise InputError(f"{path} holds no outline of a cell")
    columns = ["field", "x_px", "y_px", "radius_px"]
    if any(circle.label for _, circle in found):
        columns.append("label")
    rows = []
    for number, (field, circle) in enumerate(found, 1):
        radius = f"{circle.radius_px:.4f}" if circle.radius_px > 0 else ""
        values = [field, f"{circle.x_px:.4f}", f"{circle.y_px:.4f}", radius, circle.label]
        rows.append((number, dict(zip(columns, values, strict=False))))
    return Table(path, tuple(columns), tuple(rows), ())
