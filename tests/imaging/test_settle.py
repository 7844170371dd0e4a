"""What a set leaves open is settled once, from its images, and never guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import DetectConfig, ReadConfig, SimulateConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.clues import LEVELS_PX, Clues, gather_clues
from stemcls.imaging.detection.detect import detect
from stemcls.imaging.detection.settle import decide, is_clear, settle, weigh_sizes
from stemcls.imaging.detection.survey import survey
from stemcls.imaging.field import Field
from stemcls.imaging.simulation.simulate import simulate_field

OPEN = DetectConfig()


def _field(pixels: np.ndarray) -> Field:
    return Field(pixels, Path("field.tif"), ("grey",))


def _simulated(**settings) -> Field:
    pixels, _ = simulate_field(SimulateConfig(slices=1, **settings), 0, 0)
    return _field(pixels)


def _noise(size_px: int = 448, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).normal(9000, 300, (1, size_px, size_px))
    return pixels.astype(np.uint16)


def _with_discs(pixels: np.ndarray, centers: list[tuple[int, int]], radius_px: float) -> np.ndarray:
    y, x = np.ogrid[: pixels.shape[1], : pixels.shape[2]]
    drawn = pixels.copy()
    for at_y, at_x in centers:
        drawn[:, np.hypot(y - at_y, x - at_x) < radius_px] += 6000
    return drawn


def _clues(*cells: tuple[float, int], heat: float = 0.9) -> Clues:
    """Return what a field of these (diameter, count) would say, without its pixels."""
    sizes = np.concatenate([np.full(count, size) for size, count in cells])
    grid = np.arange(len(sizes), dtype=float) * 40
    peaks = np.column_stack([grid, grid, sizes, np.full(len(sizes), heat), np.ones(len(sizes))])
    return Clues((512, 512), peaks, np.zeros((4, len(LEVELS_PX))), False)


@pytest.mark.parametrize("radius_px", [6, 12, 25, 40])
@pytest.mark.parametrize("modality", ["dic", "fluorescence"])
def test_simulated_cells_of_any_size_are_measured_within_30_percent(radius_px, modality):
    field = _simulated(
        modality=modality, radius_px=radius_px, size_px=max(384, 16 * radius_px), cells=25
    )
    assert settle([field], OPEN).config.diameter_px == pytest.approx(2 * radius_px, rel=0.3)


@pytest.mark.parametrize(("radius_px", "cells"), [(7, 20), (16, 12)])
def test_a_few_cells_in_a_wide_dic_field_are_not_taken_for_parts_of_it(radius_px, cells):
    field = _simulated(modality="dic", radius_px=radius_px, size_px=1024, cells=cells, debris=2)
    assert settle([field], OPEN).config.diameter_px == pytest.approx(2 * radius_px, rel=0.3)


@pytest.mark.parametrize("pixels", [np.full((1, 128, 128), 9, np.uint8), _noise()])
def test_nothing_is_estimated_and_no_cell_invented_where_there_is_none(pixels):
    empty = _field(pixels)
    assert not settle([empty], OPEN).config.diameter_px
    assert len(detect(empty, OPEN)) == 0


def test_fields_with_one_cell_each_settle_the_size_together():
    fields = [
        _field(_with_discs(_noise(seed=seed), [(200 + 9 * seed, 260)], 14)) for seed in range(3)
    ]
    assert settle(fields, OPEN).config.diameter_px == pytest.approx(28, rel=0.15)


def test_no_size_is_taken_from_empty_fields_for_those_that_nobody_looked_at(tmp_path):
    for number in range(8):
        tifffile.imwrite(tmp_path / f"{number}.tif", _noise(256, number)[0])
    paths = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"6 of 8 field.*--diameter-px"):
        survey(paths, OPEN, ReadConfig())
    few = survey(paths[:2], OPEN, ReadConfig())
    assert few.diameter_px is None
    assert [len(one.cells) for one in few.found] == [0, 0]


def test_what_the_settings_say_is_kept():
    for config, method in (
        (DetectConfig(diameter_px=21.0), "net"),
        (DetectConfig(min_sigma=4.0, max_sigma=9.0), "log"),
        (DetectConfig(diameter_px=21.0, mode="exact"), "log"),
        (DetectConfig(modality="raw"), "log"),
        (DetectConfig(method="cellpose"), "cellpose"),
    ):
        settled = settle([], config)
        assert settled.config.method == method
        assert settled.config.diameter_px == config.diameter_px
        assert settled.estimated_from == 0


def test_many_granules_do_not_outvote_the_cells_that_hold_them():
    settled = decide([_clues((10, 300), (80, 8))], OPEN)
    assert settled.config.diameter_px == pytest.approx(80, rel=0.1)


def test_a_few_weak_answers_are_nothing_and_many_are_a_layer_that_cannot_be_told_apart():
    assert not decide([_clues((30, 2), heat=0.5)], OPEN).config.diameter_px
    with pytest.raises(InputError, match=r"layer.*--diameter-px"):
        decide([_clues((30, 60), heat=0.5)], OPEN)


def test_one_sure_cell_is_a_size_and_unsure_ones_are_said_to_be_so():
    assert not decide([_clues((30, 1))], OPEN).notices
    (notice,) = decide([_clues((30, 60), heat=0.59)], OPEN).notices
    assert "surely a single cell" in notice


def test_two_sizes_that_explain_a_set_alike_are_both_named():
    # As the votes go, 90 small cells weigh what a few large ones do.
    settled = decide([_clues((20, 90), (60, 6))], OPEN)
    (notice,) = settled.notices
    assert "--sheet" in notice
    assert "--diameter-px 20" in notice
    assert "--diameter-px 6" in notice
    assert len(settled.hypotheses) == 2


def test_fields_of_two_magnifications_are_told_apart_loudly():
    notices = decide([_clues((20, 60)), _clues((20, 50)), _clues((60, 12))], OPEN).notices
    assert any("magnification" in notice for notice in notices)
    assert not decide([_clues((20, 60)), _clues((22, 50))], OPEN).notices


def test_three_fields_that_are_clear_and_say_the_same_settle_it():
    alike = [_clues((28, 9)), _clues((30, 8)), _clues((27, 20))]
    assert is_clear(alike)
    assert not is_clear(alike[:2])
    assert not is_clear([*alike[:2], _clues((28, 2))])
    assert not is_clear([*alike[:2], _clues((50, 9))])


def test_blank_slices_beside_others_do_not_change_the_size():
    field = _simulated(modality="fluorescence", radius_px=12, size_px=384)
    blank = np.zeros_like(field.pixels)
    both = Field(np.concatenate([field.pixels, blank]), field.path, ("a", "b"))
    one, two = (weigh_sizes([gather_clues(each, OPEN)])[0] for each in (field, both))
    assert one.diameter_px == pytest.approx(two.diameter_px, rel=0.1)
