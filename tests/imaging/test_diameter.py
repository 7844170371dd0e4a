"""The diameter is estimated when nobody says it, and never guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import DetectConfig, ReadConfig, SimulateConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.detect import detect, with_diameter
from stemcls.imaging.detection.diameter import (
    commonest_diameter,
    estimate_diameter,
    is_settled,
    size_votes,
)
from stemcls.imaging.detection.survey import survey
from stemcls.imaging.detection.windows import rich_windows
from stemcls.imaging.field import Field
from stemcls.imaging.simulation.simulate import simulate_field


def _simulated(**settings) -> np.ndarray:
    pixels, _ = simulate_field(SimulateConfig(slices=1, **settings), 0, 0)
    return pixels


def _noise(size_px: int = 448, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).normal(9000, 300, (1, size_px, size_px))
    return pixels.astype(np.uint16)


def _with_discs(pixels: np.ndarray, centers: list[tuple[int, int]], radius_px: float) -> np.ndarray:
    y, x = np.ogrid[: pixels.shape[1], : pixels.shape[2]]
    drawn = pixels.copy()
    for at_y, at_x in centers:
        drawn[:, np.hypot(y - at_y, x - at_x) < radius_px] += 6000
    return drawn


@pytest.mark.parametrize("radius_px", [6, 12, 25, 40])
@pytest.mark.parametrize("modality", ["dic", "fluorescence"])
def test_simulated_cells_of_any_size_are_measured_within_30_percent(radius_px, modality):
    pixels = _simulated(
        modality=modality, radius_px=radius_px, size_px=max(384, 16 * radius_px), cells=25
    )
    assert estimate_diameter([pixels], DetectConfig()) == pytest.approx(2 * radius_px, rel=0.3)


@pytest.mark.parametrize(("radius_px", "cells"), [(7, 20), (16, 12)])
def test_a_few_cells_in_a_wide_dic_field_are_not_taken_for_blobs_of_a_coarse_map(radius_px, cells):
    pixels = _simulated(modality="dic", radius_px=radius_px, size_px=1024, cells=cells, debris=2)
    assert estimate_diameter([pixels], DetectConfig()) == pytest.approx(2 * radius_px, rel=0.3)


@pytest.mark.parametrize("pixels", [np.full((1, 128, 128), 9, np.uint8), _noise()])
def test_nothing_is_estimated_and_no_cell_invented_where_there_is_none(pixels):
    empty = Field(pixels, Path("empty.tif"), ("grey",))
    assert estimate_diameter([pixels], DetectConfig()) is None
    assert not with_diameter(DetectConfig(), [empty]).diameter_px
    assert len(detect(empty, DetectConfig())) == 0


def test_one_blob_alone_is_a_size_and_two_that_differ_are_none():
    one = _with_discs(_noise(), [(250, 260)], 14)
    assert estimate_diameter([one], DetectConfig()) == pytest.approx(28, rel=0.15)
    with pytest.raises(InputError, match="--diameter-px"):
        estimate_diameter([_with_discs(one, [(100, 100)], 7)], DetectConfig())


def test_fields_with_one_cell_each_settle_the_size_together():
    fields = [_with_discs(_noise(seed=seed), [(200 + 9 * seed, 260)], 14) for seed in range(3)]
    assert estimate_diameter(fields, DetectConfig()) == pytest.approx(28, rel=0.15)


def test_no_size_is_taken_from_empty_fields_for_those_that_nobody_looked_at(tmp_path):
    for number in range(8):
        tifffile.imwrite(tmp_path / f"{number}.tif", _noise(256, number)[0])
    paths = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"6 of 8 field.*--diameter-px"):
        survey(paths, DetectConfig(), ReadConfig())
    few = survey(paths[:2], DetectConfig(), ReadConfig())
    assert few.diameter_px is None
    assert [len(one.cells) for one in few.found] == [0, 0]


def test_what_the_settings_say_is_kept():
    for config in (
        DetectConfig(diameter_px=21.0), DetectConfig(min_sigma=4.0, max_sigma=9.0),
        DetectConfig(modality="raw"), DetectConfig(method="cellpose"),
    ):
        assert with_diameter(config, []) is config


def test_many_faint_small_blobs_do_not_outvote_a_few_full_ones():
    small = np.stack([np.full(400, 3.0), np.full(400, 0.65**10 * 3**0.8), np.full(400, 0.65**10)])
    large = np.stack([np.full(12, 20.0), np.full(12, 20**0.8), np.ones(12)])
    assert commonest_diameter([small, large]) == pytest.approx(40, rel=0.05)


def test_each_cell_votes_once():
    places = [(y, x) for y in (80, 220, 360) for x in (80, 220, 360)]
    radius, _, disc = size_votes(_with_discs(_noise(), places, 14), DetectConfig())
    np.testing.assert_allclose(radius, 14, rtol=0.15)
    assert disc.sum() == pytest.approx(9, abs=0.5)


def test_the_window_with_most_in_it_comes_first_whatever_the_light():
    light = np.linspace(0, 30000, 1000)[None, None]
    places = [(720 + 40 * row, 60 + 40 * column) for row in range(5) for column in range(5)]
    pixels = _with_discs((_noise(1000) + light).astype(np.uint16), places, 8)
    (window, share), *others = rich_windows(pixels, 400, 8.0)
    assert window == (slice(600, 1000), slice(0, 400))
    assert share > 0.9
    assert len(others) == 8


def test_three_fields_that_are_clear_and_say_the_same_settle_it():
    def cells(radius_px: float, number: int) -> np.ndarray:
        radii = np.full(number, radius_px)
        return np.stack([radii, radii**0.8, np.ones(number)])

    alike = [cells(14, 9), cells(15, 8), cells(13.5, 20)]
    assert is_settled(alike)
    assert not is_settled(alike[:2])
    assert not is_settled([*alike[:2], cells(14, 3)])
    assert not is_settled([*alike[:2], cells(25, 9)])
    assert not is_settled([*alike[:2], np.zeros((3, 0))])
