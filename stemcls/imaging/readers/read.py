"""Open one file, settle its axes, read its planes, and say what is wrong with a bad file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError, StemclsError
from stemcls.imaging.field import Field
from stemcls.imaging.readers.omeset import set_files
from stemcls.imaging.readers.planes import bytes_of, field_of, plan
from stemcls.imaging.readers.quiet import hushed
from stemcls.imaging.readers.scene import NotReadError, Scene
from stemcls.imaging.readers.table import (
    READERS,
    Reader,
    is_image_folder,
    missing_package,
    reader_of_content,
    suffix_of,
)
from stemcls.imaging.readers.tiff import open_tiff
from stemcls.machine import free_memory_bytes

_WAY_OUT = "export it again from the microscope software or take it out of the input"
_MOST_OF_MEMORY = 0.5
# No picture format packs real images as tightly; small files that claim to are bombs.
_MOST_PACKED = 5000
_BOMB_BYTES = 2**28
_LEAST_FLOAT, _MOST_FLOAT = 1e-30, 1e12


def read_field(path: Path, read: ReadConfig | None = None) -> Field:
    """Read one image file.

    An axis of length 1 needs no choice, and a sole longer one becomes the slices. Only the
    planes needed are read, where the format allows it.

    Args:
        path: The file, or the folder of an OME-Zarr; its content says the format.
        read: Which scene, time point, focal plane and channel; nothing chosen by default.
    Returns: The field, pixels (C, Y, X) in the dtype of the file; colour images have the channels
        red, green, blue, an alpha channel is dropped. `remarks` says what was converted.

    Raises:
        InputError: The file is missing, empty, damaged, truncated or of an unknown format; its
            package is not installed; an axis is left open or a choice names what is not there;
            it takes more than half of the free memory; or it holds NaN, infinite or senseless
            pixels. Whatever else a reader raises becomes one too.
    """
    path = Path(path)
    with _opened(path) as (reader, scenes, remarks):
        wanted = plan(path, scenes, read or ReadConfig())
        _check_size(path, reader, bytes_of(wanted))
        with _explained(path, reader):
            field = field_of(path, wanted)
    _check_pixels(path, field.pixels)
    return replace(field, remarks=(*remarks, *field.remarks))


def describe_file(path: Path) -> dict[str, Any]:
    """Say what a file holds without decoding its pixels.

    Returns: format, package, remarks and scenes, each with name, axes (all lengths, Y and X last;
        S: red, green, blue), channels, dtype, bits (used, where fewer than the dtype's),
        pixel_size_um, acquired (ISO 8601), position_um (y, x) and remarks.

    Raises:
        InputError: The file cannot be opened.
    """
    path = Path(path)
    with _opened(path) as (reader, scenes, remarks):
        return {
            "format": reader.format,
            "package": reader.package,
            "remarks": list(remarks),
            "scenes": [_described(scene) for scene in scenes],
        }


def count_pixels(path: Path) -> int:
    """Say how many pixels a file claims to hold, over all its planes, without decoding any.

    Raises:
        InputError: The file cannot be opened.
    """
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
        "bits": scene.bits,
        "pixel_size_um": scene.pixel_size_um,
        "acquired": scene.acquired.isoformat() if scene.acquired else None,
        "position_um": list(scene.position_um) if scene.position_um else None,
        "remarks": list(scene.remarks),
    }


def dataset_files(path: Path) -> tuple[Path, ...]:
    """Return all files that hold the same images as a file, `path` among them, sorted.

    That is the set of an OME-TIFF in several files, with its companion of metadata, the folder of
    planes beside an OIF, the continuations of an OIR; else the file alone, as for a file that
    cannot be read.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix == ".oif":
        return (path, *sorted(path.with_name(f"{path.name}.files").glob("*")))
    if suffix == ".oir":
        continued = re.compile(re.escape(path.stem) + r"_\d{5}")
        return (path, *sorted(p for p in path.parent.iterdir() if continued.fullmatch(p.name)))
    try:
        with hushed():
            reader, _ = _reader_of(path)
            if reader.open is open_tiff:
                with _explained(path, reader):
                    return set_files(path)
    except InputError:
        pass  # reading it says what is wrong
    return (path,)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Reader, Sequence[Scene], tuple[str, ...]]]:
    reader, remarks = _reader_of(path)
    with hushed():
        with _explained(path, reader):
            context = reader.open(path)
            scenes = context.__enter__()
        try:
            yield reader, scenes, remarks
        finally:
            with _explained(path, reader):
                context.__exit__(None, None, None)


@contextmanager
def _explained(path: Path, reader: Reader) -> Iterator[None]:
    """Turn whatever a format library raises into an error that names the file and the way out."""
    said_by = reader.package or "its reader"
    try:
        yield
    except StemclsError:
        raise
    except MemoryError as error:
        raise InputError(
            f"{path} needs more memory than there is ({error}), or is damaged and claims a wrong "
            "size; choose fewer planes, or export a part of it again"
        ) from error
    except NotReadError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # no list of classes holds for parsers written by others
        name = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
        what = f"{name}{error}" if str(error) else type(error).__name__
        raise InputError(
            f"{path} is damaged or truncated, {said_by} says: {what[:300]}; {_WAY_OUT}"
        ) from error


def _check_size(path: Path, reader: Reader, needed: int) -> None:
    """Refuse what would fill the memory, before any of it is taken."""
    free = free_memory_bytes()
    if needed > _MOST_OF_MEMORY * free:
        raise InputError(
            f"{path} says that it takes {needed / 2**30:.1f} GiB once read, more than half of the "
            f"{free / 2**30:.1f} GiB of memory that are free; choose fewer planes, or cut it into "
            "smaller images"
        )
    if reader.package is None and needed > _BOMB_BYTES:
        size = sum(file.stat().st_size for file in dataset_files(path) if file.exists())
        if needed > _MOST_PACKED * size:
            raise InputError(
                f"{path} says that its {size} bytes unpack to {needed / 2**30:.1f} GiB, which no "
                f"real image does; {_WAY_OUT}"
            )


def _check_pixels(path: Path, pixels: np.ndarray) -> None:
    if 0 in pixels.shape:
        raise InputError(f"{path} holds no pixels, shape {pixels.shape}: {_WAY_OUT}")
    if pixels.dtype.kind not in "uif":
        raise InputError(
            f"{path} holds {pixels.dtype} pixels, expected whole or floating-point numbers; "
            "export it as 8-bit or 16-bit"
        )
    if pixels.dtype.kind != "f" and pixels.dtype.itemsize < 8:
        return
    if not np.isfinite(pixels).all():
        bad = int((~np.isfinite(pixels)).sum())
        raise InputError(
            f"{path} holds {bad} NaN or infinite pixels; replace them with numbers, or export "
            "the file as 16-bit"
        )
    most = max(float(pixels.max()), -float(pixels.min()))
    if most > _MOST_FLOAT or 0 < most < _LEAST_FLOAT:
        raise InputError(
            f"{path} holds pixels as large as {most:.3g}, expected a brightness of at most "
            f"{_MOST_FLOAT:g} and not all below {_LEAST_FLOAT:g}; export it as 16-bit"
        )


def _reader_of(path: Path) -> tuple[Reader, tuple[str, ...]]:
    """Return how a file is read, by its content, and what to say where its name lies."""
    suffix = suffix_of(path)
    named = READERS.get(suffix)
    remarks: tuple[str, ...] = ()
    if path.is_dir():
        if named is None or not named.folder:
            raise InputError(f"{path} is a folder, expected an image file; name a file inside it")
        reader = named
        if not is_image_folder(path):
            raise InputError(f"{path} is named {suffix} but its content is no {named.format}")
    else:
        head = _head(path)
        if named is not None and not named.folder and named.recognises(head):
            reader = named
        else:
            reader = _reader_by_content(path, head, named, suffix)
            if named is not None:
                remarks = (
                    f"it is named {suffix} but holds {reader.format} data; it was read as that",
                )
    problem = missing_package(reader)
    if problem:
        raise InputError(f"{path}: {problem}")
    return reader, remarks


def _reader_by_content(path: Path, head: bytes, named: Reader | None, suffix: str) -> Reader:
    found = reader_of_content(head)
    if found is not None:
        return found
    if named is None:
        raise InputError(
            f"{path} has no image suffix that is read ({', '.join(READERS)}), nor the content of "
            "an image; export it as OME-TIFF from the microscope software"
        )
    raise InputError(f"{path} is named {suffix} but its content is no {named.format}: {_WAY_OUT}")


def _head(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is a pipe or a device, expected an image file")
    try:
        with path.open("rb") as file:
            head = file.read(128)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; check its rights") from error
    if not head:
        raise InputError(f"{path} is empty (0 bytes): {_WAY_OUT}")
    return head
