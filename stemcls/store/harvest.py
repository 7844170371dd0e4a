"""Turn one source image into crops and what is recorded about them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.imaging import BuildConfig
from stemcls.errors import InputError
from stemcls.imaging.extract import extract, open_image
from stemcls.imaging.readers.arrays import is_crop_arrays
from stemcls.imaging.tuning.scoring import KnownCells
from stemcls.store.sources import KnownCell, Source

CELL_PX = 64
FIELD_PX = 512


@dataclass(frozen=True, eq=False)
class Harvest:
    """The crops of one image and their columns, as plain values where a journal keeps them.

    Attributes:
        images: (n, H, W, C).
        entry: What the journal records: sha256, shape, pixel sizes, place and time, channels,
            dtype, bits, quality, ranges, warnings as [kind, message], n_cells, dropped, and per
            crop centers_px, radius_px, measured_px (the radius that intensity is measured in),
            at_border, labels, groups, intensity.
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


_PER_CROP = (
    "centers_px", "radius_px", "measured_px", "at_border", "labels", "groups", "intensity",
)


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
    found = extract(open_image(source.place, config), config, places_of(source.cells))
    image, composite = found.prepared.field, found.prepared.composite
    size_um, scale = image.pixel_size_um, found.scale
    pixels_sha256 = hashlib.sha256(np.ascontiguousarray(image.pixels).data).hexdigest()
    known = [source.cells[row] if source.cells and row >= 0 else None for row in found.known]
    # A position of a file, or a crop of a file of crops, would else be a copy of all others.
    apart = source.is_part or is_crop_arrays(source.path)
    return Harvest(
        found.images,
        {
            "sha256": pixels_sha256 if apart else _sha256(source.path),
            "pixels_sha256": pixels_sha256,
            "metadata": dict(source.metadata),
            "shape": list(image.pixels.shape),
            "dtype": image.pixels.dtype.name,
            "bits": image.bits,
            "pixel_size_um": size_um,
            "crop_pixel_um": size_um / scale if size_um and scale else None,
            "position_um": image.position_um,
            "margin_px": found.margin_px,
            "acquired": image.acquired.isoformat() if image.acquired else "",
            "channels": list(image.channels),
            "slices": [image.channels[number] for number in composite.slices],
            "scale_low": composite.ranges[:, 0].tolist(),
            "scale_high": composite.ranges[:, 1].tolist(),
            **asdict(found.prepared.quality),
            "warnings": [[notice.kind, notice.message] for notice in found.notices],
            "n_cells": found.n_cells,
            "dropped": found.dropped,
            "centers_px": found.centers_px.tolist(),
            "radius_px": found.radius_px.tolist(),
            "measured_px": found.measured_px.tolist(),
            "at_border": found.at_border.tolist(),
            "labels": [(cell.label if cell else None) or source.label for cell in known],
            "groups": [source.group or (cell.group if cell else None) for cell in known],
            "intensity": found.intensity.tolist(),
        },
    )


def places_of(cells: tuple[KnownCell, ...] | None) -> KnownCells | None:
    """Return the centres and radii of known cells; None where no table gave any."""
    if cells is None:
        return None
    centers = np.array([(cell.y_px, cell.x_px) for cell in cells], np.float32)
    return KnownCells(
        centers.reshape(-1, 2), np.array([cell.radius_px for cell in cells], np.float32)
    )


def _sha256(path: Path) -> str:
    if path.is_dir():  # an image of many files, as OME-Zarr
        digest = hashlib.sha256()
        for part in sorted(one for one in path.rglob("*") if one.is_file()):
            digest.update(part.relative_to(path).as_posix().encode("utf-8", "surrogateescape"))
            digest.update(bytes.fromhex(_sha256(part)))
        return digest.hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
