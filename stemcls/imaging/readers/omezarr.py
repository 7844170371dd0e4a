"""Read OME-Zarr: images, and the fields of the wells of a plate."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.imaging.readers.scene import (
    NotReadError,
    Scene,
    bits_of_maximum,
    micrometres,
    positive,
    square,
)

_GAPS = "some of its chunks are not stored; what they would hold is read as black"


@contextmanager
def open_zarr(path: Path) -> Iterator[Sequence[Scene]]:
    """Open an OME-Zarr folder (NGFF 0.1 to 0.5); of each pyramid the full size is read.

    The scenes of a plate are its fields, named well and field as in B/03/0. Labels are no scenes.
    """
    import zarr

    root = zarr.open_group(str(path), mode="r")
    about = _about(root)
    if "plate" in about:
        yield list(_plate(root, about["plate"]))
    elif "well" in about:
        yield list(_well(root, ""))
    elif "multiscales" in about:
        yield _images(root, about, "")
    elif about.get("bioformats2raw.layout"):
        series = _at(root, "OME").get("series")
        yield list(_series(root, series if isinstance(series, list) else None))
    else:
        raise ValueError("it says nothing of images (no multiscales, plate or well)")


def _plate(root: Any, plate: Mapping[str, Any]) -> Iterator[Scene]:
    for well in plate.get("wells", ()):
        place = str(well["path"]).strip("/")
        if place not in root:
            raise ValueError(f"the well {place} of the plate is missing")
        yield from _well(root[place], place)


def _well(group: Any, place: str) -> Iterator[Scene]:
    for image in _about(group).get("well", {}).get("images", ()):
        name = str(image["path"]).strip("/")
        field = f"{place}/{name}".strip("/")
        if name not in group:
            raise ValueError(f"the field {field} of the plate is missing")
        yield from _images(group[name], _about(group[name]), field)


def _series(root: Any, names: list[str] | None) -> Iterator[Scene]:
    found = names if names is not None else sorted(
        (name for name in root.group_keys() if name.isdecimal()), key=int
    )  # fmt: skip
    for name in found:
        if name not in root:
            raise ValueError(f"the image {name} is missing")
        yield from _images(root[name], _about(root[name]), name)


def _images(group: Any, about: Mapping[str, Any], field: str) -> list[Scene]:
    """Return the images of a group; a field of a plate is called by its place."""
    images = about.get("multiscales", [])
    return [_scene(group, image, about, field, len(images)) for image in images]


def _scene(
    group: Any, image: Mapping[str, Any], about: Mapping[str, Any], field: str, count: int
) -> Scene:
    level = image["datasets"][0]
    if level["path"] not in group:
        raise ValueError(f"the array {level['path']} of {field or 'the image'} is missing")
    array = group[level["path"]]
    letters, units = _axes(image, len(array.shape))
    lengths = dict(zip(letters, array.shape, strict=True))
    if "Y" not in lengths or "X" not in lengths:
        raise ValueError(f"its axes are {''.join(letters)}, expected Y and X among them")
    missing = _missing_chunks(array)
    axes = {axis: length for axis, length in lengths.items() if axis not in "YX" and length > 1}
    channels = _at(about, "omero").get("channels") or []
    names = tuple(str(one.get("label") or "") for one in channels)
    ends = {_at(one, "window").get("max") for one in channels}
    top = ends.pop() if len(ends) == 1 else None
    bits = None
    if array.dtype.kind == "u" and isinstance(top, int | float) and top == int(top):
        bits = bits_of_maximum(int(top), 8 * array.dtype.itemsize)

    def read(index: Mapping[str, int]) -> np.ndarray:
        place = tuple(slice(None) if axis in "YX" else index.get(axis, 0) for axis in letters)
        _check_blosc(array, place)
        plane = np.asarray(array[place])
        # Writers leave out chunks that are all black, so a whole plane is needed to tell.
        if missing and (plane == array.fill_value).all():
            at = ", ".join(f"{axis}={number}" for axis, number in index.items()) or "Y, X"
            raise NotReadError(f"nothing is stored of the plane at {at}; it was never written")
        return plane if letters.index("Y") < letters.index("X") else plane.T

    own = str(image.get("name") or "")
    return Scene(
        f"{field} {own}".strip() if field and count > 1 else field or own, axes,
        (lengths["Y"], lengths["X"]), np.dtype(array.dtype), read,
        channels=names if len(names) == lengths.get("C", 1) else (),
        pixel_size_um=_pixel_size_um(image, level, letters, units), bits=bits,
        remarks=(_GAPS,) if missing else (),
    )  # fmt: skip


def _axes(image: Mapping[str, Any], count: int) -> tuple[list[str], list[str]]:
    """Return letter and unit of each axis; before NGFF 0.4 axes had no units, or no names."""
    given = image.get("axes") or list("tczyx")[-count:]
    names = [str(one.get("name") if isinstance(one, Mapping) else one) for one in given]
    units = [str(one.get("unit") or "") if isinstance(one, Mapping) else "" for one in given]
    if len(names) != count:
        raise ValueError(f"it names {len(names)} axes, its array has {count}")
    return [name[:1].upper() for name in names], units


def _missing_chunks(array: Any) -> int:
    """Return how many chunks are not stored; shards hold several and are not looked into."""
    if getattr(array, "shards", None) is not None:
        return 0
    return int(array.nchunks - array.nchunks_initialized)


def _check_blosc(array: Any, place: tuple[slice | int, ...]) -> None:
    """Refuse a plane of which a chunk is cut short: Blosc fills what is missing with anything.

    Source: the header of a Blosc chunk has its length in bytes 12 to 15.
    """
    packed = any(type(one).__name__.startswith("Blosc") for one in array.compressors)
    if not packed or getattr(array, "shards", None) is not None:
        return
    ranges = [
        range(-(-length // edge)) if isinstance(at, slice) else (at // edge,)
        for at, length, edge in zip(place, array.shape, array.chunks, strict=True)
    ]
    for number in itertools.product(*ranges):
        path = Path(array.store.root, array.path, array.metadata.encode_chunk_key(number))
        if not path.is_file():
            continue
        with path.open("rb") as file:
            head = file.read(16)
        said = int.from_bytes(head[12:16], "little")
        if len(head) < 16 or path.stat().st_size < said:
            raise ValueError(f"the chunk {path.name} ends before its {said} bytes")


def _pixel_size_um(
    image: Mapping[str, Any], level: Mapping[str, Any], letters: list[str], units: list[str]
) -> float | None:
    """Return the edge of a pixel: the scales of the level and of the image together."""
    edges = {"X": 1.0, "Y": 1.0}
    scales = [
        one["scale"]
        for holder in (level, image) for one in holder.get("coordinateTransformations") or ()
        if one.get("type") == "scale" and isinstance(one.get("scale"), list)
    ]  # fmt: skip
    if not scales:
        return None
    for axis in edges:
        place = letters.index(axis)
        for scale in scales:
            edges[axis] *= positive(scale[place])
        edges[axis] *= micrometres(units[place])
    return square(edges["X"], edges["Y"])


def _about(group: Any) -> Mapping[str, Any]:
    """Return the attributes, which NGFF 0.5 keeps below `ome`."""
    found = dict(group.attrs)
    inner = found.get("ome")
    return inner if isinstance(inner, Mapping) else found


def _at(holder: Any, name: str) -> Mapping[str, Any]:
    """Return a mapping inside a mapping, or the attributes of a group; empty if there is none."""
    if isinstance(holder, Mapping):
        found = holder.get(name)
        return found if isinstance(found, Mapping) else {}
    return _about(holder[name]) if name in holder else {}
