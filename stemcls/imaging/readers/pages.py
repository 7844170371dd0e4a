"""Decode pages of a TIFF whole or not at all, and lay out what their samples mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stemcls.errors import InputError
from stemcls.imaging.readers.photometric import develop, meaning_of
from stemcls.imaging.readers.scene import NotReadError, upright_shape

_JPEG = 7
_MOST_TILE_BYTES = 2**31


class Pages:
    """What pages like one `page` give: axes, shape and type after their samples are understood.

    Args:
        page: One that all others are like.
        lengths: Of the axes of the series; Y, X and S (samples) among them.
    """

    def __init__(self, page: Any, lengths: Mapping[str, int]) -> None:
        self.page = page
        self.meaning = meaning_of(page)
        # In an LSM and the like, samples are called C already, and are channels.
        self._apart = "S" not in lengths and page.samplesperpixel > 1
        if self._apart and self.meaning.photometric not in (1, 2):
            raise NotReadError("its channels are stored as colours of an unknown kind")
        orientation = self.meaning.orientation
        self.shape = upright_shape((lengths["Y"], lengths["X"]), orientation)
        self.samples = 1 if self._apart else self.meaning.samples
        self.channels = () if self._apart else self.meaning.channels
        self.dtype = self.meaning.dtype
        self.bits = self.meaning.bits
        self.remarks = self.meaning.remarks if not self._apart else ()

    def axes(self, stored: Mapping[str, int]) -> dict[str, int]:
        """Return the axes beside Y and X, with the samples that are channels among them."""
        axes = dict(stored)
        if self.channels:
            axes["C"] = axes.get("C", 1) * len(self.channels)
        return axes

    def read(
        self, index: Mapping[str, int], plane: Callable[[Mapping[str, int]], np.ndarray],
        page: Any = None,
    ) -> np.ndarray:
        """Return the developed plane at an index of `axes`.

        Args:
            plane: Gives the stored (Y, X[, S]) at an index of the stored axes.
            page: Where that comes from, if not from `self.page`.
        """
        if self._apart:
            return plane(index)
        count = len(self.channels)
        if not count:
            return develop(page or self.page, self.meaning, plane(index))
        outer, inner = divmod(index["C"], count)
        made = develop(page or self.page, self.meaning, plane({**index, "C": outer}))
        return made[..., inner]


def read_page(page: Any, path: Path) -> np.ndarray:
    """Decode one page that lies in its file as a whole.

    Raises:
        InputError: Its compression has no codec here.
        ValueError: A tile or strip of it is missing, damaged or beyond the end of the file.
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
    check_segments(page, page.parent.filehandle.size)
    if page.compression == _JPEG:
        _check_jpeg(page)
    return page.asarray()


def check_segments(page: Any, size: int) -> None:
    """Refuse a page of which a tile or strip is missing: tifffile would fill it with zeros.

    Raises:
        ValueError: It is missing, empty, or beyond the `size` bytes of the file.
    """
    number = page.index + 1
    offsets, counts = page.dataoffsets, page.databytecounts
    if not sum(counts):
        raise ValueError(f"page {number} has no pixels")
    if any(a + n > size for a, n in zip(offsets, counts, strict=False)):
        raise ValueError(f"the pixels of page {number} end beyond the file's {size} bytes")
    expected = int(np.prod(page.chunked, dtype=np.int64))
    if page.compression == 1 and page.is_contiguous and sum(counts) >= page.nbytes:
        return  # one block, however it is listed
    missing = sum(not a or not n for a, n in zip(offsets, counts, strict=False))
    missing += max(0, expected - min(len(offsets), len(counts)))
    if missing:
        what = "tiles" if page.is_tiled else "strips"
        raise ValueError(f"{missing} of {expected} {what} of page {number} are missing")
    tile = page.keyframe.tilewidth * page.keyframe.tilelength * max(1, page.keyframe.tiledepth)
    if tile * page.keyframe.samplesperpixel * page.dtype.itemsize > _MOST_TILE_BYTES:
        raise ValueError(f"page {number} says that one tile has {tile} pixels")


def _check_jpeg(page: Any) -> None:
    """Decode the JPEGs of a page with a decoder that tells damage; tifffile's goes on."""
    import simplejpeg

    handle = page.parent.filehandle
    tables = page.keyframe.jpegtables
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        handle.seek(offset)
        data = handle.read(count)
        if tables:
            data = tables[:-2] + data[2:]
        colours = simplejpeg.decode_jpeg_header(data)[2]
        simplejpeg.decode_jpeg(data, {"Gray": "GRAY", "CMYK": "CMYK"}.get(colours, "RGB"))
