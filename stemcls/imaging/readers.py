"""Read image files of any supported format into fields."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from stemcls.errors import InputError
from stemcls.imaging.field import Field
from stemcls.imaging.tiff import read_tiff

RGB = ("red", "green", "blue")
_SIGNATURES = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
}
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP"}
_WAY_OUT = "export it again from the microscope software or take it out of the input"


def read_field(path: Path) -> Field:
    """Read one image file.

    Returns: The field, pixels (C, Y, X) in the dtype of the file; colour images have the channels
        red, green, blue, an alpha channel is dropped.

    Raises:
        InputError: The file is missing, empty, truncated, of an unknown or another format than
            its name says, has more than one axis beside Y and X, or holds NaN or infinite pixels.
    """
    path = Path(path)
    reader = READERS.get(_suffix_of(path))
    if reader is None:
        raise InputError(
            f"{path} has no image suffix that is read ({', '.join(READERS)}); "
            "export it as OME-TIFF from the microscope software"
        )
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; check its rights") from error
    if not head:
        raise InputError(f"{path} is empty (0 bytes): {_WAY_OUT}")
    _check_signature(path, head)
    field = reader(path)
    if 0 in field.pixels.shape:
        raise InputError(f"{path} holds no pixels, shape {field.pixels.shape}: {_WAY_OUT}")
    if field.pixels.dtype.kind not in "uif":
        raise InputError(
            f"{path} holds {field.pixels.dtype} pixels, expected whole or floating-point numbers; "
            "export it as 8-bit or 16-bit"
        )
    if field.pixels.dtype.kind == "f" and not np.isfinite(field.pixels).all():
        bad = int((~np.isfinite(field.pixels)).sum())
        raise InputError(
            f"{path} holds {bad} NaN or infinite pixels; replace them with numbers, or export "
            "the file as 16-bit"
        )
    return field


def list_images(folder: Path) -> list[Path]:
    """Return the image files below `folder`, sorted; hidden files and folders are passed over.

    Raises:
        InputError: There is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give a folder that holds images")
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(root) / name
            for name in files
            if not name.startswith(".") and _suffix_of(Path(name)) in READERS
        ]
    return sorted(found)


def read_with_opencv(path: Path) -> Field:
    """Read a PNG, JPEG or BMP file whose bytes are complete."""
    data = path.read_bytes()
    kind = _FORMATS[_suffix_of(path)]
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if _is_complete(
        data, kind
    ) else None
    if pixels is None:
        raise InputError(f"{path} is damaged or truncated, not a whole {kind} image: {_WAY_OUT}")
    if pixels.ndim == 2:
        return Field(pixels[None], path, ("grey",))
    rgb = pixels[..., 2::-1] if pixels.shape[2] >= 3 else pixels[..., :1]
    names = RGB if rgb.shape[2] == 3 else ("grey",)
    return Field(np.ascontiguousarray(np.moveaxis(rgb, 2, 0)), path, names)


READERS: dict[str, Callable[[Path], Field]] = {
    ".png": read_with_opencv,
    ".jpg": read_with_opencv,
    ".jpeg": read_with_opencv,
    ".bmp": read_with_opencv,
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".ome.tif": read_tiff,
    ".ome.tiff": read_tiff,
}


def _suffix_of(path: Path) -> str:
    """Return the longest ending of the name that `READERS` knows, or an empty string."""
    name = path.name.lower()
    return max((suffix for suffix in READERS if name.endswith(suffix)), key=len, default="")


def _check_signature(path: Path, head: bytes) -> None:
    suffix = _suffix_of(path)
    expected = _FORMATS.get(suffix, "TIFF")
    if head.startswith(_SIGNATURES[expected]):
        return
    for kind, signatures in _SIGNATURES.items():
        if head.startswith(signatures):
            raise InputError(
                f"{path} is named {suffix} but holds {kind} data; give it the suffix of its format"
            )
    raise InputError(f"{path} is named {suffix} but its content is no {expected}: {_WAY_OUT}")


def _is_complete(data: bytes, kind: str) -> bool:
    """Tell whether the end of the image is there: OpenCV fills what is missing with grey."""
    if kind == "PNG":
        return b"IEND" in data[-64:]
    if kind == "BMP":
        return len(data) >= int.from_bytes(data[2:6], "little")
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xDA:  # start of scan: after it, the end marker can be nothing else
            return data.find(b"\xff\xd9", position) >= 0
        position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4])
    return False
