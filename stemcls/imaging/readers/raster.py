"""Read PNG and JPEG files whole or not at all."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stemcls.imaging.readers.scene import (
    ALPHA_DROPPED,
    NotReadError,
    Scene,
    turned_remark,
    upright,
    upright_shape,
)

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
_PNG_STORED = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MOST_DEFLATED = 1100  # times: what a run of equal bytes is shortened to, and a little more
_CMYK = "its CMYK colours were converted to red, green, blue without a printer's profile"
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2


@contextmanager
def open_png(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a PNG file of which every chunk is there and matches its check sum."""
    data = path.read_bytes()
    chunks = dict(_png_chunks(data))
    header = chunks[b"IHDR"]
    columns, rows = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    depth, kind = header[8], header[9]
    if kind not in _PNG_SAMPLES or depth not in (1, 2, 4, 8, 16):
        raise ValueError(f"its header says pixels of kind {kind} with {depth} bits")
    claimed = rows * math.ceil(columns * depth * _PNG_STORED[kind] / 8)
    if claimed > _MOST_DEFLATED * len(data):
        raise ValueError(
            f"it says that it has {rows} x {columns} pixels, more than its {len(data)} bytes can "
            "hold"
        )
    if int.from_bytes(chunks.get(b"acTL", b"")[:4]) > 1:
        raise NotReadError("it is an animation; save its frames as images or as a GIF")
    alpha = kind in (4, 6) or b"tRNS" in chunks
    samples = _PNG_SAMPLES[kind]

    def decode() -> np.ndarray:
        import imagecodecs

        pixels = imagecodecs.png_decode(data)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        return pixels[..., :samples] if samples == 3 else pixels[..., 0]

    yield [
        _scene((rows, columns), np.dtype(np.uint16 if depth == 16 else np.uint8), samples, decode,
               _orientation(chunks.get(b"eXIf", b"")), [ALPHA_DROPPED] if alpha else [])
    ]  # fmt: skip


@contextmanager
def open_jpeg(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a JPEG file that its decoder has nothing to say against."""
    data = path.read_bytes()
    process, bits, rows, columns, components, orientation = _jpeg_header(data)
    if process not in (_BASELINE, _EXTENDED, _PROGRESSIVE) or bits != 8:
        raise NotReadError(
            f"it is a JPEG of a rare kind (process {process - _BASELINE}, {bits} bits); save it as "
            "TIFF or PNG"
        )
    if components not in (1, 3, 4):
        raise ValueError(f"its pixels have {components} samples, expected 1, 3 or 4")
    samples = 1 if components == 1 else 3

    def decode() -> np.ndarray:
        import simplejpeg

        if components == 1:
            return simplejpeg.decode_jpeg(data, "GRAY", strict=True)[..., 0]
        if components == 3:
            return simplejpeg.decode_jpeg(data, "RGB", strict=True)
        simplejpeg.decode_jpeg(data, "CMYK", strict=True)
        return _jpeg_of_inks(data)

    remarks = [_CMYK] if components == 4 else []
    yield [_scene((rows, columns), np.dtype(np.uint8), samples, decode, orientation, remarks)]


def _scene(
    shape: tuple[int, int], dtype: np.dtype, samples: int, decode: Callable[[], np.ndarray],
    orientation: int, remarks: list[str],
) -> Scene:  # fmt: skip
    if orientation != 1:
        remarks = [*remarks, turned_remark(orientation)]
    if 0 in shape:
        raise ValueError(f"it says that it has {shape[0]} x {shape[1]} pixels")
    return Scene(
        "", {}, upright_shape(shape, orientation), dtype,
        lambda _: upright(decode(), orientation), samples, remarks=tuple(remarks),
    )  # fmt: skip


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each chunk; pixels are checked, and not kept.

    Raises:
        ValueError: The end is missing, or a check sum is wrong.
    """
    position = len(_PNG)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        end = position + 8 + length
        name = data[position + 4 : position + 8]
        if position == len(_PNG) and (name != b"IHDR" or length != 13):
            raise ValueError("it does not begin with a header")
        if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4]):
            if length > 2**31 or end + 4 > len(data):
                break
            raise ValueError("its check sums are wrong")
        yield name, b"" if name == b"IDAT" else data[position + 8 : end]
        if name == b"IEND":
            return
        position = end + 4
    raise ValueError("the image does not reach its end")


def _jpeg_header(data: bytes) -> tuple[int, int, int, int, int, int]:
    """Return process, bits, rows, columns, components and orientation.

    Raises:
        ValueError: The file ends before its pixels begin.
    """
    frame = None
    orientation = 1
    for marker, position in _segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame = (marker, *data[position + 4 : position + 10])
        elif marker == 0xE1 and data[position + 4 : position + 10] == b"Exif\0\0":
            length = int.from_bytes(data[position + 2 : position + 4])
            orientation = _orientation(data[position + 10 : position + 2 + length])
        elif marker == 0xDA and frame is not None and len(frame) == 7:
            process, bits, *size, components = frame
            rows, columns = size[0] << 8 | size[1], size[2] << 8 | size[3]
            return process, bits, rows, columns, components, orientation
    raise ValueError("the image does not reach its end")


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and position of each segment of a JPEG before its pixels."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        yield marker, position
        if marker == 0xDA:  # start of scan
            return
        position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4])


def _orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8, that Exif data says; 1 where it says none."""
    if not exif:
        return 1
    from PIL import Image

    found = Image.Exif()
    try:
        found.load(exif)
        value = found.get(274, 1)
    except (ValueError, SyntaxError, LookupError, TypeError, OSError):
        return 1  # viewers too pass over Exif that they cannot read
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _jpeg_of_inks(data: bytes) -> np.ndarray:
    from io import BytesIO

    from PIL import JpegImagePlugin

    with JpegImagePlugin.JpegImageFile(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))
