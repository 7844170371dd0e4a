"""A cell that two overlapping fields show is kept once, in the earlier one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemcls.store.harvest import Harvest
from stemcls.store.overlaps import REASON, SeenCells
from stemcls.store.sources import Source

SIZE_UM = 0.5
RADIUS = 10.0
# Twelve cells on the stage, micrometres; a field of 200 px covers 100 um.
CELLS_UM = np.random.default_rng(1).uniform((5, 5), (95, 195), (40, 2))


def entry_of(x_um: float, cells_um: np.ndarray = CELLS_UM, **changes) -> dict:
    centers = (cells_um - (0, x_um)) / SIZE_UM
    inside = ((centers > 0) & (centers < 200)).all(axis=1)
    centers = centers[inside].tolist()
    count = len(centers)
    return {
        "pixel_size_um": SIZE_UM, "position_um": [0.0, x_um], "shape": [1, 200, 200],
        "margin_px": 0.0, "centers_px": centers, "measured_px": [RADIUS] * count,
        "radius_px": [RADIUS] * count, "labels": ["a"] * count, "groups": [None] * count,
        "at_border": [False] * count,
        "intensity": [[0.0]] * count, "dropped": {}, **changes,
    }


def source_of(name: str, group: str | None = None) -> Source:
    return Source(Path(name), name, group=group)


def test_cells_of_the_shared_area_are_known_again_despite_the_stage_s_error():
    seen = SeenCells(1.0)
    seen.add(source_of("a/1.tif"), entry_of(0.0))
    later = entry_of(60.0, CELLS_UM + 1.5)
    again = seen.repeated(source_of("a/2.tif"), later)
    x_um = np.array(later["centers_px"])[:, 1] * SIZE_UM + 60.0
    assert np.array_equal(again, x_um < 101.5)
    assert 0 < again.sum() < len(again)


def test_fields_without_a_place_apart_or_of_another_dish_lose_nothing():
    seen = SeenCells(1.0)
    seen.add(source_of("a/1.tif"), entry_of(0.0))
    assert seen.repeated(source_of("a/2.tif"), entry_of(0.0)).all()
    assert not seen.repeated(source_of("b/2.tif"), entry_of(0.0)).any()
    assert not seen.repeated(source_of("a/2.tif", "donor"), entry_of(0.0)).any()
    assert not seen.repeated(source_of("a/2.tif"), entry_of(0.0, position_um=None)).any()
    assert not seen.repeated(source_of("a/2.tif"), entry_of(0.0, pixel_size_um=None)).any()
    assert not SeenCells(0.0).repeated(source_of("a/2.tif"), entry_of(0.0)).any()


def test_equal_coordinates_with_other_cells_are_another_dish():
    seen = SeenCells(1.0)
    seen.add(source_of("a/1.tif"), entry_of(0.0))
    others = np.random.default_rng(2).uniform((5, 5), (95, 195), (40, 2))
    assert not seen.repeated(source_of("a/2.tif"), entry_of(0.0, others)).any()


def test_fields_that_overlap_by_three_quarters_keep_each_cell_once():
    seen = SeenCells(1.0)
    kept = 0
    for number in range(5):
        entry = entry_of(25.0 * number)
        result = Harvest(np.zeros((len(entry["centers_px"]), 1, 1, 1), np.uint8), entry)
        source = source_of(f"a/{number}.tif")
        rows = seen.repeated(source, entry)
        result = result.without(rows, REASON)
        seen.add(source, result.entry)
        assert len(result.images) == len(result.entry["labels"]) == (~rows).sum()
        assert result.entry["dropped"].get(REASON, 0) == rows.sum()
        kept += len(result.images)
    assert kept == len(CELLS_UM)
