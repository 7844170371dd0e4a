"""Write fields of simulated cells whose place, size, class and donor are known."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stemcls.atomic import check_free, csv_writer, new_folder, write_json
from stemcls.config.imaging import SimulateConfig
from stemcls.config.options import to_mapping
from stemcls.errors import InputError, explained_disk_errors
from stemcls.imaging.crops import mean_intensity
from stemcls.imaging.field import Field
from stemcls.imaging.simulation.cells import class_position, class_recipe, draw_scene
from stemcls.imaging.simulation.optics import Acquisition, expose_slice, slice_names
from stemcls.imaging.simulation.placement import MARGIN, Placement, place_cells, place_debris
from stemcls.progress import Update

_LEAST_RADIUS_PX = 3.0
_LARGEST_RADIUS = 1.2  # of a cell, in mean radii
_DONORS, _FIELDS, _NOISE = range(3)  # streams of randomness that do not depend on each other


def simulate(
    out: Path, config: SimulateConfig, update: Update | None = None
) -> dict[str, Any]:
    """Simulate fields of every class into a new folder, with the truth about every cell.

    Classes differ in how coarse the granules are and where the nucleus lies; their size and
    brightness are the same unless the config asks for an effect. Fields of a class go round the
    donors. The pixels of a field follow from the seed, its class and its number alone, so more
    fields do not change earlier ones.

    Args:
        out: Folder to make: OUT/class-a/class-a-donor-1-01.ome.tif and so on, truth.csv (one row
            a cell), manifest.csv (one row a field) and simulation.json (the resolved config).
        config: Every parameter.
        update: Told (fields done, fields in all, file name).
    Returns: fields (list of path, label, group), cells (how many), truth and manifest (paths).
    Raises:
        InputError: `out` is not empty, or cells of that size do not fit a field of that size.
        StemclsError: The disk is full; nothing is left behind.
    """
    _check_sizes(config)
    check_free(out)
    total = config.classes * config.fields
    listed: list[dict[str, str]] = []
    rows: list[list[Any]] = []
    with explained_disk_errors(out, "nothing was kept; free some space or ask for fewer fields"), \
            new_folder(out) as folder:
        for index in range(config.classes):
            label = class_name(index)
            (folder / label).mkdir()
            for number in range(config.fields):
                group = f"donor-{number % config.groups + 1}"
                name = f"{label}/{label}-{group}-{number + 1:02}.ome.tif"
                pixels, cells = simulate_field(config, index, number)
                field = Field(
                    pixels, folder / name, slice_names(config.modality, config.slices),
                    config.pixel_size_um,
                )
                _write_field(field)
                rows += _truth_rows(field, cells, [name, label, group])
                listed.append({"path": name, "label": label, "group": group})
                if update is not None:
                    update(len(listed), total, Path(name).name)
        intensities = [f"intensity_{channel}" for channel in range(config.slices)]
        header = ["field", "x_px", "y_px", "radius_px", "label", "group", "in_cluster"]
        _write_csv(folder / "truth.csv", [*header, *intensities], rows)
        fields = [[field["path"], field["label"], field["group"]] for field in listed]
        _write_csv(folder / "manifest.csv", ["path", "label", "group"], fields)
        write_json(folder / "simulation.json", to_mapping(config))
    return {
        "fields": [{**field, "path": str(out / field["path"])} for field in listed],
        "cells": len(rows),
        "truth": str(out / "truth.csv"),
        "manifest": str(out / "manifest.csv"),
    }


def simulate_field(
    config: SimulateConfig, index: int, number: int
) -> tuple[np.ndarray, Placement]:
    """Simulate field `number` of class `index`, both counted from 0.

    Returns: (C, Y, X) uint16, and where its cells are.
    """
    rng = _stream(config.seed, _FIELDS, index, number)
    position = class_position(index, config.classes)
    radius_px = config.radius_px * (1.0 + config.size_effect * (position - 0.5))
    cells = place_cells(rng, config.cells, config.clusters, config.size_px, radius_px)
    debris = place_debris(rng, config.debris, cells, config.size_px, radius_px)
    recipe = class_recipe(index, config.classes, config.difficulty)
    scene = draw_scene(rng, cells, debris, recipe, config.size_px, radius_px)
    acquisition = _acquisition(config, index, number % config.groups, rng)
    brightness = 1.0 + config.brightness_effect * (position - 0.5)
    slices = [
        expose_slice(
            _stream(config.seed, _NOISE, index, number, slice_number), scene, slice_number,
            config.modality, config.shear_deg, brightness, acquisition,
        )
        for slice_number in range(1, config.slices + 1)
    ]
    return np.stack(slices), cells


def class_name(index: int) -> str:
    """Return class-a, class-b and so on."""
    return f"class-{string.ascii_lowercase[index]}"


def _stream(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _acquisition(
    config: SimulateConfig, index: int, donor: int, rng: np.random.Generator
) -> Acquisition:
    """Vary the microscope mildly by donor, and by class where a batch effect is asked for."""
    of_donor = _stream(config.seed, _DONORS, donor)
    gain, blur, noise = of_donor.uniform((0.95, 0.85, 0.8), (1.05, 1.2, 1.25))
    direction = rng.uniform(0, 2 * np.pi)
    batch = config.batch_effect * class_position(index, config.classes)
    batch_direction = 2 * np.pi * index / config.classes
    slope_y = config.shading * np.sin(direction) + config.batch_effect * np.sin(batch_direction)
    slope_x = config.shading * np.cos(direction) + config.batch_effect * np.cos(batch_direction)
    return Acquisition(
        gain * (1.0 + batch), 0.5 * batch, (slope_y, slope_x), config.shading,
        config.noise * noise, blur,
    )


def _check_sizes(config: SimulateConfig) -> None:
    ends = [config.radius_px * (1.0 + side * config.size_effect / 2) for side in (-1, 1)]
    if min(ends) < _LEAST_RADIUS_PX:
        raise InputError(
            f"size_effect {config.size_effect:g} makes cells of {min(ends):g} px radius out of "
            f"{config.radius_px:g}; expected {_LEAST_RADIUS_PX:g} or more: lower it"
        )
    if abs(config.brightness_effect) >= 2:
        raise InputError(
            f"brightness_effect {config.brightness_effect:g} makes one class darker than black; "
            "expected a value between -2 and 2"
        )
    needed = 2 * MARGIN * _LARGEST_RADIUS * max(ends) + 2
    if config.cells and needed > config.size_px:
        raise InputError(
            f"cells of {max(ends):g} px radius do not fit a field of {config.size_px} px: they "
            f"need {needed:.0f} px, margins included; raise size_px or lower radius_px"
        )


def _write_field(field: Field) -> None:
    tifffile.imwrite(
        field.path, field.pixels, ome=True, photometric="minisblack",
        metadata={
            "axes": "CYX", "Channel": {"Name": list(field.channels)},
            "PhysicalSizeX": field.pixel_size_um, "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": field.pixel_size_um, "PhysicalSizeYUnit": "µm",
        },
    )


def _truth_rows(field: Field, cells: Placement, names: list[str]) -> Iterator[list[Any]]:
    name, label, group = names
    means = mean_intensity(field, cells.centers_px, cells.radius_px)
    for (y, x), radius, touching, intensities in zip(
        cells.centers_px, cells.radius_px, cells.in_cluster, means, strict=True
    ):
        place = [f"{x:.3f}", f"{y:.3f}", f"{radius:.3f}"]
        levels = [f"{level:.1f}" for level in intensities]
        yield [name, *place, label, group, int(touching), *levels]


def _write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with csv_writer(path) as writer:
        writer.writerow(header)
        writer.writerows(rows)
