"""Read TIFF files: plain, ImageJ, OME, Zeiss LSM, MetaMorph STK, Aperio SVS, page by page."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stemcls.errors import InputError
from stemcls.imaging.readers.ifds import check_directories
from stemcls.imaging.readers.omeset import ome_scenes
from stemcls.imaging.readers.pages import Pages, check_segments, read_page
from stemcls.imaging.readers.photometric import develop, meaning_of
from stemcls.imaging.readers.scene import NotReadError, Scene
from stemcls.imaging.readers.tiffmeta import About, about_file, check_counts

__all__ = ["open_tiff", "read_page"]

_DNG_VERSION = 50706
_POSITION_AXES = "RPM"  # Micro-Manager's regions, positions and tiles of an LSM


@contextmanager
def open_tiff(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a TIFF file; its series are scenes, pages that nothing ties together are slices.

    Smaller copies of the image (pyramids, thumbnails, a slide's label) are no scenes. The pixel
    size comes from OME-XML, from ImageJ's unit, from the microscope's own tags, or from a
    resolution given per centimetre; a resolution per inch is for printers and is not believed.
    """
    turned = check_directories(path)
    with tifffile.TiffFile(path) as file:
        scenes = ome_scenes(path, file)
        if scenes is None and len(turned) > 1:
            raise NotReadError("its pages are turned differently; save them alike")
        if scenes is None:
            scenes = _plain_scenes(path, file)
        yield scenes


def _plain_scenes(path: Path, file: tifffile.TiffFile) -> list[Scene]:
    if _DNG_VERSION in file.pages.first.tags:
        raise NotReadError("it is the raw file of a camera (DNG); save it as TIFF or PNG")
    last = file.pages[len(file.pages) - 1]
    check_segments(last, file.filehandle.size)
    series = [one for one in file.series if not _is_preview(file, one)] or list(file.series)
    if file.is_lsm or file.is_svs:
        series = series[:1]
    check_counts(file, series)
    about = about_file(file)
    alike = {(one.axes, one.shape, one.dtype) for one in series}
    if len(series) > 1 and len(alike) == 1 and series[0].axes == "YX":
        return [_untied(series, about, path)]
    return [scene for one in series for scene in _scenes(one, about, path)]


def _is_preview(file: tifffile.TiffFile, series: Any) -> bool:
    page = series.keyframe
    return bool(page.is_reduced or page.is_mask) and page.index != file.pages.first.index


def _untied(series: list[Any], about: About, path: Path) -> Scene:
    pages = [one.keyframe for one in series]
    meanings = [meaning_of(page) for page in pages]
    forms = {(one.samples, one.channels, one.dtype, one.orientation) for one in meanings}
    first = meanings[0]
    if len(forms) > 1 or first.samples > 1 or first.channels:
        raise NotReadError("its pages hold grey and colours; save them alike")

    def read(index: Mapping[str, int]) -> np.ndarray:
        number = index["I"]
        return develop(pages[number], meanings[number], read_page(pages[number], path))

    bits = {one.bits for one in meanings}
    remarks = tuple(dict.fromkeys(text for one in meanings for text in one.remarks))
    shape = develop(pages[0], first, np.broadcast_to(np.zeros(1, pages[0].dtype), pages[0].shape))
    return Scene(
        "", {"I": len(series)}, shape.shape[:2], first.dtype, read,
        pixel_size_um=about.pixel_size_um, acquired=about.acquired,
        bits=bits.pop() if len(bits) == 1 else None, remarks=remarks,
    )  # fmt: skip


def _scenes(series: Any, about: About, path: Path) -> list[Scene]:
    """Return the scenes of a series: one, or one for each position in it."""
    letters = series.axes
    if "Y" not in letters or "X" not in letters:
        raise InputError(f"{path} has the axes {letters}, expected Y and X among them")
    lengths = dict(zip(letters, series.shape, strict=True))
    pages = Pages(series.keyframe, lengths)
    stored = {letter: length for letter, length in lengths.items() if letter not in "YXS"}
    names = pages.channels or about.channels
    axes = pages.axes(stored)
    if len(names) != axes.get("C", 1):
        names = ()
    plane = _plane_reader(series, path)

    def read(index: Mapping[str, int]) -> np.ndarray:
        return pages.read(index, plane)

    whole = Scene(
        str(series.name or "") if about.named else "", axes, pages.shape, pages.dtype, read,
        pages.samples, names, about.pixel_size_um, about.acquired, bits=pages.bits,
        remarks=pages.remarks,
    )  # fmt: skip
    return _positions(whole)


def _positions(whole: Scene) -> list[Scene]:
    axis = next((one for one in whole.axes if one in _POSITION_AXES), None)
    if axis is None:
        return [whole]
    rest = {letter: length for letter, length in whole.axes.items() if letter != axis}
    count = whole.axes[axis]

    def at(number: int) -> Callable[[Mapping[str, int]], np.ndarray]:
        return lambda index: whole.read({**index, axis: number})

    made = [
        replace(
            whole, name=f"position {number + 1}" if count > 1 else whole.name, axes=rest,
            read=at(number),
        )
        for number in range(count)
    ]  # fmt: skip
    return [scene for one in made for scene in _positions(one)]


def _plane_reader(series: Any, path: Path) -> Callable[[Mapping[str, int]], np.ndarray]:
    """Return a function that reads the stored (Y, X[, S]) at an index of the other axes."""
    letters, shape = series.axes, series.shape
    lead = next((n for n in range(len(shape)) if math.prod(shape[:n]) == len(series)), None)
    in_page = letters[lead:] if lead is not None else ""
    mapped = series.dataoffset is not None and not series.is_multifile
    if mapped:
        parent = series.keyframe.parent
        place = Path(parent.filehandle.dirname) / parent.filehandle.name
        size = place.stat().st_size
        if series.dataoffset + series.nbytes > size:
            raise ValueError(f"the pixels end beyond the file's {size} bytes")
        whole = np.memmap(
            place, series.dtype.newbyteorder(parent.byteorder), "r", series.dataoffset, shape
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
                raise ValueError(f"plane {number + 1} of {math.prod(shape[:lead])} is missing")
            page = read_page(found, path).reshape(shape[lead:])
        plane = page[tuple(slice(None) if axis in "YXS" else index[axis] for axis in in_page)]
        kept = [axis for axis in in_page if axis in "YXS"]
        plane = np.transpose(plane, [kept.index(axis) for axis in "YXS" if axis in kept])
        return np.array(plane, series.dtype.newbyteorder("="))

    return read
