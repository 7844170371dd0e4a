"""Walk the page directories of a TIFF file and refuse one whose end is missing."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
               16: 8, 17: 8, 18: 8}  # fmt: skip
# Private tags that do not make a stack: copyright, resolution, Photoshop, EXIF, ICC, GPS.
_HARMLESS = {33432, 34377, 34665, 34675, 34853, 37510}
# Descriptions of OME, ImageJ and tifffile; the last may say that the page is a plane.
_STACKS = (b"<", b"\xef\xbb\xbf", b"ImageJ", b"{", b"SCANIMAGE")
_PLAIN_SHAPE = re.compile(rb'\{"shape": \[\d+, \d+(, [34])?\]')
# Without these a page is read wrongly or a stack falls apart: bits, description, strips, tiles.
_NEEDED = {258, 270, 273, 279, 324, 325, 50838, 50839}
_SUBFILE_TYPE, _ORIENTATION = 254, 274


def check_directories(path: Path) -> set[int]:
    """Follow the directories of a TIFF or BigTIFF file to the last one.

    tifffile goes on without the pages and tags that lie beyond the end of a file and only logs
    it, so that a file cut short would lose planes.

    Returns: The orientations of its pages; smaller copies of an image are not looked at.

    Raises:
        ValueError: A directory, or a value that it needs, lies beyond the end of the file.
    Source: Adobe TIFF 6.0, section 2; BigTIFF as in libtiff.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = struct.unpack_from(order + "H", head, 2)[0] == 43
        place = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0]
        seen: set[int] = set()
        turned: set[int] = set()
        while place and place not in seen:
            seen.add(place)
            place = _following(file, order, big, place, size, len(seen), turned)
    return turned


def is_one_page(path: Path) -> bool:
    """Say whether a TIFF file has one page that no description or private tag makes a stack of.

    False where that cannot be told at once. Reads some hundred bytes; opening a file takes 40
    times as long.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            if head[:4] not in (b"II*\0", b"MM\0*"):
                return False
            order = "<" if head[:2] == b"II" else ">"
            place = struct.unpack(order + "I", head[4:])[0]
            file.seek(place)
            (count,) = struct.unpack(order + "H", file.read(2))
            table = file.read(count * 12 + 4)
            if struct.unpack_from(order + "I", table, count * 12)[0]:
                return False
            for start in range(0, count * 12, 12):
                tag, _, items, value = struct.unpack_from(order + "HHII", table, start)
                if tag == 330 or (tag >= 2**15 and tag not in _HARMLESS):
                    return False
                if tag == 270 and items > 4:
                    file.seek(value)
                    told = file.read(min(items, 80)).lstrip()
                    if told.startswith(_STACKS) and not _PLAIN_SHAPE.match(told):
                        return False
    except (OSError, struct.error):
        return False
    return True


def _following(
    file: BinaryIO, order: str, big: bool, place: int, size: int, page: int, turned: set[int]
) -> int:
    """Check one directory; return the place of the next one, 0 after the last."""
    count_format, tag_format, next_format = ("Q", "HHQQ", "Q") if big else ("H", "HHII", "I")
    counted = struct.calcsize(order + count_format)
    file.seek(place)
    head = file.read(counted)
    if len(head) < counted:
        raise ValueError(f"the directory of page {page} lies beyond the file's {size} bytes")
    (count,) = struct.unpack(order + count_format, head)
    tag_bytes = struct.calcsize(order + tag_format)
    length = count * tag_bytes + struct.calcsize(order + next_format)
    table = file.read(length) if place + counted + length <= size else b""
    if len(table) < length:
        raise ValueError(f"the directory of page {page} ends beyond the file's {size} bytes")
    inline = struct.calcsize(order + next_format)
    orientation, preview = 1, 0
    for start in range(0, count * tag_bytes, tag_bytes):
        tag, kind, items, value = struct.unpack_from(order + tag_format, table, start)
        held = _TYPE_BYTES.get(kind, 0) * items
        if tag in _NEEDED and held > inline and value + held > size:
            raise ValueError(f"tag {tag} of page {page} ends beyond the file's {size} bytes")
        if tag == _ORIENTATION and kind == 3:
            (orientation,) = struct.unpack_from(order + "H", table, start + tag_bytes - inline)
        if tag == _SUBFILE_TYPE and kind == 4:
            (preview,) = struct.unpack_from(order + "I", table, start + tag_bytes - inline)
    if not preview:
        turned.add(orientation)
    return int(struct.unpack_from(order + next_format, table, count * tag_bytes)[0])
