"""Turn one source image into crops and what is recorded about them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.imaging import BuildConfig
from stemcls.errors import InputError
from stemcls.imaging.composite import check_content, compose
from stemcls.imaging.crops import cut_crops, mean_intensity, resize_whole
from stemcls.imaging.detect import detect
from stemcls.imaging.field import Field
from stemcls.imaging.matching import match_centers
from stemcls.imaging.readers import read_field
from stemcls.store.sources import KnownCell, Source

CELL_PX = 64
FIELD_PX = 512


@dataclass(frozen=True, eq=False)
class Harvest:
    """The crops of one image and their columns, as plain values where a journal keeps them.

    Attributes:
        images: (n, S, S, C).
        entry: What the journal records: sha256, shape, pixel sizes, channels, n_cells, dropped,
            and per crop centers_px, radius_px, labels, groups, intensity.
    """

    images: np.ndarray
    entry: dict[str, Any]


@dataclass(eq=False)
class _Cells:
    centers_px: np.ndarray
    radius_px: np.ndarray
    labels: list[str | None]
    groups: list[str | None]
    n_cells: int
    dropped: Counter = field(default_factory=Counter)

    def keep(self, rows: np.ndarray, reason: str) -> None:
        """Keep these rows, and count the others under `reason`."""
        lost = len(self.centers_px) - len(rows)
        if lost:
            self.dropped[reason] += lost
        self.centers_px, self.radius_px = self.centers_px[rows], self.radius_px[rows]
        self.labels = [self.labels[row] for row in rows]
        self.groups = [self.groups[row] for row in rows]


def harvest(source: Source, config: BuildConfig, kind: str, crop_px: int) -> Harvest:
    """Read an image and cut or resize its crops.

    Args:
        source: The image and what is known about it.
        config: How stores are built.
        kind: cells, crops or fields.
        crop_px: Edge of a crop; 0 (crops only): the image's own.
    Raises:
        InputError: The image cannot be used, and why.
    """
    if source.problem:
        raise InputError(source.problem)
    image = read_field(source.path)
    check_content(image)
    pixels = compose(image, config.channels, config.scale)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"its pixels are {pixels.dtype}: a store holds 8 or 16 bit; --scale auto converts"
        )
    if kind == "cells":
        images, cells, intensity = _cut(source, image, pixels, config, crop_px)
        scale: float | None = 1.0
    else:
        images, scale = _whole(pixels, crop_px)
        height, width = pixels.shape[:2]
        cells = _Cells(
            np.array([[(height - 1) / 2, (width - 1) / 2]], np.float32),
            np.full(1, np.nan, np.float32), [source.label], [source.group],
            n_cells=1 if kind == "crops" else -1,
        )
        intensity = image.pixels.mean(axis=(1, 2), dtype=np.float64)[None].astype(np.float32)
    size_um = image.pixel_size_um or config.pixel_size_um or None
    return Harvest(
        images,
        {
            "sha256": _sha256(source.path),
            "shape": list(image.pixels.shape),
            "pixel_size_um": size_um,
            "crop_pixel_um": size_um / scale if size_um and scale else None,
            "channels": list(image.channels),
            "brightness": float(image.pixels.max(axis=0).mean(dtype=np.float64)),
            "n_cells": cells.n_cells,
            "dropped": dict(cells.dropped),
            "centers_px": cells.centers_px.tolist(),
            "radius_px": cells.radius_px.tolist(),
            "labels": cells.labels,
            "groups": cells.groups,
            "intensity": np.asarray(intensity, np.float32).tolist(),
        },
    )


def _cut(
    source: Source, image: Field, pixels: np.ndarray, config: BuildConfig, crop_px: int
) -> tuple[np.ndarray, _Cells, np.ndarray]:
    """Return crops (n, S, S, C), their cells, and intensity (n, K)."""
    if source.cells is None:
        cells = _found(image, config, source)
    elif config.match_px:
        cells = _matched(source.cells, _found(image, config, source), config.match_px, source)
    else:
        cells = _known(source.cells, source)
    y, x = cells.centers_px.T
    height, width = pixels.shape[:2]
    inside = (y >= -0.5) & (x >= -0.5) & (y < height - 0.5) & (x < width - 0.5)
    cells.keep(np.flatnonzero(inside), "outside the field")
    images, kept = cut_crops(pixels, cells.centers_px, crop_px, config.edge)
    cells.keep(np.arange(len(cells.centers_px))[kept], "crop leaves the field")
    # A known centre without a radius is measured over the middle half of its crop.
    radius_px = np.where(np.isnan(cells.radius_px), crop_px / 4, cells.radius_px)
    intensity = mean_intensity(image, cells.centers_px, radius_px.astype(np.float32))
    return images, cells, intensity


def _found(image: Field, config: BuildConfig, source: Source) -> _Cells:
    found = detect(image, config.detect)
    n_cells = len(found)
    return _Cells(
        np.asarray(found.centers_px, np.float32).reshape(-1, 2),
        np.asarray(found.radius_px, np.float32),
        [source.label] * n_cells, [source.group] * n_cells, n_cells,
    )


def _known(known: tuple[KnownCell, ...], source: Source) -> _Cells:
    return _Cells(
        np.array([(cell.y_px, cell.x_px) for cell in known], np.float32).reshape(-1, 2),
        np.array([cell.radius_px for cell in known], np.float32),
        [cell.label or source.label for cell in known],
        [source.group or cell.group for cell in known],
        len(known),
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


def _whole(pixels: np.ndarray, crop_px: int) -> tuple[np.ndarray, float | None]:
    """Return the image as one crop (1, S, S, C), and crop pixels per pixel of the image.

    The scale is None where the two axes are resized differently.
    """
    height, width = pixels.shape[:2]
    if not crop_px:
        if height != width:
            raise InputError(
                f"it is {height}x{width}: crops must be square; --crop-px N resizes every image "
                "to N x N"
            )
        return pixels[None], 1.0
    scale = crop_px / height if abs(height - width) <= 0.01 * height else None
    return resize_whole(pixels, crop_px)[None], scale


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
