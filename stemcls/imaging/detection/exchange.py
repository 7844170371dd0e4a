"""Write circles of cells, and read outlines, in the formats of ImageJ, QuPath and label images."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.atomic import replacing, write_json
from stemcls.errors import InputError
from stemcls.imaging.field import Detections

_CORNERS = 48  # of a circle that is written as a polygon
_ENDINGS = {".tif", ".tiff", ".zip", ".roi", ".geojson", ".json"}


@dataclass(frozen=True)
class Circle:
    """A cell as a circle of equal area; pixel centres are whole numbers; NaN: radius not told."""

    y_px: float
    x_px: float
    radius_px: float
    label: str = ""


def circles_of(cells: Detections) -> list[Circle]:
    """Return the circles of found cells, best first."""
    return [
        Circle(float(y), float(x), float(radius))
        for (y, x), radius in zip(cells.centers_px, cells.radius_px, strict=True)
    ]


def write_imagej(path: Path, circles: list[Circle], shape: tuple[int, int]) -> None:  # noqa: ARG001
    """Write a zip of oval regions, to a fraction of a pixel, for ImageJ's ROI manager."""
    from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi, roiwrite

    regions = []
    for number, one in enumerate(circles, 1):
        # ImageJ counts from the corner of the first pixel.
        top, left = one.y_px + 0.5 - one.radius_px, one.x_px + 0.5 - one.radius_px
        edge = 2 * one.radius_px
        region = ImagejRoi(
            roitype=ROI_TYPE.OVAL, top=math.floor(top), left=math.floor(left),
            bottom=math.ceil(top + edge), right=math.ceil(left + edge),
            name=f"{number:04d}" + (f"-{one.label}" if one.label else ""),
            options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION,
        )
        region.xd, region.yd, region.widthd, region.heightd = left, top, edge, edge
        regions.append(region)
    with replacing(path) as temporary:
        whole = temporary.with_name(f"{temporary.name}.zip")
        try:
            roiwrite(whole, regions, mode="w")
            whole.replace(temporary)
        finally:
            whole.unlink(missing_ok=True)


def write_qupath(path: Path, circles: list[Circle], shape: tuple[int, int]) -> None:  # noqa: ARG001
    """Write a GeoJSON collection of polygons that QuPath opens as annotations."""
    angle = np.linspace(0, 2 * np.pi, _CORNERS + 1)
    # Corners lie outside of the circle, so that the polygon's area is the circle's.
    stretch = math.sqrt(2 * np.pi / (_CORNERS * math.sin(2 * np.pi / _CORNERS)))
    features = []
    for one in circles:
        reach = one.radius_px * stretch
        ring = np.stack([one.x_px + 0.5 + reach * np.cos(angle),
                         one.y_px + 0.5 + reach * np.sin(angle)], axis=1)  # fmt: skip
        ring[-1] = ring[0]
        properties: dict[str, Any] = {"objectType": "annotation"}
        if one.label:
            properties["classification"] = {"name": one.label}
        features.append({
            "type": "Feature", "properties": properties,
            "geometry": {"type": "Polygon", "coordinates": [ring.round(3).tolist()]},
        })
    write_json(path, {"type": "FeatureCollection", "features": features})


def write_labels(path: Path, circles: list[Circle], shape: tuple[int, int]) -> None:
    """Write a TIFF whose pixels hold the number of their cell, from 1, and 0 elsewhere.

    A pixel of two circles is that of the one whose centre is nearer, in radii.
    """
    import tifffile

    owner = np.zeros(shape, np.uint16 if len(circles) < 2**16 else np.uint32)
    nearest = np.full(shape, np.inf, np.float32)
    for number, one in enumerate(circles, 1):
        low = [max(0, math.floor(at - one.radius_px)) for at in (one.y_px, one.x_px)]
        high = [
            min(edge, math.ceil(at + one.radius_px) + 1)
            for at, edge in zip((one.y_px, one.x_px), shape, strict=True)
        ]
        there = np.s_[low[0] : high[0], low[1] : high[1]]
        y, x = np.ogrid[there]
        far = np.hypot(y - one.y_px, x - one.x_px) / one.radius_px
        mine = (far <= 1) & (far < nearest[there])
        owner[there][mine] = number
        nearest[there][mine] = far[mine]
    with replacing(path) as temporary:
        tifffile.imwrite(temporary, owner, compression="zlib")


WRITERS: dict[str, tuple[str, Callable[[Path, list[Circle], tuple[int, int]], None]]] = {
    "imagej": (".zip", write_imagej),
    "qupath": (".geojson", write_qupath),
    "labels": (".labels.tif", write_labels),
}


def is_circles(path: Path) -> bool:
    """Tell whether the path is a folder, or a file of a format that `read_circles` reads."""
    return path.is_dir() or path.suffix.lower() in _ENDINGS


def read_circles(path: Path) -> Iterator[tuple[str, Circle]]:
    """Yield the field and the circle of every outline of a file, or of the files of a folder.

    The field is the file's name without the ending: NAME.zip, NAME.geojson, NAME.labels.tif; in a
    folder, its path below it.

    Args:
        path: ImageJ's .zip or .roi, QuPath's .geojson, a label image, or a folder of them.

    Raises:
        InputError: There is no such file, or it holds something else.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; expected a table or outlines of cells")
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _ENDINGS)
        if not files:
            raise InputError(
                f"{path} holds no outlines of cells; expected files that end in "
                f"{', '.join(sorted(_ENDINGS))}"
            )
        for file in files:
            above = file.parent.relative_to(path)
            for field, circle in read_circles(file):
                yield (above / field).as_posix(), circle
        return
    suffix = path.suffix.lower()
    read = _of_imagej if suffix in (".zip", ".roi") else (
        _of_labels if suffix in (".tif", ".tiff") else _of_qupath
    )
    field = path.name[: -len(path.suffix)]
    field = field.removesuffix(".labels") if suffix in (".tif", ".tiff") else field
    for circle in read(path):
        yield field, circle


def _of_imagej(path: Path) -> Iterator[Circle]:
    import struct
    import zipfile

    from roifile import ROI_TYPE, roiread

    try:
        regions = roiread(path)
    except (ValueError, OSError, struct.error, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no file of ImageJ's regions: {error}") from error
    for region in regions if isinstance(regions, list) else [regions]:
        label = region.name.partition("-")[2] if region.name[:4].isdigit() else ""
        if region.roitype == ROI_TYPE.OVAL or region.roitype == ROI_TYPE.RECT:
            width, height = region.right - region.left, region.bottom - region.top
            top, left = region.top, region.left
            if region.subpixelresolution and region.widthd:
                top, left, width, height = region.yd, region.xd, region.widthd, region.heightd
            share = np.pi / 4 if region.roitype == ROI_TYPE.OVAL else 1.0
            radius = math.sqrt(max(0.0, width * height * share) / np.pi)
            yield Circle(top + height / 2 - 0.5, left + width / 2 - 0.5, radius, label)
            continue
        corners = np.asarray(region.coordinates(), float)[:, ::-1]
        if region.roitype == ROI_TYPE.POINT:
            for y, x in corners:
                yield Circle(float(y), float(x), math.nan, label)
        elif len(corners) >= 3:
            yield _circle_of(corners - 0.5, label)


def _of_qupath(path: Path) -> Iterator[Circle]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        features = document if isinstance(document, list) else document.get(
            "features", [document]
        )
        for feature in features:
            kind = (feature.get("properties") or {}).get("classification") or {}
            label = str(kind.get("name", "")) if isinstance(kind, dict) else str(kind)
            shape = feature["geometry"]
            if shape["type"] == "Point":
                x, y = shape["coordinates"][:2]
                yield Circle(y - 0.5, x - 0.5, math.nan, label)
                continue
            rings = {
                "Polygon": lambda: [shape["coordinates"][0]],  # noqa: B023
                "MultiPolygon": lambda: [part[0] for part in shape["coordinates"]],  # noqa: B023
            }[shape["type"]]()
            largest = max(rings, key=lambda ring: _area_and_center(np.array(ring))[0])
            yield _circle_of(np.array(largest, float)[:, 1::-1] - 0.5, label)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no GeoJSON of outlines, as QuPath exports them: {error!r}"
        ) from error


def _of_labels(path: Path) -> Iterator[Circle]:
    import tifffile
    from skimage.measure import regionprops

    try:
        labels = tifffile.imread(path)
    except (tifffile.TiffFileError, OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if labels.ndim != 2 or labels.dtype.kind not in "ui":
        raise InputError(
            f"{path}: expected a label image, one plane of whole numbers, not "
            f"{labels.dtype} of shape {labels.shape}"
        )
    for region in regionprops(labels):
        y, x = region.centroid
        yield Circle(float(y), float(x), math.sqrt(region.area / np.pi))


def _circle_of(corners: np.ndarray, label: str) -> Circle:
    area, (y, x) = _area_and_center(corners)
    return Circle(y, x, math.sqrt(area / np.pi), label)


def _area_and_center(corners: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return the area of a polygon, (N, 2), and its centre, in the order of its columns."""
    middle = corners.mean(axis=0)
    here = corners - middle
    after = np.roll(here, -1, axis=0)
    cross = here[:, 0] * after[:, 1] - after[:, 0] * here[:, 1]
    area = float(cross.sum()) / 2
    if abs(area) < 1e-9:
        return 0.0, (float(middle[0]), float(middle[1]))
    center = middle + ((here + after) * cross[:, None]).sum(axis=0) / (6 * area)
    return abs(area), (float(center[0]), float(center[1]))
