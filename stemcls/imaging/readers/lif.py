"""Read Leica LIF files by the package liffile, one frame at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.imaging.readers.scene import Scene, fewer_bits, finite, micrometres, positive, square

_METRE_UM = 1e6


@contextmanager
def open_lif(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a LIF file; its images are scenes, and so is each tile of a tile scan.

    An x-z scan is read as it was scanned: its rows, which run along z, are the rows of the
    field, and its third axis, if it has one, is called Z.
    """
    import liffile

    with liffile.LifFile(path, squeeze=False) as file:
        size = path.stat().st_size
        for image in file.images:
            block = image.memory_block
            if block.offset + block.size > size:
                raise ValueError(
                    f"the pixels of {image.name!r} end beyond the file's {size} bytes"
                )
        yield [
            scene
            for image in file.images
            if not image.is_flim and len(image.frames.frame_dims) >= 2
            for scene in _scenes(image)
        ]


def _scenes(image: Any) -> Iterator[Scene]:
    tiles = image.sizes.get("M", 1)
    for tile in range(tiles):
        yield _scene(image, tile if tiles > 1 else None)


def _scene(image: Any, tile: int | None) -> Scene:
    rows, columns = (axis for axis in image.frames.frame_dims if axis != "S")
    sizes = dict(image.sizes)
    samples = sizes.get("S", 1)
    inner = (rows, columns, "S", "M")
    across = {"Y": "Z", "X": "Z"} if rows != "Y" or columns != "X" else {}
    own = {across.get(axis, axis): axis for axis in map(str, sizes) if axis not in inner}
    path = image.path or image.name

    def read(index: Mapping[str, int]) -> np.ndarray:
        place = {own[axis]: number for axis, number in index.items()}
        if "M" in sizes:
            place["M"] = tile or 0
        frame = image.frame(**place)
        return frame[..., 0] if "S" in sizes and samples == 1 else frame

    return Scene(
        path if tile is None else f"{path} tile {tile}",
        {axis: sizes[stored] for axis, stored in own.items()},
        (sizes[rows], sizes[columns]), image.dtype, read, samples,
        _channels(image, sizes.get("C", 1)), _pixel_size_um(image, rows, columns),
        _acquired(image), _position_um(image, tile), _bits(image),
    )  # fmt: skip


def _channels(image: Any, count: int) -> tuple[str, ...]:
    """Return the colours that Leica names its channels by, numbered where two are alike."""
    channels = sorted(
        image.xml_element.findall("./Data/Image/ImageDescription/Channels/ChannelDescription"),
        key=lambda one: int(one.get("BytesInc", "0")),
    )
    names = tuple(one.get("LUTName", "") for one in channels)
    if len(names) != count:
        return ()
    return tuple(
        f"{name} {names[: n + 1].count(name)}" if name and names.count(name) > 1 else name
        for n, name in enumerate(names)
    )


def _bits(image: Any) -> int | None:
    path = "./Data/Image/ImageDescription/Channels/ChannelDescription"
    found = {one.get("Resolution") for one in image.xml_element.findall(path)}
    return fewer_bits(found.pop(), np.dtype(image.dtype)) if len(found) == 1 else None


def _pixel_size_um(image: Any, rows: str, columns: str) -> float | None:
    edges = []
    for label in (rows, columns):
        coordinates = image.coords.get(label, ())
        if len(coordinates) < 2:
            return None
        edges.append(positive(abs(coordinates[-1] - coordinates[0])) / (len(coordinates) - 1))
    units = {
        one.get("Unit")
        for one in image.xml_element.findall(
            "./Data/Image/ImageDescription/Dimensions/DimensionDescription"
        )
        if one.get("DimID") in ("1", "2", "3") and int(one.get("NumberOfElements", "1")) > 1
    }
    scale = micrometres(units.pop()) if len(units) == 1 else 0.0
    return square(edges[1] * scale, edges[0] * scale)


def _acquired(image: Any) -> datetime | None:
    stamps = image.timestamps
    if stamps is None or not len(stamps):
        return None
    milliseconds = int(stamps[0].astype("datetime64[ms]").astype(np.int64))
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else None


def _position_um(image: Any, tile: int | None) -> tuple[float, float] | None:
    """Return stage y and x; tiles have their own, else the stage's setting holds."""
    tiles = image.tilescan
    if tiles is not None and (tile or 0) < len(tiles):
        one = tiles.tiles[tile or 0]
        return float(one["pos_y"]) * _METRE_UM, float(one["pos_x"]) * _METRE_UM
    for setting in image.xml_element.iter():
        if "StagePosX" in setting.attrib and "StagePosY" in setting.attrib:
            y, x = finite(setting.get("StagePosY")), finite(setting.get("StagePosX"))
            if y is not None and x is not None:
                return y * _METRE_UM, x * _METRE_UM
    return None
