"""Read the numbers of tables: decimal commas where they are certain, else an error."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from stemcls.errors import InputError
from stemcls.safetext import NUMBER

_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?", re.ASCII)
# 1,234 may be 1.234 or 1234.
_THOUSAND = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)


def with_points(
    path: Path, values: dict[str, list[str]], names: Sequence[str], lines: Sequence[int],
    delimiter: str,
) -> None:
    """Turn the decimal commas of some columns into points, in place.

    Args:
        path: The table, for messages.
        values: Column name to its cells.
        names: Columns of numbers.
        lines: Line of each row.
        delimiter: What separates the cells.
    Raises:
        InputError: It is not certain what a comma means; says what to do.
    """
    places = [
        (name, line, cell) for name in names
        for line, cell in zip(lines, values[name], strict=True) if "," in cell
    ]
    if not places:
        return
    name, line, cell = places[0]
    if delimiter == ",":
        raise InputError(
            f"{path} line {line}: {name} is {cell!r}, and commas separate the cells too; write "
            "decimal points, or separate the cells by semicolons"
        )
    for name, line, cell in places:
        if not _COMMA.fullmatch(cell):
            raise InputError(
                f"{path} line {line}: {name} is {cell!r}, expected a number such as 12.5 or 12,5 "
                "without marks between thousands"
            )
    points = [
        (name, line, cell) for name in names
        for line, cell in zip(lines, values[name], strict=True) if "." in cell
    ]
    if points:
        other, where, point = points[0]
        name, line, cell = places[0]
        raise InputError(
            f"{path} mixes {cell!r} (line {line}, {name}) and {point!r} (line {where}, {other}), "
            "so it is not certain what a comma means; write all numbers with decimal points"
        )
    if all(_THOUSAND.fullmatch(cell) for _, _, cell in places):
        name, line, cell = places[0]
        raise InputError(
            f"{path} line {line}: {name} is {cell!r}, which may mean {cell.replace(',', '.')} or "
            f"{cell.replace(',', '')}; write decimal points, and nothing between thousands"
        )
    for name in names:
        values[name] = [cell.replace(",", ".") for cell in values[name]]


def place_in(row: Mapping[str, str], table: Path, line: int) -> tuple[float, float, float]:
    """Return y_px, x_px and radius_px of a row of known cells; the radius is NaN where not given.

    Raises:
        InputError: As `number_in`, or a radius that is not above 0.
    """
    y_px, x_px = (number_in(row, key, table, line) for key in ("y_px", "x_px"))
    if not row.get("radius_px"):
        return y_px, x_px, math.nan
    radius_px = number_in(row, "radius_px", table, line)
    if radius_px <= 0:
        raise InputError(
            f"{table} line {line}: radius_px is {radius_px:g}, expected more than 0; leave it "
            "empty where it is not known"
        )
    return y_px, x_px, radius_px


def number_in(row: Mapping[str, str], key: str, table: Path, line: int) -> float:
    """Return a finite number of a row.

    Raises:
        InputError: It is something else; names the table, the line and the column.
    """
    value = float(row[key]) if NUMBER.fullmatch(row[key]) else math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{table} line {line}: {key} is {row[key]!r}, expected a number such as 12.5"
        )
    return value
