"""Make text that came from files safe to show: in a terminal, a table, a picture or a page."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = re.compile(r"'*[=+\-@\t\r].", re.DOTALL)
# Marks that turn, hide or isolate the text around them; joiners that scripts need are not among
# them.
_HIDDEN = frozenset("\u061c\u200b\u200e\u200f\u2028\u2029\u2060\ufeff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xFFF9, 0xFFFC))
}


def safe_text(text: str, keep: str = "") -> str:
    """Return text without anything that acts instead of showing; safe text comes back as it is.

    Control characters (ESC among them), marks that change the direction of writing or hide text,
    and bytes of file names that are no UTF-8 are written as escapes: \\x1b, \\u202e, \\xe9.

    Args:
        text: From a file, a folder's name or a table.
        keep: Characters to leave as they are, such as line ends of a message.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escaped(character) if character not in keep and _acts(character) else character
        for character in text
    )


def without_surrogates(text: str) -> str:
    """Return text that UTF-8 can hold: stray bytes of file names become escapes such as \\xe9."""
    return _SURROGATE.sub(lambda found: _escaped(found.group()), text)


def csv_cell(value: Any) -> Any:
    """Return what a cell of a table may hold: numbers as they are, text that no program runs.

    Text that a spreadsheet would take for a formula gets an apostrophe in front;
    `text_of_cell` takes it off again.
    """
    if not isinstance(value, str):
        return value if value is None or isinstance(value, int | float) else csv_cell(str(value))
    text = safe_text(value)
    if _FORMULA.match(text) and not NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def text_of_cell(cell: str) -> str:
    """Return the text that `csv_cell` wrote."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


class SafeWriter:
    """A `csv.writer` whose cells are safe to open in a spreadsheet and a terminal."""

    def __init__(self, file: Any, lineterminator: str = "\n", delimiter: str = ",") -> None:
        self._writer = csv.writer(file, lineterminator=lineterminator, delimiter=delimiter)

    def writerow(self, row: Iterable[Any]) -> None:
        """Write one row."""
        self._writer.writerow([csv_cell(value) for value in row])

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Write rows."""
        for row in rows:
            self.writerow(row)


def _acts(character: str) -> bool:
    return character in _HIDDEN or unicodedata.category(character) in ("Cc", "Cs")


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that the file system's encoding could not read
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
