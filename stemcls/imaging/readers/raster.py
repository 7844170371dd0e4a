"""Read PNG, JPEG and BMP files."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from stemcls.imaging.readers.scene import Scene

_PNG = b"\x89PNG\r\n\x1a\n"


@contextmanager
def open_raster(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a PNG, JPEG or BMP file whose bytes are complete; it is decoded at once."""
    data = path.read_bytes()
    pixels = None
    if _is_complete(data):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("the image does not reach its end, or its check sums are wrong")
    if pixels.ndim == 3:
        pixels = pixels[..., 2::-1] if pixels.shape[2] >= 3 else pixels[..., 0]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    yield [Scene("", {}, pixels.shape[:2], pixels.dtype, lambda _: pixels, samples)]


def raster_size(path: Path) -> tuple[int, int]:
    """Return height and width as a PNG, JPEG or BMP file claims them; nothing is decoded.

    Raises:
        ValueError: The file ends before it says so.
    """
    with path.open("rb") as file:
        head = file.read(2**20)  # in a JPEG, previews and profiles may come first
    if head.startswith(_PNG) and len(head) >= 24:
        return int.from_bytes(head[20:24]), int.from_bytes(head[16:20])
    if head.startswith(b"BM") and len(head) >= 26:
        return abs(int.from_bytes(head[22:26], "little", signed=True)), int.from_bytes(
            head[18:22], "little"
        )
    for marker, position in _segments(head):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = head[position + 5 : position + 7], head[position + 7 : position + 9]
            if len(width) == 2:
                return int.from_bytes(height), int.from_bytes(width)
    raise ValueError("its header does not say how large the image is")


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and position of each segment of a JPEG before its pixels."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        yield marker, position
        if marker == 0xDA:  # start of scan
            return
        position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4])


def _is_complete(data: bytes) -> bool:
    """Tell whether the end of the image is there: OpenCV fills what is missing with grey."""
    if data.startswith(_PNG):
        return _is_whole_png(data)
    if data.startswith(b"BM"):
        return len(data) >= int.from_bytes(data[2:6], "little")
    # After the start of scan the end marker can be nothing else.
    return any(
        marker == 0xDA and data.find(b"\xff\xd9", position) >= 0
        for marker, position in _segments(data)
    )


def _is_whole_png(data: bytes) -> bool:
    """Tell whether every chunk of a PNG is there and matches its check sum."""
    position = len(_PNG)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        end = position + 8 + length
        kind = data[position + 4 : position + 8]
        if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return False
        if kind == b"IEND":
            return True
        position = end + 4
    return False
