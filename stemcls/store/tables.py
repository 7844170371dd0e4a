"""Read tables that users wrote: manifests, known cells, truth, label maps; refuse odd ones."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from stemcls.errors import InputError, nearest
from stemcls.notices import Notice
from stemcls.paths import given_file
from stemcls.safetext import text_of_cell
from stemcls.store.decimals import with_points
from stemcls.store.delimited import DELIMITERS, NOT_GIVEN, QUOTED, Cells, loose, rows_of_text
from stemcls.store.spreadsheet import ZIP, rows_of_workbook, split_sheet

_WHOLE = re.compile(r"-?\d+", re.ASCII)
_WHOLE_FLOAT = re.compile(r"-?\d+\.0*|-?\d+(?:\.\d+)?e\+\d+", re.ASCII)


@dataclass(frozen=True, eq=False)
class Table:
    """A table that was read.

    Attributes:
        path: The file.
        columns: Names in order; those that were asked for are spelled as asked.
        rows: (line, column to text) each; empty text where nothing is given.
        notices: What was taken otherwise than it is written.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    notices: tuple[Notice, ...]

    def __iter__(self) -> Iterator[tuple[int, dict[str, str]]]:
        return iter(self.rows)


def read_table(
    path: Path,
    needed: Sequence[str],
    known: Sequence[str] = (),
    *,
    numbers: Sequence[str] = (),
    verbatim: Sequence[str] = (),
) -> Table:
    """Read a table with a header; blanks around values are taken off, empty rows left out.

    Args:
        path: Text with commas, semicolons, tabs or bars between cells, in UTF-8, UTF-16 with a
            byte order mark or Windows-1252; or an Excel workbook, `FILE.xlsx#SHEET` for one of
            several sheets.
        needed: Columns that must be there; case, blanks, - and _ in their names do not matter.
        known: Further columns that are looked for in the same way.
        numbers: Those of them that hold numbers; decimal commas become points.
        verbatim: Those of them whose text is taken as it is, such as paths.

    Raises:
        InputError: The file cannot be read or is no such table; names the line.
    """
    path, sheet = split_sheet(path)
    content = given_file(path, "table").read_bytes()
    notices: list[Notice] = []
    if content.startswith(ZIP):
        cells, delimiter = rows_of_workbook(path, sheet), ""
    else:
        if sheet:
            raise InputError(f"{path} is no Excel workbook, so it has no sheet {sheet!r}")
        cells, delimiter = rows_of_text(path, content, needed, notices)
    if not cells:
        raise InputError(f"{path} is empty: expected a first line with {', '.join(needed)}")
    columns, rows = _checked(path, cells, delimiter, needed, known)
    values = {name: [row[at] for _, row in rows] for at, name in enumerate(columns)}
    for name in columns:
        if name in verbatim:
            values[name] = [cell.lstrip(QUOTED) for cell in values[name]]
    # A number that must be there is refused where it is NA, and the message shows the word.
    must = {name for name in needed if name in numbers}
    optional = [name for name in columns if name not in verbatim and name not in must]
    _without_na(path, values, optional, notices)
    lines = [line for line, _ in rows]
    present = [name for name in numbers if name in columns]
    with_points(path, values, present, lines, delimiter)
    _whole_numbers(path, values, [n for n in optional if n not in numbers], notices)
    read = tuple(
        (line, dict(zip(columns, row, strict=True)))
        for line, row in zip(lines, zip(*values.values(), strict=True), strict=True)
        if any(row)
    )
    return Table(path, columns, read, tuple(notices))


def posix_path(given: str) -> str:
    """Return a path as stores write it: / between folders, also of Windows, no ./ in front."""
    return Path(given.replace("\\", "/")).as_posix()


def _checked(
    path: Path, cells: Cells, delimiter: str, needed: Sequence[str], known: Sequence[str]
) -> tuple[tuple[str, ...], Cells]:
    """Return the columns, as asked for, and the rows, each as long as the header."""
    (first, header), *rows = cells
    width = len(header)
    while width and not header[width - 1] and all(not any(row[width - 1 :]) for _, row in rows):
        width -= 1
    n_written = len(header)
    header = [text_of_cell(" ".join(name.split())) for name in header[:width]]
    for number, name in enumerate(header, start=1):
        if not name:
            raise InputError(
                f"{path} line {first}: column {number} has no name; name it, or write the table "
                "without row numbers (pandas: index=False, R: row.names = FALSE)"
            )
    by_loose = {loose(name): name for name in (*needed, *known)}
    columns = tuple(by_loose.get(loose(name), name) for name in header)
    counts = Counter(name.casefold() for name in columns)
    for name, written in zip(columns, header, strict=True):
        if counts[name.casefold()] > 1:
            same = [w for n, w in zip(columns, header, strict=True)
                    if n.casefold() == name.casefold()]
            raise InputError(
                f"{path} line {first}: the column {written!r} is there {len(same)} times "
                f"({', '.join(same)}); keep one of them, or give them different names"
            )
    for name in needed:
        if name not in columns:
            raise InputError(
                f"{path} has no column {name!r} in its first line: expected "
                f"{', '.join(needed)}{nearest(name, columns)}"
            )
    for line, row in rows:
        # Columns without a name and without a value may be left out.
        if len(row) != n_written and not (width <= len(row) < n_written):
            raise InputError(_uneven(path, line, row, header, delimiter))
    return columns, [
        (line, [text_of_cell(cell) for cell in row[:width]]) for line, row in rows
    ]


def _uneven(path: Path, line: int, row: list[str], header: list[str], delimiter: str) -> str:
    message = f"{path} line {line} has {len(row)} cells under {len(header)} columns"
    other = max(DELIMITERS, key="".join(row).count) if len(row) == 1 else ""
    if len(row) == 1 and other in row[0] and delimiter:
        return (
            f"{message}: it is separated by {DELIMITERS[other]}, the first line by "
            f"{DELIMITERS[delimiter]}; use one kind in all lines"
        )
    if len(row) > len(header) and delimiter == ",":
        return (
            f"{message}; if commas stand in numbers (100,50) write decimal points, or separate the "
            "columns by semicolons; if they stand in text, put it in quotation marks"
        )
    return f"{message}; every line needs one cell for each column, empty where nothing is known"


def _without_na(
    path: Path, values: dict[str, list[str]], names: Sequence[str], notices: list[Notice]
) -> None:
    """Empty the cells that say that nothing is known; words in quotation marks are kept."""
    words: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for name in names:
        column = values[name]
        for at, cell in enumerate(column):
            if cell.startswith(QUOTED):
                column[at] = cell[1:]
                kept[f"{cell[1:]} in {name}"] += 1
            elif cell in NOT_GIVEN:
                words[f"{cell} in {name}"] += 1
                column[at] = ""
    if words:
        notices.append(Notice(
            "not-given",
            f"{path.name}: {_listed(words)}: taken as not given; a name that is truly written so "
            'needs quotation marks in the table, as in "NA", with other cells without them',
            (str(path),),
        ))
    if kept:
        notices.append(Notice(
            "quoted-name",
            f"{path.name}: {_listed(kept)}, in quotation marks: taken as a name; without the marks "
            "it is taken as not given",
            (str(path),),
        ))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} ({n} rows)" for what, n in counts.items())


def _whole_numbers(
    path: Path, values: dict[str, list[str]], names: Sequence[str], notices: list[Notice]
) -> None:
    """Write 1.0 as 1 in columns of whole numbers, as a column with gaps is written by pandas."""
    for name in names:
        given = set(values[name]) - {""}
        floats = {cell for cell in given if _WHOLE_FLOAT.fullmatch(cell) and _is_whole(cell)}
        if not floats or not all(_WHOLE.fullmatch(cell) for cell in given - floats):
            continue
        places = {cell: str(int(Decimal(cell))) for cell in floats}
        first = next(cell for cell in values[name] if cell in floats)
        values[name] = [places.get(cell, cell) for cell in values[name]]
        notices.append(Notice(
            "whole-numbers",
            f"{path.name}: column {name} holds whole numbers only, so {first} is read as "
            f"{places[first]}",
            (str(path),),
        ))


def _is_whole(cell: str) -> bool:
    number = Decimal(cell)
    return abs(number) < Decimal(10) ** 15 and number == number.to_integral_value()
