"""Read Olympus files: OIF and OIB by the package oiffile, OIR and POIR by oirfile."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile

from stemcls.imaging.readers.quiet import hushed
from stemcls.imaging.readers.scene import Scene, fewer_bits, micrometres, moment, positive, square
from stemcls.imaging.readers.tiff import read_page

_OIR_SIZE_AT = 32


@contextmanager
def open_oif(path: Path) -> Iterator[Sequence[Scene]]:
    """Open an OIF file with the folder of TIFFs beside it, or an OIB file that holds both."""
    import oiffile

    if path.suffix.lower() == ".oib":
        _check_oib(oiffile, path)
    with oiffile.OifFile(path) as file:
        yield [_oif_scene(file, path)]


def _check_oib(oiffile: Any, path: Path) -> None:
    """Go through what `OifFile` reads first: where it fails there, it leaves the file open."""
    with oiffile.CompoundFile(path) as compound:
        streams = {name.rpartition("/")[2]: name for name in compound.files()}
        info = oiffile.SettingsFile(compound.open_file("OibInfo.txt"), "OibInfo.txt")
        names = {str(key): value for key, value in info["OibSaveInfo"].items()}
        for key in names:
            if key.startswith("Stream") and key not in streams:
                raise ValueError(f"its part {key} is missing")
        oiffile.SettingsFile(compound.open_file(streams[names["MainFileName"]]), "main")


def _oif_scene(file: Any, path: Path) -> Scene:
    if not file.series:
        raise ValueError("it holds no planes")
    series = file.series[0]
    axes = dict(zip(series.axes, series.shape, strict=True))
    names = dict(zip(map(tuple, series.indices), series, strict=True))
    with _oif_plane(file, series[0]) as page:
        shape, dtype = page.shape, page.dtype
    if len(shape) != 2:
        raise ValueError(f"a plane has the shape {shape}, expected rows and columns")

    def read(index: Mapping[str, int]) -> np.ndarray:
        place = tuple(index[axis] for axis in axes)
        if place not in names:
            at = ", ".join(f"{axis}={number + 1}" for axis, number in index.items())
            raise ValueError(f"the TIFF of the plane {at} is missing")
        with _oif_plane(file, names[place]) as page:
            return read_page(page, path)

    settings = file.mainfile
    reference = settings.get("Reference Image Parameter", {})
    edges = [
        positive(reference.get(f"{side}ConvertValue"))
        * micrometres(str(reference.get(f"{side}Unit", "um")).strip('"'))
        for side in ("Width", "Height")
    ]
    date = settings.get("Acquisition Parameters Common", {}).get("ImageCaputreDate", "")
    return Scene(
        "", axes, shape, dtype, read, channels=_oif_channels(settings, axes.get("C", 1)),
        pixel_size_um=square(*edges), acquired=moment(str(date).strip("'\"")),
        bits=fewer_bits(reference.get("ValidBitCounts"), dtype),
    )


@contextmanager
def _oif_plane(file: Any, name: str) -> Iterator[Any]:
    with file.open_file(name) as stream, tifffile.TiffFile(stream, name=name) as tiff:
        yield tiff.pages[0]


def _oif_channels(settings: Mapping[str, Any], count: int) -> tuple[str, ...]:
    """Return the dyes of the channels that were recorded, else the channels' names."""
    names = []
    number = 1
    while (about := settings.get(f"GUI Channel {number} Parameters")) is not None:
        if about.get("CH Activate", 1):
            name = about.get("DyeName") or about.get("CH Name") or ""
            names.append("" if name == "None" else str(name))
        number += 1
    return tuple(names) if len(names) == count else ()


@contextmanager
def open_oir(path: Path) -> Iterator[Sequence[Scene]]:
    """Open an OIR file; oirfile reads it as a whole, its continuation files with it."""
    import oirfile

    with path.open("rb") as stream:
        _check_oir_size(stream, path.stat().st_size)
    with hushed() as said, oirfile.OirFile(path) as file:
        _refuse_warnings(said)
        yield [_oir_scene(file, "", said)]


@contextmanager
def open_poir(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a POIR archive; the OIR files in it are scenes."""
    import oirfile

    with ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(path))
        damaged = archive.testzip()
        if damaged:
            raise ValueError(f"{damaged} in it does not match its check sum")
        said = stack.enter_context(hushed())
        file = stack.enter_context(oirfile.PoirFile(path))
        scenes = []
        for name in file:
            with archive.open(name) as stream:
                _check_oir_size(stream, archive.getinfo(name).file_size)
            scenes.append(_oir_scene(file[name], Path(name).stem, said))
        _refuse_warnings(said)
        yield scenes


def _oir_scene(file: Any, name: str, said: list[str]) -> Scene:
    sizes = dict(file.sizes)
    if "Y" not in sizes or "X" not in sizes:
        found = ", ".join(f"{axis}={length}" for axis, length in sizes.items()) or "no planes"
        raise ValueError(f"it holds {found}, expected rows and columns (a line scan has none)")
    samples = sizes.get("S", 1)
    axes = {axis: length for axis, length in sizes.items() if axis not in "YXS"}
    _check_oir_planes(file, axes, samples)
    whole: list[np.ndarray] = []

    def read(index: Mapping[str, int]) -> np.ndarray:
        if not whole:
            whole.append(file.asarray())
            _refuse_warnings(said)
        place = tuple(index.get(axis, slice(None)) for axis in sizes)
        plane = whole[0][place]
        return np.moveaxis(plane, 0, -1) if samples > 1 else plane.reshape(sizes["Y"], -1)

    scales = file.coord_scales
    names = tuple(map(str, file.coords.get("C", ())))
    if not names and len(file.channels) == 1:
        names = (file.channels[0].name,)
    return Scene(
        name, axes, (sizes["Y"], sizes["X"]), np.dtype(file.dtype), read, samples, names,
        square(positive(scales.get("X")), positive(scales.get("Y"))), moment(file.datetime),
    )


def _refuse_warnings(said: list[str]) -> None:
    """Refuse a file of which the package says that it fills what is missing."""
    if said:
        raise ValueError(said[0])


def _check_oir_planes(file: Any, axes: Mapping[str, int], samples: int) -> None:
    """Refuse a recording with gaps: oirfile fills them with zeros and does not say so."""
    planes = getattr(file, "_pixel_map", None)
    expected = samples * int(np.prod(list(axes.values()), dtype=np.int64))
    if planes is not None and len(planes) != expected:
        raise ValueError(f"it holds {len(planes)} planes, expected {expected}")


def _check_oir_size(stream: BinaryIO | Any, size: int) -> None:
    head = stream.read(_OIR_SIZE_AT + 8)
    declared = int.from_bytes(head[_OIR_SIZE_AT:], "little")
    if declared > size:
        raise ValueError(f"it is {size} bytes long, its header says {declared}")
