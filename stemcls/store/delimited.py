"""Cut text into the cells of a table: encoding, separator, quotation marks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from stemcls.errors import InputError
from stemcls.notices import Notice

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# What R, pandas and Excel write where nothing is known, spelled exactly so.
NOT_GIVEN = (
    "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "NaT", "NULL", "null",
    "None",
)
# Stands before such a word that was put in quotation marks; control characters are refused, so no
# cell of a file begins with it.
QUOTED = "\x01"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE = re.compile("\r\n|\r|\n")
_SEP = re.compile('"?sep=(.)"?(?=\r|\n|$)', re.IGNORECASE)
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"

Cells = list[tuple[int, list[str]]]


def loose(name: str) -> str:
    """Return the name of a column without what does not matter: case, blanks, - and _."""
    return re.sub(r"[\s_-]", "", name).casefold()


def rows_of_text(
    path: Path, content: bytes, needed: Sequence[str], notices: list[Notice]
) -> tuple[Cells, str]:
    """Return (line, cells) of each row that holds something, and what separates the cells.

    Args:
        path: The file, for messages.
        content: All of it.
        needed: Columns of the header, which help to find the separator.
        notices: Takes a warning about the encoding.
    Raises:
        InputError: It is no text, or its cells cannot be told apart.
    """
    if content.startswith(_OLD_EXCEL):
        raise InputError(f"{path} is an old Excel file (.xls); save it as .xlsx or as CSV UTF-8")
    text = _decoded(path, content, notices)
    if found := _CONTROL.search(text):
        what = "a NUL byte" if found.group() == "\0" else f"the character {found.group()!a}"
        raise InputError(
            f"{path} line {_line_at(text, found.start())}: {what} is no text; the file is damaged, "
            "no table, or in an unusual encoding: save it as CSV UTF-8"
        )
    skipped = 0
    given = _SEP.match(text)
    if given:
        if given.group(1) not in DELIMITERS:
            raise InputError(
                f"{path} says sep={given.group(1)}: expected one of , ; | or a tab"
            )
        end = _LINE.search(text, given.end())
        text, skipped = (text[end.end() :], 1) if end else ("", 1)
    delimiter = given.group(1) if given else _delimiter(path, text, needed)
    return _parsed(path, _marked(text, delimiter), delimiter, skipped), delimiter


def _decoded(path: Path, content: bytes, notices: list[Notice]) -> str:
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is neither UTF-8 nor Windows-1252 text ({error}); save it as CSV UTF-8"
        ) from None
    line = next(line for line in _LINE.split(text) if not line.isascii())
    notices.append(Notice(
        "table-encoding",
        f"{path.name} is not UTF-8 and was read as Windows-1252, as Excel writes it; one line of "
        f"it reads {line.strip()[:80]!r}: if that looks wrong, save the table as CSV UTF-8",
        (str(path),),
    ))
    return text


def _delimiter(path: Path, text: str, needed: Sequence[str]) -> str:
    """Return what separates the names of the header; all rows must be cut alike by it."""
    headers = {}
    for delimiter in DELIMITERS:
        first = next(iter(_parsed(path, text, delimiter, 0, only_first=True)), (0, []))[1]
        headers[delimiter] = first
    wanted = {loose(name) for name in needed}
    fitting = [d for d, header in headers.items() if wanted <= set(map(loose, header))]
    return max(fitting or headers, key=lambda d: len(headers[d]))


def _marked(text: str, delimiter: str) -> str:
    """Mark words such as "NA" in quotation marks, unless all cells have them."""
    words = "|".join(map(re.escape, NOT_GIVEN))
    edge = re.escape(delimiter)
    pattern = re.compile(rf'(^|[\r\n{edge}]) *"({words})"(?= *(?:[\r\n{edge}]|$))')
    if not pattern.search(text) or not re.search(rf'(?:^|[\r\n{edge}]) *[^"\s{edge}]', text):
        return text
    # Neighbours share a separator, which a match takes up.
    for _ in range(2):
        text = pattern.sub(rf'\1"{QUOTED}\2"', text)
    return text


def _parsed(
    path: Path, text: str, delimiter: str, skipped: int, only_first: bool = False
) -> Cells:
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    rows: Cells = []
    start = skipped + 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append((start, cells))
                if only_first:
                    break
            start = skipped + reader.line_num + 1
    except csv.Error as error:
        if only_first:
            return []
        why = str(error)
        if "end of data" in why:
            why = "a quotation mark is opened and never closed"
        elif "expected after" in why:
            why = "there is text behind a closing quotation mark"
        raise InputError(f"{path} line {start}: {why}") from None
    return rows


def _line_at(text: str, at: int) -> int:
    return len(_LINE.findall(text, 0, at)) + 1
