"""Read Nikon ND2 files by the package nd2, one frame at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.imaging.readers.quiet import no_warnings
from stemcls.imaging.readers.scene import Scene, fewer_bits, finite, positive, square

_MODERN = b"\xda\xce\xbe\n"
_MAP_AT_END = struct.Struct("<32sQ")
_MAP_SIGNATURE = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_CHUNK_HEADER = struct.Struct("<IIQ")
_PLACE = struct.Struct("<QQ")
_IMAGE = b"ImageDataSeq|"
_JULIAN_UNIX_EPOCH = 2440587.5


@contextmanager
def open_nd2(path: Path) -> Iterator[Sequence[Scene]]:
    """Open an ND2 file; the points of a position loop are scenes."""
    import nd2

    with nd2.ND2File(path) as file:
        with no_warnings():
            sizes = dict(file.sizes)
            starts = _frame_starts(path) if _is_modern(path) else None
            points = _points(file)
            scenes = [
                _scene(file, sizes, number, name, position_um, starts)
                for number, (name, position_um) in enumerate(points)
            ]
        yield scenes


def _scene(
    file: Any, sizes: Mapping[str, int], position: int, name: str,
    position_um: tuple[float, float] | None, starts: dict[int, int] | None,
) -> Scene:  # fmt: skip
    about = file.attributes
    loops = {axis: length for axis, length in sizes.items() if axis not in "CYXS"}
    colours = about.channelCount or 1
    components = about.componentCount // colours
    samples = 3 if components == 3 else 1
    axes = {axis: length for axis, length in loops.items() if axis != "P"}
    if sizes.get("C", 1) > 1:
        axes["C"] = sizes["C"]
    shape = (about.heightPx, about.widthPx)

    def frame_number(index: Mapping[str, int]) -> int:
        place = [position if axis == "P" else index.get(axis, 0) for axis in loops]
        return int(np.ravel_multi_index(place, tuple(loops.values()))) if place else 0

    def read(index: Mapping[str, int]) -> np.ndarray:
        number = frame_number(index)
        # nd2 gives zeros for a frame that is not there or ends beyond the file.
        if starts is not None and number not in starts:
            raise ValueError(f"frame {number} is not in the file or ends beyond it")
        frame = file.read_frame(number).reshape(colours, *shape, components)
        channel = index.get("C", 0)
        if samples == 3:
            # Nikon stores blue, green, red, and nd2 hands them on as they are.
            return np.ascontiguousarray(frame[channel, ..., ::-1])
        return frame[channel // components, ..., channel % components].copy()

    first = frame_number({})
    acquired, frame_position_um = _first_frame(file, first)
    size = file.voxel_size()
    return Scene(
        name, axes, shape, file.dtype, read, samples, _channels(file, sizes.get("C", 1)),
        _calibrated(file, square(positive(size.x), positive(size.y))),
        acquired, frame_position_um or position_um,
        fewer_bits(about.bitsPerComponentSignificant, np.dtype(file.dtype)),
    )


def _points(file: Any) -> list[tuple[str, tuple[float, float] | None]]:
    """Return name and stage position of each point of the position loop, else one without."""
    for loop in file.experiment:
        if loop.type == "XYPosLoop":
            return [
                (point.name or "", (point.stagePositionUm.y, point.stagePositionUm.x))
                for point in loop.parameters.points[: loop.count]
            ]
    return [("", None)]


def _channels(file: Any, count: int) -> tuple[str, ...]:
    channels = getattr(file.metadata, "channels", None) or []
    names = tuple(one.channel.name or "" for one in channels)
    return names if len(names) == count else ()


def _calibrated(file: Any, size_um: float | None) -> float | None:
    """Return the size, or None where the file says that its pixels were not calibrated."""
    channels = getattr(file.metadata, "channels", None) or []
    volume = channels[0].volume if channels else None
    known = volume is None or bool(volume.axesCalibrated and volume.axesCalibrated[0])
    return size_um if known else None


def _first_frame(
    file: Any, number: int
) -> tuple[datetime | None, tuple[float, float] | None]:
    """Return time (UTC) and stage y, x of a frame, where the file says them."""
    frame = file.frame_metadata(number)
    channels = getattr(frame, "channels", None) or []
    if not channels:
        return None, None
    day = finite(channels[0].time.absoluteJulianDayNumber)
    acquired = None
    if day is not None and day > _JULIAN_UNIX_EPOCH:
        acquired = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day - _JULIAN_UNIX_EPOCH)
    stage = channels[0].position.stagePositionUm
    y, x = finite(stage.y), finite(stage.x)
    return acquired, (y, x) if y is not None and x is not None and (y or x) else None


def _is_modern(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == _MODERN


def _frame_starts(path: Path) -> dict[int, int]:
    """Return frame number -> offset of its chunk, of the frames that lie within the file.

    Source: the chunk map at the end of an ND2 file, names with offset and size, and the header
    of each chunk (magic, length of name, length of data), as the package nd2 reads them.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(size - _MAP_AT_END.size)
        signature, at = _MAP_AT_END.unpack(file.read(_MAP_AT_END.size))
        if signature != _MAP_SIGNATURE or at >= size:
            raise ValueError("the map of its chunks is not at its end")
        file.seek(at)
        _, name_length, length = _CHUNK_HEADER.unpack(file.read(_CHUNK_HEADER.size))
        file.seek(at + _CHUNK_HEADER.size + name_length)
        entries = file.read(min(length, size))
        starts: dict[int, int] = {}
        position = 0
        while (end := entries.find(b"!", position)) >= 0:
            name = entries[position:end]
            if name == _MAP_SIGNATURE[:-1] or end + 1 + _PLACE.size > len(entries):
                break
            start, _ = _PLACE.unpack_from(entries, end + 1)
            position = end + 1 + _PLACE.size
            if name.startswith(_IMAGE) and _lies_within(file, start, size):
                starts[int(name[len(_IMAGE) :])] = start
        return starts


def _lies_within(file: Any, start: int, size: int) -> bool:
    file.seek(start)
    header = file.read(_CHUNK_HEADER.size)
    if len(header) < _CHUNK_HEADER.size:
        return False
    _, name_length, length = _CHUNK_HEADER.unpack(header)
    return bool(start + _CHUNK_HEADER.size + name_length + length <= size)
