"""Read a sheet of an Excel workbook as rows of text."""

from __future__ import annotations

import datetime
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from stemcls.errors import InputError
from stemcls.extras import check_extra

ZIP = b"PK\x03\x04"
_SUFFIXES = (".xlsx", ".xlsm")


def split_sheet(path: Path) -> tuple[Path, str]:
    """Return the file and the sheet of `FILE.xlsx#SHEET`; "" where no sheet is named."""
    file, mark, sheet = path.name.rpartition("#")
    if mark and file.lower().endswith(_SUFFIXES) and not path.exists():
        return path.with_name(file), sheet
    return path, ""


def rows_of_workbook(path: Path, sheet: str) -> list[tuple[int, list[str]]]:
    """Return (row number, cells) of each row that holds something.

    Whole numbers lose the .0 that Excel does not show, dates are written YYYY-MM-DD.

    Args:
        path: The workbook.
        sheet: Name of a sheet; "": the only one that holds something.
    Raises:
        InputError: The package that reads workbooks is missing, the workbook is damaged, several
            sheets hold something, or a cell holds an error, a formula without a value, or is
            merged with others.
    """
    check_extra("an Excel workbook", ("openpyxl",), "tables", "save it as CSV UTF-8")
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts that are no cells, such as drawings
            values = openpyxl.load_workbook(path, data_only=True)
            written = openpyxl.load_workbook(path)
    except (
        InvalidFileException, zipfile.BadZipFile, zlib.error, ParseError, KeyError, ValueError,
        TypeError, AttributeError, IndexError, EOFError, NotImplementedError,
    ) as error:
        raise InputError(
            f"{path} is no Excel workbook that can be read ({error}); save it as .xlsx or CSV UTF-8"
        ) from error
    try:
        name = _chosen(path, values, sheet)
        return _rows(path, values[name], written[name])
    finally:
        values.close()
        written.close()


def _chosen(path: Path, book: Any, sheet: str) -> str:
    names = [one.title for one in book.worksheets]
    if sheet:
        if sheet not in names:
            raise InputError(f"{path} has no sheet {sheet!r}; one of: {', '.join(names)}")
        return sheet
    filled = [
        one.title for one in book.worksheets
        if one.sheet_state == "visible" and any(
            value is not None for row in one.iter_rows(values_only=True) for value in row
        )
    ]
    if len(filled) > 1:
        raise InputError(
            f"{path} has {len(filled)} sheets with something in them ({', '.join(filled)}); say "
            f"which: {path}#{filled[0]}"
        )
    if not filled:
        raise InputError(f"{path} holds no sheet with a table")
    return filled[0]


def _rows(path: Path, sheet: Any, written: Any) -> list[tuple[int, list[str]]]:
    if written.merged_cells.ranges:
        where = ", ".join(str(one) for one in list(written.merged_cells.ranges)[:3])
        raise InputError(
            f"{path} sheet {sheet.title}: cells are merged ({where}), so only the first of them "
            "has a value; unmerge them and fill in each row"
        )
    rows = []
    for number, (row, formulas) in enumerate(
        zip(sheet.iter_rows(), written.iter_rows(), strict=True), start=sheet.min_row
    ):
        cells = [
            _text(path, cell, formula) for cell, formula in zip(row, formulas, strict=True)
        ]
        if any(cells):
            rows.append((number, cells))
    return rows


def _text(path: Path, cell: Any, formula: Any) -> str:
    value = cell.value
    where = f"{path} cell {cell.coordinate}"
    if value is None and formula.data_type == "f":
        raise InputError(
            f"{where} is a formula whose value is not in the file; open and save it in Excel, or "
            "paste values"
        )
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    text = " ".join(str(value).split())
    if cell.data_type == "e" and text != "#N/A":
        raise InputError(f"{where} holds the error {text}; mend it in Excel")
    return text
