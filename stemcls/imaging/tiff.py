"""Read TIFF files: plain, ImageJ hyperstacks and OME-TIFF."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from stemcls.errors import InputError
from stemcls.imaging.field import Field

_RGB = ("red", "green", "blue")
_MICROMETRES = {
    "pm": 1e-6, "å": 1e-4, "nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "\\u00b5m": 1.0,
    "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "micrometre": 1.0, "mm": 1e3, "cm": 1e4,
    "m": 1e6,
}  # fmt: skip
_AXIS_NAMES = {"C": "channel", "Z": "z", "T": "t"}
_COARSEST_BELIEVED_UM = 20.0


def read_tiff(path: Path) -> Field:
    """Read a TIFF file of one image: slices, channels, time points or planes along one axis.

    The pixel size comes from OME-XML, from ImageJ's unit, or from a resolution given per
    centimetre; a resolution per inch is for printers and is not believed.

    Raises:
        InputError: The file is damaged, truncated, holds several images, or more than one of its
            axes besides Y and X is longer than 1.
    """
    try:
        with tifffile.TiffFile(path) as file:
            return _field_of(file, path)
    except (
        tifffile.TiffFileError, ValueError, OSError, RuntimeError, IndexError, KeyError, TypeError,
        struct.error, ElementTree.ParseError,
    ) as error:  # fmt: skip
        raise InputError(
            f"{path} is damaged or truncated, tifffile says: {error}; export it again from the "
            "microscope software or take it out of the input"
        ) from error


def _field_of(file: tifffile.TiffFile, path: Path) -> Field:
    _check_whole(file, path)
    alike = {(one.axes, one.shape, one.dtype) for one in file.series}
    stacked = len(file.series) > 1 and len(alike) == 1 and not file.is_ome
    stacked = stacked and file.series[0].axes == "YX"
    if len(file.series) != 1 and not stacked:
        shapes = ", ".join("x".join(map(str, one.shape)) for one in file.series[:6])
        raise InputError(
            f"{path} holds {len(file.series)} images ({shapes}), expected one; "
            "export each image to a file of its own"
        )
    if stacked:  # pages that their writer did not tie together
        axes, pixels = "IYX", np.stack([one.asarray() for one in file.series])
    else:
        axes, pixels = file.series[0].axes, file.series[0].asarray()
    if "Y" not in axes or "X" not in axes:
        raise InputError(f"{path} has the axes {axes}, expected Y and X among them")
    lengths = dict(zip(axes, pixels.shape, strict=True))
    beside = {axis: length for axis, length in lengths.items() if axis not in "YX" and length > 1}
    if len(beside) > 1:
        listed = ", ".join(f"{axis}={length}" for axis, length in beside.items())
        raise InputError(
            f"{path} has more than one axis beside Y and X ({listed}), so what is a slice is "
            "ambiguous; export one time point, plane or channel set per file"
        )
    axis = next(iter(beside), "")
    keep = axis + "YX"
    index = tuple(slice(None) if name in keep else 0 for name in axes)
    order = [name for name in axes if name in keep]
    pixels = np.transpose(pixels[index], [order.index(name) for name in keep])
    if not axis:
        pixels = pixels[None]
    if axis == "S":
        pixels = pixels[:3] if len(pixels) >= 3 else pixels[:1]
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    ome = _ome_pixels(file)
    names = _channel_names(axis, len(pixels), ome)
    return Field(np.ascontiguousarray(pixels), path, names, _pixel_size_um(file, ome))


def _check_whole(file: tifffile.TiffFile, path: Path) -> None:
    size = path.stat().st_size
    for number, page in enumerate(file.pages):
        spans = zip(page.dataoffsets, page.databytecounts, strict=False)
        if any(start + length > size for start, length in spans):
            raise InputError(
                f"{path} is truncated: the pixels of page {number + 1} end beyond the file's "
                f"{size} bytes; copy or export it again"
            )


def _ome_pixels(file: tifffile.TiffFile) -> ElementTree.Element | None:
    """Return the OME-XML element that describes the pixels, if there is one."""
    if not file.is_ome or not file.ome_metadata:
        return None
    root = ElementTree.fromstring(file.ome_metadata)
    return next((one for one in root.iter() if one.tag.rpartition("}")[2] == "Pixels"), None)


def _channel_names(axis: str, count: int, ome: ElementTree.Element | None) -> tuple[str, ...]:
    if axis == "S" and count == 3:
        return _RGB
    if axis in ("", "C") and ome is not None:
        channels = [one for one in ome if one.tag.rpartition("}")[2] == "Channel"]
        if len(channels) == count:
            return tuple(one.get("Name") or f"channel-{n}" for n, one in enumerate(channels, 1))
    if count == 1:
        return ("grey",)
    stem = _AXIS_NAMES.get(axis, "slice")
    return tuple(f"{stem}-{number}" for number in range(1, count + 1))


def _pixel_size_um(file: tifffile.TiffFile, ome: ElementTree.Element | None) -> float | None:
    """Return the edge of a square pixel, or None where nothing trustworthy says it."""
    if ome is not None:
        sizes = [
            _positive(ome.get(f"PhysicalSize{axis}"))
            * _MICROMETRES.get(ome.get(f"PhysicalSize{axis}Unit", "µm").lower(), 0.0)
            for axis in "XY"
        ]
        return _square(*sizes)
    tags = file.pages[0].tags
    unit = 0.0
    believed = np.inf
    if file.is_imagej:
        unit = _MICROMETRES.get(str((file.imagej_metadata or {}).get("unit", "")).lower(), 0.0)
    elif "ResolutionUnit" in tags and int(tags["ResolutionUnit"].value) == 3:
        unit, believed = 1e4, _COARSEST_BELIEVED_UM
    per_unit = [_resolution(tags, f"{axis}Resolution") for axis in "XY"]
    size = _square(*(unit / pixels if pixels else 0.0 for pixels in per_unit))
    return size if size is not None and size <= believed else None


def _resolution(tags: Any, name: str) -> float:
    """Return pixels per unit, 0 where the tag is missing or senseless."""
    if name not in tags:
        return 0.0
    above, below = tags[name].value
    return above / below if below else 0.0


def _positive(text: str | None) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value if np.isfinite(value) and value > 0 else 0.0


def _square(x: float, y: float) -> float | None:
    """Return the edge if both are known and within 1 % of each other."""
    if x <= 0 or abs(x - y) > 0.01 * x:
        return None
    return float(x)
