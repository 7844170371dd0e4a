"""Open one file, settle its axes, read its planes, and say what is wrong with a bad file."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import numpy as np

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.field import Field
from stemcls.imaging.readers.planes import field_of, plan
from stemcls.imaging.readers.quiet import hushed
from stemcls.imaging.readers.raster import open_raster, raster_size
from stemcls.imaging.readers.scene import Scene
from stemcls.imaging.readers.table import READERS, Reader, format_of, missing_package, suffix_of

_WAY_OUT = "export it again from the microscope software or take it out of the input"
# What parsers written by others have been seen to raise on damaged files.
_PARSER_ERRORS = (
    ValueError, OSError, RuntimeError, LookupError, TypeError, AttributeError, AssertionError,
    ArithmeticError, EOFError, Warning, struct.error, zlib.error, zipfile.BadZipFile,
    ElementTree.ParseError, expat.ExpatError,
)  # fmt: skip


def read_field(path: Path, read: ReadConfig | None = None) -> Field:
    """Read one image file.

    An axis of length 1 needs no choice, and a sole longer one becomes the slices. Only the
    planes needed are read, where the format allows it.

    Args:
        path: The file; its suffix says the format.
        read: Which scene, time point, focal plane and channel; nothing chosen by default.
    Returns: The field, pixels (C, Y, X) in the dtype of the file; colour images have the channels
        red, green, blue, an alpha channel is dropped.

    Raises:
        InputError: The file is missing, empty, damaged, truncated, of an unknown or another format
            than its name says; its package is not installed; an axis is left open or a choice
            names what is not there; or it holds NaN or infinite pixels.
    """
    path = Path(path)
    with _opened(path) as (reader, scenes):
        wanted = plan(path, scenes, read or ReadConfig())
        with _explained(path, reader):
            field = field_of(path, wanted)
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


def describe_file(path: Path) -> dict[str, Any]:
    """Say what a file holds without reading its pixels.

    Returns: format, package and scenes, each with name, axes (all lengths, Y and X last),
        channels, dtype, pixel_size_um, acquired (ISO 8601) and position_um (y, x).

    Raises:
        InputError: The file cannot be opened.
    """
    path = Path(path)
    with _opened(path) as (reader, scenes):
        return {
            "format": reader.format,
            "package": reader.package,
            "scenes": [_described(scene) for scene in scenes],
        }


def count_pixels(path: Path) -> int:
    """Say how many pixels a file claims to hold, over all its planes, without decoding any.

    Raises:
        InputError: The file cannot be opened.
    """
    path = Path(path)
    reader = _reader_of(path)
    if reader.open is open_raster:  # which decodes as it opens
        with _explained(path, reader):
            return math.prod(raster_size(path))
    scenes = describe_file(path)["scenes"]
    return sum(
        math.prod(length for axis, length in scene["axes"].items() if axis != "S")
        for scene in scenes
    )


def _described(scene: Scene) -> dict[str, Any]:
    axes = {**scene.axes, "Y": scene.shape[0], "X": scene.shape[1]}
    if scene.samples > 1:
        axes["S"] = scene.samples
    return {
        "name": scene.name,
        "axes": axes,
        "channels": list(scene.channels),
        "dtype": str(scene.dtype),
        "pixel_size_um": scene.pixel_size_um,
        "acquired": scene.acquired.isoformat() if scene.acquired else None,
        "position_um": list(scene.position_um) if scene.position_um else None,
    }


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Reader, Sequence[Scene]]]:
    reader = _reader_of(path)
    with hushed():
        with _explained(path, reader):
            context = reader.open(path)
            scenes = context.__enter__()
        try:
            yield reader, scenes
        finally:
            with _explained(path, reader):
                context.__exit__(None, None, None)


@contextmanager
def _explained(path: Path, reader: Reader) -> Iterator[None]:
    """Turn whatever a format library raises into an error that names the file and the way out."""
    said_by = reader.package or "its reader"
    try:
        yield
    except MemoryError as error:
        raise InputError(
            f"{path} needs more memory than there is ({error}), or is damaged and claims a wrong "
            "size; choose fewer planes, or export a part of it again"
        ) from error
    except _PARSER_ERRORS as error:
        what = str(error) or type(error).__name__
        raise InputError(
            f"{path} is damaged or truncated, {said_by} says: {what[:300]}; {_WAY_OUT}"
        ) from error


def _reader_of(path: Path) -> Reader:
    suffix = suffix_of(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected an image file; name a file inside it")
    if not suffix:
        raise InputError(
            f"{path} has no image suffix that is read ({', '.join(READERS)}); "
            "export it as OME-TIFF from the microscope software"
        )
    reader = READERS[suffix]
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; check its rights") from error
    if not head:
        raise InputError(f"{path} is empty (0 bytes): {_WAY_OUT}")
    if reader.signatures and not head.startswith(reader.signatures):
        held = format_of(head)
        if held is None:
            raise InputError(
                f"{path} is named {suffix} but its content is no {reader.format}: {_WAY_OUT}"
            )
        raise InputError(
            f"{path} is named {suffix} but holds {held} data; give it the suffix of its format"
        )
    problem = missing_package(reader)
    if problem:
        raise InputError(f"{path}: {problem}")
    return reader
