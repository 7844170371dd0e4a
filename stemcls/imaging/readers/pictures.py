"""Read BMP, GIF and WebP files by Pillow, and JPEG 2000 by imagecodecs."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.imaging.readers.scene import (
    ALPHA_DROPPED,
    NotReadError,
    Scene,
    turned_remark,
    upright,
    upright_shape,
)

_SIZ = b"\xff\x4f\xff\x51"
_MOST_PACKED = 5000  # pixels in a byte, more than any of these formats reaches
_END_OF_CODESTREAM = b"\xff\xd9"


@contextmanager
def open_bmp(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a BMP file."""
    from PIL import BmpImagePlugin

    data = path.read_bytes()
    if len(data) < int.from_bytes(data[2:6], "little"):
        raise ValueError("the image does not reach its end")
    with BmpImagePlugin.BmpImageFile(io.BytesIO(data)) as image:
        yield [_pillow_scene(image, len(data))]


@contextmanager
def open_gif(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a GIF file; its frames are time points."""
    from PIL import GifImagePlugin

    data = path.read_bytes()
    if not data.rstrip(b"\0").endswith(b";"):
        raise ValueError("the image does not reach its end")
    with GifImagePlugin.GifImageFile(io.BytesIO(data)) as image:
        yield [_pillow_scene(image, len(data))]


@contextmanager
def open_webp(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a WebP file; the frames of an animation are time points."""
    from PIL import WebPImagePlugin

    data = path.read_bytes()
    if len(data) < 8 + int.from_bytes(data[4:8], "little"):
        raise ValueError("the image does not reach its end")
    with WebPImagePlugin.WebPImageFile(io.BytesIO(data)) as image:
        yield [_pillow_scene(image, len(data))]


@contextmanager
def open_jpeg2000(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a JPEG 2000 file: grey or red, green, blue, of up to 16 bits."""
    data = path.read_bytes()
    start = data.find(_SIZ)
    if start < 0 or len(data) < start + 44:
        raise ValueError("it holds no JPEG 2000 image")
    right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
    (components,) = struct.unpack_from(">H", data, start + 40)
    depth = data[start + 42]
    bits = (depth & 0x7F) + 1
    if not data[start:].rstrip(b"\0").endswith(_END_OF_CODESTREAM):
        raise ValueError("the image does not reach its end")
    space = _colour_space(data[:start])
    if components not in (1, 3) or depth & 0x80 or bits > 16 or space not in (None, 16, 17):
        raise NotReadError(
            f"it has {components} samples of {bits} bits (colour space {space}); save it as TIFF"
        )

    def read(_: Mapping[str, int]) -> np.ndarray:
        import imagecodecs

        pixels = imagecodecs.jpeg2k_decode(data)
        if bits < 8:
            pixels = np.rint(pixels * (255 / (2**bits - 1))).astype(np.uint8)
        return pixels

    yield [
        Scene("", {}, (bottom - top, right - left),
              np.dtype(np.uint8 if bits <= 8 else np.uint16), read, components,
              bits=bits if 8 < bits < 16 else None)
    ]  # fmt: skip


def _colour_space(boxes: bytes) -> int | None:
    """Return the enumerated colour space of a JP2 header, 0 for a palette, None if none is said.

    Source: ISO 15444-1, annex I: 16 is sRGB, 17 grey, 18 sYCC.
    """
    if b"pclr" in boxes:
        return 0
    place = boxes.find(b"colr")
    if place < 0 or boxes[place + 4 : place + 5] != b"\x01":
        return None
    return int.from_bytes(boxes[place + 7 : place + 11])


def _pillow_scene(image: Any, stored: int) -> Scene:
    columns, rows = image.size
    if rows * columns > _MOST_PACKED * stored:  # before Pillow counts frames, which takes memory
        raise ValueError(
            f"it says that it has {rows} x {columns} pixels, more than its {stored} bytes can hold"
        )
    frames = getattr(image, "n_frames", 1)
    mode = image.mode
    if mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "I;16"):
        raise NotReadError(f"its pixels are of the kind {mode}; save it as TIFF or PNG")
    grey = mode in ("1", "L", "LA", "I;16") or (mode == "P" and _is_grey(image.getpalette()))
    samples = 1 if grey and frames == 1 else 3
    alpha = mode in ("LA", "PA", "RGBA") or "transparency" in image.info
    orientation = image.getexif().get(274, 1)
    if not isinstance(orientation, int) or not 1 <= orientation <= 8:
        orientation = 1
    remarks = [ALPHA_DROPPED] if alpha else []
    if orientation != 1:
        remarks.append(turned_remark(orientation))

    def read(index: Mapping[str, int]) -> np.ndarray:
        if frames > 1:
            image.seek(index["T"])
        if mode == "I;16":
            pixels = np.asarray(image)
        elif samples == 3:
            # Through RGBA: Pillow else paints what is transparent in some colour.
            pixels = np.asarray(image.convert("RGBA" if alpha else "RGB"))[..., :3]
        else:
            pixels = np.asarray(image.convert("L"))
        return upright(pixels, orientation)

    return Scene(
        "", {"T": frames} if frames > 1 else {},
        upright_shape((rows, columns), orientation),
        np.dtype(np.uint16 if mode == "I;16" else np.uint8), read, samples,
        remarks=tuple(remarks),
    )  # fmt: skip


def _is_grey(palette: list[int] | None) -> bool:
    """Tell whether all colours are grey: BMP and GIF have no other way to say that."""
    colours = np.reshape(palette or [0, 1, 2], (-1, 3))
    return bool((colours == colours[:, :1]).all())
