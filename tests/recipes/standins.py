"""Simulated data in the layout and of the kind that each recipe expects, but small."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import tifffile

from stemcls.config.imaging import SimulateConfig
from stemcls.config.protocol import LayoutConfig
from stemcls.imaging.simulation.simulate import simulate


def hsc_fields(folder: Path, layout: LayoutConfig) -> None:
    """DATA/CLASS/EXPERIMENT/FIELD.ome.tif: DIC fields with their pixel size."""
    _simulated(folder, layout, _keep, modality="dic", slices=1, fields=5, groups=5)


def composite_fields(folder: Path, layout: LayoutConfig) -> None:
    """DATA/CLASS/FIELD.png: RGB composites of three slices."""
    _simulated(folder, layout, _rgb, modality="dic", slices=3, fields=5, groups=1)


def lines(folder: Path, layout: LayoutConfig) -> None:
    """DATA/CLASS/LINE/IMAGE.png: 8-bit grey phase contrast of four lines a class."""
    _simulated(folder, layout, _grey, modality="phase", slices=1, fields=8, groups=4)


def flow_crops(folder: Path, layout: LayoutConfig) -> None:
    """DATA/CLASS/CELL.tif: crops of four channels, the first brightfield, besides other media."""
    _simulated(
        folder, layout, _cut, modality="brightfield", slices=4, fields=2, groups=1, cells=14,
    )
    shutil.copytree(folder / layout.classes[0], folder / "melatonin")


def _simulated(
    folder: Path, layout: LayoutConfig, write: Callable[[Path, Path, np.ndarray, list], None],
    **settings: object,
) -> None:
    config = SimulateConfig(
        **{"size_px": 220, "cells": 7, "radius_px": 11.0, "debris": 0, "clusters": 0,
           "classes": len(layout.classes), "difficulty": 0.0, **settings}
    )
    raw = folder.with_name(f"{folder.name}-raw")
    document = simulate(raw, config)
    with Path(document["truth"]).open(encoding="utf-8") as file:
        cells = list(csv.DictReader(file))
    for field in document["fields"]:
        path = Path(field["path"])
        label = layout.classes[ord(path.parent.name[-1]) - ord("a")]
        place = folder / label / (field["group"] if settings["groups"] != 1 else "")
        place.mkdir(parents=True, exist_ok=True)
        inside = [cell for cell in cells if raw / cell["field"] == path]
        write(path, place / path.name, tifffile.imread(path), inside)
    shutil.rmtree(raw)


def _keep(path: Path, target: Path, pixels: np.ndarray, cells: list) -> None:
    path.rename(target)


def _rgb(path: Path, target: Path, pixels: np.ndarray, cells: list) -> None:
    cv2.imwrite(str(target.with_name(f"{target.name[:-8]}.png")), _bytes(pixels).transpose(1, 2, 0))


def _grey(path: Path, target: Path, pixels: np.ndarray, cells: list) -> None:
    cv2.imwrite(str(target.with_name(f"{target.name[:-8]}.png")), _bytes(pixels))


def _cut(path: Path, target: Path, pixels: np.ndarray, cells: list) -> None:
    for number, cell in enumerate(cells):
        y, x = (int(float(cell[key])) for key in ("y_px", "x_px"))
        crop = _bytes(pixels)[:, max(y - 20, 0) : y + 20, max(x - 20, 0) : x + 20]
        tifffile.imwrite(
            target.with_name(f"{target.name[:-8]}-{number}.tif"), crop, photometric="minisblack",
            metadata={"axes": "CYX"}, imagej=True,
        )


def _bytes(pixels: np.ndarray) -> np.ndarray:
    low, high = np.percentile(pixels, (0.1, 99.9))
    return (np.clip((pixels - low) / (high - low), 0, 1) * 255).astype(np.uint8)
