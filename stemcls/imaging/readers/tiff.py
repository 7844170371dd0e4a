"""Read TIFF files: plain, ImageJ hyperstacks and OME-TIFF, page by page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stemcls.errors import InputError
from stemcls.imaging.readers.ifds import check_directories
from stemcls.imaging.readers.ome import OmeImage, ome_images
from stemcls.imaging.readers.scene import Scene, micrometres, moment, square

_COARSEST_BELIEVED_UM = 20.0


@contextmanager
def open_tiff(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a TIFF file; its series are scenes, pages that nothing ties together are slices.

    The pixel size comes from OME-XML, from ImageJ's unit, or from a resolution given per
    centimetre; a resolution per inch is for printers and is not believed.
    """
    check_directories(path)
    with tifffile.TiffFile(path) as file:
        _check_last_page(file)
        described = ome_images(file.ome_metadata) if file.is_ome and file.ome_metadata else []
        series = list(file.series)
        alike = {(one.axes, one.shape, one.dtype) for one in series}
        untied = len(series) > 1 and len(alike) == 1 and not file.is_ome
        if untied and series[0].axes == "YX":
            yield [_untied(file, series, path)]
            return
        images = described if len(described) == len(series) else [None] * len(series)
        yield [
            _scene(file, one, image, path) for one, image in zip(series, images, strict=True)
        ]


def read_page(page: Any, path: Path) -> np.ndarray:
    """Decode one page that lies in its file as a whole.

    Raises:
        InputError: Its compression has no codec here.
        ValueError: Its pixels end beyond the file.
    """
    if page.compression > 1:
        try:
            tifffile.TIFF.DECOMPRESSORS[page.compression]
        except KeyError as error:
            name = getattr(page.compression, "name", page.compression)
            raise InputError(
                f"{path} is compressed with {name}, which needs a codec that is not here; "
                "pip install --upgrade imagecodecs, or save the file with LZW or without "
                "compression"
            ) from error
    handle = page.parent.filehandle
    if handle.closed:  # another file of a set of OME-TIFFs
        handle.open()
        try:
            return read_page(page, path)
        finally:
            handle.close()
    size = handle.size
    if any(a + n > size for a, n in zip(page.dataoffsets, page.databytecounts, strict=False)):
        raise ValueError(
            f"the pixels of page {page.index + 1} end beyond the file's {size} bytes"
        )
    if not sum(page.databytecounts):
        raise ValueError(f"page {page.index + 1} has no pixels")
    return page.asarray()


def _check_last_page(file: tifffile.TiffFile) -> None:
    size = file.filehandle.size
    last = file.pages[len(file.pages) - 1]
    if any(a + n > size for a, n in zip(last.dataoffsets, last.databytecounts, strict=False)):
        raise ValueError(f"the pixels of page {len(file.pages)} end beyond the file's {size} bytes")


def _untied(file: tifffile.TiffFile, series: list[Any], path: Path) -> Scene:
    def read(index: Mapping[str, int]) -> np.ndarray:
        return read_page(series[index["I"]].keyframe, path)

    first = series[0]
    return Scene(
        "", {"I": len(series)}, first.shape, first.dtype, read,
        pixel_size_um=_pixel_size_um(file), acquired=_acquired(file),
    )


def _scene(
    file: tifffile.TiffFile, series: Any, image: OmeImage | None, path: Path
) -> Scene:
    letters = series.axes
    if "Y" not in letters or "X" not in letters:
        raise InputError(f"{path} has the axes {letters}, expected Y and X among them")
    lengths = dict(zip(letters, series.shape, strict=True))
    axes = {letter: length for letter, length in lengths.items() if letter not in "YXS"}
    samples = lengths.get("S", 1)
    names = image.channels if image else ()
    if len(names) != axes.get("C", 1):
        names = ()
    read = _plane_reader(file, series, path)
    return Scene(
        image.name if image else str(series.name or ""), axes, (lengths["Y"], lengths["X"]),
        series.dtype, read, samples, names,
        image.pixel_size_um if image else _pixel_size_um(file),
        image.acquired if image else _acquired(file),
        image.position_um if image else None,
    )


def _plane_reader(
    file: tifffile.TiffFile, series: Any, path: Path
) -> Callable[[Mapping[str, int]], np.ndarray]:
    """Return a function that reads (Y, X[, S]) at an index of the other axes."""
    letters, shape = series.axes, series.shape
    lead = next(
        (n for n in range(len(shape)) if math.prod(shape[:n]) == len(series)), None
    )
    in_page = letters[lead:] if lead is not None else ""
    mapped = series.dataoffset is not None and not series.is_multifile
    if mapped:
        size = file.filehandle.size
        if series.dataoffset + series.nbytes > size:
            raise ValueError(f"the pixels end beyond the file's {size} bytes")
        whole = np.memmap(
            path, series.dtype.newbyteorder(file.byteorder), "r", series.dataoffset, shape
        )
        lead = 0
        in_page = letters
    elif not ({"Y", "X"} <= set(in_page) and series.keyframe.size == math.prod(shape[lead:])):
        raise ValueError(f"its pages do not make up the axes {letters}")

    def read(index: Mapping[str, int]) -> np.ndarray:
        if mapped:
            page: np.ndarray = whole
        else:
            place = [index[letter] for letter in letters[:lead]]
            number = int(np.ravel_multi_index(place, shape[:lead])) if place else 0
            found = series[number]
            if found is None:
                raise ValueError(
                    f"plane {number + 1} is missing; it may be in another file of the same "
                    "OME-TIFF, which must lie beside this one"
                )
            page = read_page(found, path).reshape(shape[lead:])
        plane = page[tuple(slice(None) if axis in "YXS" else index[axis] for axis in in_page)]
        kept = [axis for axis in in_page if axis in "YXS"]
        plane = np.transpose(plane, [kept.index(axis) for axis in "YXS" if axis in kept])
        if "S" in kept and plane.shape[2] == 1:
            plane = plane[..., 0]
        return np.array(plane, series.dtype.newbyteorder("="))

    return read


def _acquired(file: tifffile.TiffFile) -> Any:
    tag = file.pages[0].tags.get("DateTime")
    text = str(tag.value) if tag is not None else ""
    return moment(text[:10].replace(":", "-") + text[10:])  # TIFF writes 2024:05:01 12:00:00


def _pixel_size_um(file: tifffile.TiffFile) -> float | None:
    """Return the edge of a square pixel, or None where nothing trustworthy says it."""
    tags = file.pages[0].tags
    unit = 0.0
    believed = math.inf
    if file.is_imagej:
        unit = micrometres(str((file.imagej_metadata or {}).get("unit", "")))
    elif "ResolutionUnit" in tags and int(tags["ResolutionUnit"].value) == 3:
        unit, believed = 1e4, _COARSEST_BELIEVED_UM
    per_unit = [_resolution(tags, f"{axis}Resolution") for axis in "XY"]
    size = square(*(unit / pixels if pixels else 0.0 for pixels in per_unit))
    return size if size is not None and size <= believed else None


def _resolution(tags: Any, name: str) -> float:
    """Return pixels per unit, 0 where the tag is missing or senseless."""
    if name not in tags:
        return 0.0
    above, below = tags[name].value
    return above / below if below else 0.0
