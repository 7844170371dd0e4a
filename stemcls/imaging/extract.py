"""The one road from an image file to crops: open, find or take known cells, select, cut, measure.

Building, prediction, the served page, detection and its contact sheets all go this way, and differ
only in what they do with the result.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemcls.config.imaging import BuildConfig, DetectConfig
from stemcls.imaging.crops import (
    crop_scale,
    cut_crops,
    fit_whole,
    mean_intensity,
    reaches_over,
    share_core,
)
from stemcls.imaging.detection.detect import detect
from stemcls.imaging.field import Detections, Field
from stemcls.imaging.listing.positions import Position
from stemcls.imaging.prepare import Prepared, prepare
from stemcls.imaging.tuning.matching import match_centers
from stemcls.imaging.tuning.scoring import KnownCells
from stemcls.notices import Notice

SHARED_CORE = "another cell in the crop's core"
OFF_FIELD = "crop leaves the field"
OUTSIDE = "outside the field"
NOT_FOUND = "known cells not found"
NOT_KNOWN = "found but not known"


@dataclass(frozen=True, eq=False)
class Extracted:
    """The crops of one image and their columns.

    Attributes:
        prepared: The image that they were cut from.
        images: (n, H, W, C).
        centers_px: (n, 2) float32 y, x.
        radius_px: (n,) float32, NaN where not known and for whole images.
        measured_px: (n,) float32, the radius that intensity was measured in; NaN: whole images.
        intensity: (n, K) float32, mean raw value of every channel of the file.
        at_border: (n,) bool, the crop reaches over the field's edge and was filled by reflection.
        score: (n,) float32, how sure the detector is; NaN where no cell was looked for.
        known: (n,) int64, row of the known cell that a crop shows; -1: none.
        n_cells: Cells found or known in the field, kept or not; -1: whole fields.
        dropped: Why cells were left out, and how many for each reason.
        scale: Crop pixels per pixel of the image; None where the axes differ.
        margin_px: Width of the rim of the image in which no crop can be centred.
        notices: What is odd, the same words for every image with the same problem.
    """

    prepared: Prepared
    images: np.ndarray
    centers_px: np.ndarray
    radius_px: np.ndarray
    measured_px: np.ndarray
    intensity: np.ndarray
    at_border: np.ndarray
    score: np.ndarray
    known: np.ndarray
    n_cells: int
    dropped: dict[str, int]
    scale: float | None
    margin_px: float
    notices: tuple[Notice, ...]


@dataclass(eq=False)
class _Cells:
    centers_px: np.ndarray
    radius_px: np.ndarray
    score: np.ndarray
    known: np.ndarray
    dropped: Counter[str]

    def keep(self, rows: np.ndarray, reason: str) -> None:
        """Keep these rows, and count the others under `reason`."""
        lost = len(self.centers_px) - len(rows)
        if lost:
            self.dropped[reason] += lost
        self.centers_px, self.radius_px = self.centers_px[rows], self.radius_px[rows]
        self.score, self.known = self.score[rows], self.known[rows]


def open_image(path: Path | Position, build: BuildConfig) -> Prepared:
    """Read, judge and compose an image, as every use of it begins.

    Args:
        path: The file, or which position of it.
        build: Settings of the store, with numbers in `scale_range` where it says scale=store.

    Raises:
        InputError: As `prepare`.
    """
    return prepare(path, build)


def find_cells(field: Field, config: DetectConfig) -> Detections:
    """Find the cells of a field that was read by `read_image`."""
    return detect(field, config)


def extract(
    prepared: Prepared, build: BuildConfig, known: KnownCells | None = None
) -> Extracted:
    """Make the crops of an opened image.

    Args:
        prepared: From `open_image` with the same settings.
        build: Resolved settings: kind is cells, crops or fields, the size of a crop is set
            (ready-made crops may keep the image's own).
        known: Cells whose places are known. With `build.match_px` cells are looked for, and only
            those near a known one kept.

    Raises:
        InputError: No crops can be cut from this image, and why.
    """
    if build.kind != "cells":
        return _whole(prepared, build)
    image = prepared.field
    scale = crop_scale(image, build.crop_um, build.crop_px)
    cells, n_cells = _located(image, build, scale, known)
    y, x = cells.centers_px.T
    height, width = image.pixels.shape[1:]
    inside = (y >= -0.5) & (x >= -0.5) & (y < height - 0.5) & (x < width - 0.5)
    cells.keep(np.flatnonzero(inside), OUTSIDE)
    images, kept = cut_crops(prepared.image, cells.centers_px, build.crop_px, build.edge, scale)
    cells.keep(kept, OFF_FIELD)
    # A known centre without a radius is measured over the middle half of its crop.
    unknown = np.isnan(cells.radius_px)
    measured = np.where(unknown, build.crop_px / scale / 4, cells.radius_px).astype(np.float32)
    return Extracted(
        prepared, images, cells.centers_px, cells.radius_px, measured,
        mean_intensity(image, cells.centers_px, measured),
        reaches_over(image.pixels.shape[1:], cells.centers_px, build.crop_px, scale),
        cells.score, cells.known, n_cells, dict(cells.dropped), scale,
        build.crop_px / scale / 2 if build.edge == "drop" else 0.0, prepared.notices,
    )


def _located(
    image: Field, build: BuildConfig, scale: float, known: KnownCells | None
) -> tuple[_Cells, int]:
    """Return the cells to cut, and how many the field holds."""
    if known is not None and not build.match_px:
        count = len(known.centers_px)
        return _Cells(
            known.centers_px, known.radius_px, np.full(count, np.nan, np.float32),
            np.arange(count), Counter(),
        ), count
    found = find_cells(image, build.detect)
    centers = np.asarray(found.centers_px, np.float32).reshape(-1, 2)
    cells = _Cells(
        centers, np.asarray(found.radius_px, np.float32), np.asarray(found.score, np.float32),
        np.full(len(centers), -1), Counter(found.rejected),
    )
    shared = share_core(centers, build.crop_px / scale, build.core)
    if known is not None:
        pairs = match_centers(centers, known.centers_px, build.match_px).pairs
        pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
        if len(known.centers_px) > len(pairs):
            cells.dropped[NOT_FOUND] = len(known.centers_px) - len(pairs)
        cells.keep(pairs[:, 0], NOT_KNOWN)
        cells.known, shared = pairs[:, 1], shared[pairs[:, 0]]
    cells.keep(np.flatnonzero(~shared), SHARED_CORE)
    return cells, len(centers)


def _whole(prepared: Prepared, build: BuildConfig) -> Extracted:
    """Return the image as its only crop."""
    image, pixels = prepared.field, prepared.image
    height, width = pixels.shape[:2]
    scale: float | None = 1.0
    if build.size_px is not None:
        pixels, scale = fit_whole(pixels, build.size_px, build.fit)
    unknown = np.full(1, np.nan, np.float32)
    means = image.pixels.mean(axis=(1, 2), dtype=np.float64)
    return Extracted(
        prepared, pixels[None], np.array([[(height - 1) / 2, (width - 1) / 2]], np.float32),
        unknown, unknown, means[None].astype(np.float32), np.zeros(1, bool), unknown,
        np.full(1, -1), 1 if build.kind == "crops" else -1, {}, scale, 0.0, prepared.notices,
    )

