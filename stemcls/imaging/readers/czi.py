"""Read Zeiss CZI files by Zeiss's own package pylibCZIrw, one plane at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.imaging.readers.scene import Scene, fewer_bits, finite, moment, positive, square

_DTYPES = {
    "Gray8": "u1", "Gray16": "u2", "Gray32Float": "f4", "Bgr24": "u1", "Bgr48": "u2",
    "Bgr96Float": "f4",
}  # fmt: skip
_METRE_UM = 1e6


@contextmanager
def open_czi(path: Path) -> Iterator[Sequence[Scene]]:
    """Open a CZI file; tiles of a mosaic are put together by the package."""
    from pylibCZIrw import czi

    with czi.open_czi(str(path)) as file:
        planes = _planes(file)
        about = _image_metadata(file)
        boxes = dict(file.scenes_bounding_rectangle_no_pyramid)
        whole = [None] if not boxes else sorted(boxes)
        yield [
            _scene(file, number, boxes.get(number, file.total_bounding_rectangle_no_pyramid),
                   planes, about)
            for number in whole
        ]  # fmt: skip


def _scene(
    file: Any, number: int | None, box: Any, planes: set[tuple], about: Mapping[str, Any]
) -> Scene:
    mine = {key[1:] for key in planes if number is None or key[0] in (None, number)}
    starts: dict[str, int] = {}
    axes: dict[str, int] = {}
    for axis, (start, length) in file.total_bounding_box_no_pyramid.items():
        if axis not in "XY":
            # A scene may hold fewer time points or planes than the whole file.
            values = [dict(key).get(axis, 0) for key in mine] or [start]
            starts[axis] = min(values)
            axes[axis] = min(length, max(values) - min(values) + 1)
    # Not file.pixel_types: it walks the whole range of channels, which may be a damaged number.
    kinds = {file.get_channel_pixel_type(c) for c in {dict(key).get("C", 0) for key in mine}}
    kind = next(iter(kinds), "nothing")
    if kind not in _DTYPES or len(kinds) > 1:
        raise ValueError(f"its pixels are {', '.join(sorted(map(str, kinds))) or kind}")
    samples = 3 if kind.startswith("Bgr") else 1
    roi = (box.x, box.y, box.w, box.h)

    def read(index: Mapping[str, int]) -> np.ndarray:
        plane = {axis: starts[axis] + number for axis, number in index.items()}
        # The package gives black for a plane that was never recorded.
        if tuple(sorted(plane.items())) not in mine:
            at = ", ".join(f"{axis}={value}" for axis, value in plane.items())
            raise ValueError(f"there is no plane at {at}; the recording was stopped before it")
        pixels = file.read(roi=roi, plane=plane, scene=number)
        return np.ascontiguousarray(pixels[..., ::-1] if samples == 3 else pixels[..., 0])

    name, position_um = _place(about, number or 0)
    return Scene(
        name, {axis: axes[axis] for axis in "TZC" if axis in axes}
        | {axis: length for axis, length in axes.items() if axis not in "TZC"},
        (box.h, box.w), np.dtype(_DTYPES[kind]), read, samples,
        _channels(about, axes.get("C", 1)), _pixel_size_um(about), _acquired(about), position_um,
        _bits(about, np.dtype(_DTYPES[kind])),
    )  # fmt: skip


def _planes(file: Any) -> set[tuple]:
    """Return (scene, (axis, index)...) of every stored block, without reading pixels."""
    found: set[tuple] = set()
    known = set(file.total_bounding_box_no_pyramid) - {"X", "Y"}

    def note(_: int, block: Any) -> bool:
        place = {str(axis): int(value) for axis, value in block.coordinate.to_dict().items()}
        scene = place.get("S")
        found.add((scene, *sorted((axis, place[axis]) for axis in known if axis in place)))
        return True

    file.enumerate_subblocks(note)
    return found


def _image_metadata(file: Any) -> Mapping[str, Any]:
    """Return Information/Image and Scaling as nested mappings, empty where there are none."""
    metadata = _at(file.metadata, "ImageDocument", "Metadata")
    return {
        "Image": _at(metadata, "Information", "Image"),
        "Distance": _many(_at(metadata, "Scaling", "Items").get("Distance")),
    }


def _channels(about: Mapping[str, Any], count: int) -> tuple[str, ...]:
    channels = _many(_at(about["Image"], "Dimensions", "Channels").get("Channel"))
    names = tuple(str(one.get("@Name") or one.get("Fluor") or "") for one in channels)
    return names if len(names) == count else ()


def _bits(about: Mapping[str, Any], dtype: np.dtype) -> int | None:
    channels = _many(_at(about["Image"], "Dimensions", "Channels").get("Channel"))
    found = {one.get("ComponentBitCount") for one in channels}
    return fewer_bits(found.pop(), dtype) if len(found) == 1 else None


def _pixel_size_um(about: Mapping[str, Any]) -> float | None:
    metres = {one.get("@Id"): positive(one.get("Value")) for one in about["Distance"]}
    return square(metres.get("X", 0.0) * _METRE_UM, metres.get("Y", 0.0) * _METRE_UM)


def _acquired(about: Mapping[str, Any]) -> Any:
    start = _at(about["Image"], "Dimensions", "T").get("StartTime")
    return moment(about["Image"].get("AcquisitionDateAndTime") or start)


def _place(about: Mapping[str, Any], number: int) -> tuple[str, tuple[float, float] | None]:
    """Return name and stage centre (y, x in micrometres) of a scene."""
    for scene in _many(_at(about["Image"], "Dimensions", "S", "Scenes").get("Scene")):
        if str(scene.get("@Index", "0")) == str(number):
            centre = str(scene.get("CenterPosition") or "").split(",")
            x, y = (finite(part) for part in centre) if len(centre) == 2 else (None, None)
            place = (y, x) if x is not None and y is not None else None
            return str(scene.get("@Name") or ""), place
    return "", None


def _at(mapping: Any, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        mapping = mapping.get(key) if isinstance(mapping, Mapping) else None
    return mapping if isinstance(mapping, Mapping) else {}


def _many(value: Any) -> list[Mapping[str, Any]]:
    """Return what xmltodict gives as one mapping or as a list, as a list of mappings."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, Mapping)]
