"""Read tables that users wrote: cells, manifests, known centres."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from stemcls.errors import InputError, nearest


def rows_of(table: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row) of a table with a header; values stripped, empty rows left out.

    Args:
        table: Comma, semicolon or tab separated, UTF-8.
        needed: Columns that must be there.

    Raises:
        InputError: The file cannot be read, is no such table, or lacks a column.
    """
    try:
        file = table.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise InputError(f"{table} cannot be read: {error.strerror}") from error
    with file:
        try:
            header = file.readline()
            delimiter = max(",;\t", key=header.count)
            columns = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
            for name in needed:
                if name not in columns:
                    raise InputError(
                        f"{table} has no column {name!r} in its first line: expected "
                        f"{', '.join(needed)}{nearest(name, columns)}"
                    )
            reader = csv.DictReader(file, columns, delimiter=delimiter)
            for row in reader:
                values = {key: (row[key] or "").strip() for key in columns}
                if any(values.values()):
                    yield reader.line_num + 1, values
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{table} is not a UTF-8 CSV table: {error}") from error


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
    try:
        value = float(row[key])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{table} line {line}: {key} is {row[key]!r}, expected a number such as 12.5"
        )
    return value
