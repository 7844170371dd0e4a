"""Turn one source image into crops and what is recorded about them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from stemcls.config.imaging import BuildConfig
from stemcls.errors import InputError
from stemcls.imaging.crops import crop_scale, cut_crops, mean_intensity, resize_whole, share_core
from stemcls.imaging.detection.detect import detect
from stemcls.imaging.field import Field
from stemcls.imaging.prepare import Prepared, prepare
from stemcls.imaging.tuning.matching import match_centers
from stemcls.store.sources import KnownCell, Source

CELL_PX = 64
FIELD_PX = 512
SHARED_CORE = "another cell in the crop's core"
OFF_FIELD = "crop leaves the field"
_SQUEEZED = 0.01  # beyond this difference of the two scales no one pixel size is true


@dataclass(frozen=True, eq=False)
class Harvest:
    """The crops of one image and their columns, as plain values where a journal keeps them.

    Attributes:
        images: (n, H, W, C).
        entry: What the journal records: sha256, shape, pixel sizes, place and time, channels,
            quality, ranges, warnings, n_cells, dropped, and per crop centers_px, radius_px,
            measured_px (the radius that intensity is measured in), labels, groups, intensity.
    """

    images: np.ndarray
    entry: dict[str, Any]

    def without(self, rows: np.ndarray, reason: str) -> Harvest:
        """Return the harvest without some crops, (n,) bool, counted under `reason`."""
        if not rows.any():
            return self
        kept = np.flatnonzero(~rows)
        entry = dict(self.entry)
        gone = np.flatnonzero(rows)
        places = zip(entry["centers_px"], entry["measured_px"], strict=True)
        entry["repeated_px"] = [
            (*center, radius) for row, (center, radius) in enumerate(places) if rows[row]
        ]
        entry["dropped"] = {**entry["dropped"], reason: len(gone)}
        for column in _PER_CROP:
            entry[column] = [entry[column][row] for row in kept]
        return Harvest(self.images[kept], entry)


_PER_CROP = ("centers_px", "radius_px", "measured_px", "labels", "groups", "intensity")


@dataclass(eq=False)
class _Cells:
    centers_px: np.ndarray
    radius_px: np.ndarray
    labels: list[str | None]
    groups: list[str | None]
    n_cells: int
    shared: np.ndarray  # (N,) bool, another cell in the core
    dropped: Counter = field(default_factory=Counter)

    def keep(self, rows: np.ndarray, reason: str) -> None:
        """Keep these rows, and count the others under `reason`."""
        lost = len(self.centers_px) - len(rows)
        if lost:
            self.dropped[reason] += lost
        self.centers_px, self.radius_px = self.centers_px[rows], self.radius_px[rows]
        self.shared = self.shared[rows]
        self.labels = [self.labels[row] for row in rows]
        self.groups = [self.groups[row] for row in rows]


def harvest(source: Source, config: BuildConfig) -> Harvest:
    """Read an image and cut or resize its crops.

    Args:
        source: The image and what is known about it.
        config: How stores are built, resolved: kind is cells, crops or fields, the size of a crop
            is set (crops may keep the image's own), scale_range is there for scale=store.

    Raises:
        InputError: The image cannot be used, and why.
    """
    if source.problem:
        raise InputError(source.problem)
    prepared = prepare(source.place, config)
    image, composite = prepared.field, prepared.composite
    margin_px = 0.0
    scale: float | None
    if config.kind == "cells":
        scale = crop_scale(image, config.crop_um, config.crop_px)
        images, cells, measured_px, intensity = _cut(source, prepared, config, scale)
        margin_px = config.crop_px / scale / 2 if config.edge == "drop" else 0.0
    else:
        images, scale = _whole(prepared.image, config.size_px)
        height, width = image.pixels.shape[1:]
        cells = _Cells(
            np.array([[(height - 1) / 2, (width - 1) / 2]], np.float32),
            np.full(1, np.nan, np.float32), [source.label], [source.group],
            n_cells=1 if config.kind == "crops" else -1, shared=np.zeros(1, bool),
        )
        measured_px = cells.radius_px
        intensity = image.pixels.mean(axis=(1, 2), dtype=np.float64)[None].astype(np.float32)
    size_um = image.pixel_size_um
    return Harvest(
        images,
        {
            "sha256": _sha256(source, image),
            "shape": list(image.pixels.shape),
            "pixel_size_um": size_um,
            "crop_pixel_um": size_um / scale if size_um and scale else None,
            "position_um": image.position_um,
            "margin_px": margin_px,
            "acquired": image.acquired.isoformat() if image.acquired else "",
            "channels": list(image.channels),
            "slices": [image.channels[number] for number in composite.slices],
            "scale_low": composite.ranges[:, 0].tolist(),
            "scale_high": composite.ranges[:, 1].tolist(),
            **asdict(prepared.quality),
            "warnings": list(prepared.warnings),
            "n_cells": cells.n_cells,
            "dropped": dict(cells.dropped),
            "centers_px": cells.centers_px.tolist(),
            "radius_px": cells.radius_px.tolist(),
            "measured_px": measured_px.tolist(),
            "labels": cells.labels,
            "groups": cells.groups,
            "intensity": np.asarray(intensity, np.float32).tolist(),
        },
    )


def _cut(
    source: Source, prepared: Prepared, config: BuildConfig, scale: float
) -> tuple[np.ndarray, _Cells, np.ndarray, np.ndarray]:
    """Return crops (n, H, W, C), their cells, the radii measured in (n,), and intensity (n, K)."""
    image = prepared.field
    if source.cells is None:
        cells = _found(image, config, scale, source)
    elif config.match_px:
        found = _found(image, config, scale, source)
        cells = _matched(source.cells, found, config.match_px, source)
    else:
        cells = _known(source.cells, source)
    cells.keep(np.flatnonzero(~cells.shared), SHARED_CORE)
    y, x = cells.centers_px.T
    height, width = image.pixels.shape[1:]
    inside = (y >= -0.5) & (x >= -0.5) & (y < height - 0.5) & (x < width - 0.5)
    cells.keep(np.flatnonzero(inside), "outside the field")
    images, kept = cut_crops(prepared.image, cells.centers_px, config.crop_px, config.edge, scale)
    cells.keep(kept, OFF_FIELD)
    # A known centre without a radius is measured over the middle half of its crop.
    unknown = np.isnan(cells.radius_px)
    radius_px = np.where(unknown, config.crop_px / scale / 4, cells.radius_px).astype(np.float32)
    return images, cells, radius_px, mean_intensity(image, cells.centers_px, radius_px)


def _found(image: Field, config: BuildConfig, scale: float, source: Source) -> _Cells:
    found = detect(image, config.detect)
    n_cells = len(found)
    centers = np.asarray(found.centers_px, np.float32).reshape(-1, 2)
    return _Cells(
        centers, np.asarray(found.radius_px, np.float32),
        [source.label] * n_cells, [source.group] * n_cells, n_cells,
        share_core(centers, config.crop_px / scale, config.core), Counter(found.rejected),
    )


def _known(known: tuple[KnownCell, ...], source: Source) -> _Cells:
    return _Cells(
        np.array([(cell.y_px, cell.x_px) for cell in known], np.float32).reshape(-1, 2),
        np.array([cell.radius_px for cell in known], np.float32),
        [cell.label or source.label for cell in known],
        [source.group or cell.group for cell in known],
        len(known), np.zeros(len(known), bool),
    )


def _matched(
    known: tuple[KnownCell, ...], found: _Cells, within_px: float, source: Source
) -> _Cells:
    """Keep the found cells that are known ones, with the known label and group."""
    truth = _known(known, source)
    matching = match_centers(found.centers_px, truth.centers_px, within_px)
    pairs = np.asarray(matching.pairs, np.int64).reshape(-1, 2)
    if len(truth.centers_px) > len(pairs):
        found.dropped["known cells not found"] = len(truth.centers_px) - len(pairs)
    found.keep(pairs[:, 0], "found but not known")
    found.labels = [truth.labels[row] for row in pairs[:, 1]]
    found.groups = [truth.groups[row] for row in pairs[:, 1]]
    return found


def _whole(
    pixels: np.ndarray, size_px: tuple[int, int] | None
) -> tuple[np.ndarray, float | None]:
    """Return the image as one crop (1, H, W, C), and crop pixels per pixel of the image.

    The scale is None where the two axes are resized differently.
    """
    height, width = pixels.shape[:2]
    if size_px is None:
        return pixels[None], 1.0
    down, across = size_px[0] / height, size_px[1] / width
    scale = down if abs(down / across - 1) <= _SQUEEZED else None
    return resize_whole(pixels, size_px)[None], scale


def _sha256(source: Source, image: Field) -> str:
    """Return the digest of the file, or of the pixels where it holds more or less than the image.

    A position of a file would else be a copy of all others.
    """
    if source.scene or source.time or source.files:
        about = f"{image.pixels.shape} {image.pixels.dtype}".encode()
        return hashlib.sha256(about + image.pixels.tobytes()).hexdigest()
    with source.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
