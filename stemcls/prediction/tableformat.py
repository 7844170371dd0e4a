"""Write tables of predictions the way a spreadsheet opens them: separators, BOM, workbooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.errors import InputError
from stemcls.extras import check_extra
from stemcls.safetext import NUMBER, SafeWriter, csv_cell

TABLES = ("csv", "xlsx")
SEPARATORS = {",": ",", ";": ";", "tab": "\t", "\t": "\t", "\\t": "\t"}
_MOST_ROWS = 1_048_576  # of a sheet


@dataclass(frozen=True)
class TableFormat:
    """How a table is written.

    Attributes:
        kind: csv or xlsx.
        separator: Between cells of CSV.
        decimal: In numbers of CSV: a point or a comma.
        bom: Whether CSV begins with a byte order mark, by which Excel knows UTF-8.
    """

    kind: str = "csv"
    separator: str = ","
    decimal: str = "."
    bom: bool = False

    @classmethod
    def of(cls, table: str, separator: str, decimal: str, bom: bool, out: Path) -> TableFormat:
        """Return what options say; a decimal comma takes semicolons between cells.

        Raises:
            InputError: An unknown word, or cells and decimals that would be told apart by nothing.
        """
        kind = table or ("xlsx" if out.suffix.lower() == ".xlsx" else "csv")
        if kind not in TABLES:
            raise InputError(f"--table {table!r} is not a choice: expected {' or '.join(TABLES)}")
        if decimal not in (".", ","):
            raise InputError(f"--decimal {decimal!r} is not a choice: expected . or ,")
        if separator and separator not in SEPARATORS:
            raise InputError(
                f"--separator {separator!r} is not a choice: expected , or ; or tab"
            )
        given = SEPARATORS[separator] if separator else (";" if decimal == "," else ",")
        if kind == "xlsx":
            if separator or decimal != "." or bom:
                raise InputError(
                    "--separator, --decimal and --bom are for CSV; a workbook holds numbers as "
                    "numbers, so leave them out"
                )
            check_extra("an Excel workbook", ("openpyxl",), "tables", "leave out --table xlsx")
        elif given == decimal:
            raise InputError(
                f"--separator and --decimal are both {decimal!r}; with decimal commas say "
                "--separator ';'"
            )
        return cls(kind, given, decimal, bom)

    def named(self, out: Path) -> Path:
        """Return the name of a table that has the suffix of its kind."""
        return out.with_suffix(".xlsx") if self.kind == "xlsx" and out.suffix != ".xlsx" else out


class Writer:
    """Writes rows of one table as `TableFormat` says; text in them is made safe.

    Numbers come as text with decimal points, in columns that are named as holding numbers.
    """

    def __init__(self, sink: Any, form: TableFormat, header: Sequence[str], numbers: set[str]):
        self._sink = sink
        self._form = form
        self._numeric = {at for at, name in enumerate(header) if name in numbers}
        sink.writerow(header)

    def writerow(self, row: Iterable[Any]) -> None:
        """Write one row."""
        self._sink.writerow([
            self._number(str(cell)) if at in self._numeric else cell
            for at, cell in enumerate(row)
        ])

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write rows."""
        for row in rows:
            self.writerow(row)

    def _number(self, text: str) -> Any:
        if self._form.kind == "xlsx":
            return float(text) if NUMBER.fullmatch(text) else (text or None)
        return text.replace(".", ",") if self._form.decimal == "," else text


@dataclass(frozen=True)
class Columns:
    """The header of a table.

    Attributes:
        names: In order.
        numbers: Those that hold numbers.
    """

    names: tuple[str, ...]
    numbers: frozenset[str]


@contextmanager
def new_tables(
    out: Path, summary: Path, form: TableFormat, cells: Columns, levels: Columns
) -> Iterator[tuple[Writer, Writer]]:
    """Yield the writers of the table of cells and of the summary; both are named when whole.

    A workbook holds both, on two sheets.

    Raises:
        InputError: One of them exists.
    """
    if form.kind == "xlsx":
        with _new_workbook(out, form, cells, levels) as writers:
            yield writers
        return
    with atomic.new_file(out) as one, atomic.new_file(summary) as other:
        encoding = "utf-8-sig" if form.bom else "utf-8"
        with (
            one.open("w", newline="", encoding=encoding) as file,
            other.open("w", newline="", encoding=encoding) as beside,
        ):
            yield (
                Writer(SafeWriter(file, delimiter=form.separator), form, cells.names,
                       set(cells.numbers)),
                Writer(SafeWriter(beside, delimiter=form.separator), form, levels.names,
                       set(levels.numbers)),
            )


@contextmanager
def _new_workbook(
    out: Path, form: TableFormat, cells: Columns, levels: Columns
) -> Iterator[tuple[Writer, Writer]]:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    with atomic.new_file(out) as temporary:
        yield (
            Writer(_Sheets(book, "cells", cells), form, cells.names, set(cells.numbers)),
            Writer(_Sheets(book, "summary", levels), form, levels.names, set(levels.numbers)),
        )
        book.save(temporary)


class _Sheets:
    """One table in a workbook: a bold header that stays in sight, as many sheets as it needs."""

    def __init__(self, book: Any, title: str, columns: Columns) -> None:
        self._book, self._title, self._columns = book, title, columns
        self._header: list[Any] = []
        self._sheet: Any = None
        self._rows = self._number = 0

    def writerow(self, row: Iterable[Any]) -> None:
        """Write one row; the first is the header."""
        cells = [csv_cell(value) for value in row]
        if not self._header:
            self._header = cells
            self._open()
            return
        if self._rows >= _MOST_ROWS:
            self._open()
        self._sheet.append(cells)
        self._rows += 1

    def _open(self) -> None:
        from openpyxl.cell import WriteOnlyCell
        from openpyxl.styles import Font
        from openpyxl.utils import get_column_letter

        self._number += 1
        name = self._title if self._number == 1 else f"{self._title} {self._number}"
        self._sheet = self._book.create_sheet(name)
        self._sheet.freeze_panes = "A2"
        for at, title in enumerate(self._columns.names, start=1):
            wide = 40 if title in ("path", "name", "notes") else max(10, len(title) + 2)
            self._sheet.column_dimensions[get_column_letter(at)].width = min(wide, 60)
        header = []
        for title in self._header:
            cell = WriteOnlyCell(self._sheet, value=title)
            cell.font = Font(bold=True)
            header.append(cell)
        self._sheet.append(header)
        self._rows = 1
