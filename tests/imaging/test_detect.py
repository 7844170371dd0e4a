"""Cells are found where they were drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stemcls.bench.detectreal import read_half, score_half
from stemcls.config.imaging import DetectConfig, SimulateConfig
from stemcls.errors import InputError
from stemcls.imaging.background import subtract_background
from stemcls.imaging.detection.detect import detect
from stemcls.imaging.detection.foreground import wants_contrast
from stemcls.imaging.field import Field
from stemcls.imaging.simulation.simulate import simulate_field
from stemcls.imaging.tuning.matching import match_centers

DATA = Path(__file__).parents[2].parent / "shared/data"


def field_of(*planes: np.ndarray) -> Field:
    return Field(np.stack(planes), Path("field.tif"), tuple(map(str, range(len(planes)))))


def disc(y: float, x: float, radius: float, size: int = 256) -> np.ndarray:
    grid_y, grid_x = np.mgrid[:size, :size]
    return np.clip(radius + 0.5 - np.hypot(grid_y - y, grid_x - x), 0, 1)


@pytest.mark.parametrize("method", ["log", "dog", "doh"])
@pytest.mark.parametrize("radius", [10, 14, 18, 24, 30])
@pytest.mark.parametrize("contrast", [60, -60])
def test_a_drawn_disc_is_found_at_its_centre_with_its_radius(method, radius, contrast):
    plane = (100 + contrast * disc(120.3, 131.6, radius)).astype(np.uint8)
    cells = detect(field_of(plane), DetectConfig(method=method))
    assert len(cells) == 1
    assert np.hypot(*(cells.centers_px[0] - (120.3, 131.6))) < 0.5
    assert cells.radius_px[0] == pytest.approx(radius, rel=0.1)


def test_polarity_leaves_out_cells_of_the_other_kind():
    plane = (100 + 60 * disc(70, 70, 14) - 60 * disc(170, 170, 14)).astype(np.uint8)
    for polarity, at in (("bright", [70]), ("dark", [170]), ("both", [70, 170])):
        cells = detect(field_of(plane), DetectConfig(polarity=polarity))
        assert sorted(np.rint(cells.centers_px[:, 0])) == at


def test_uneven_illumination_does_not_hide_cells():
    rng = np.random.default_rng(0)
    slope = np.linspace(20, 180, 256)[None] * np.ones((256, 1))
    places = [(60, 40), (60, 200), (180, 60), (200, 210)]
    plane = slope + sum(40 * disc(y, x, 13) for y, x in places) + rng.normal(0, 2, (256, 256))
    cells = detect(field_of(plane.astype(np.uint8)), DetectConfig())
    assert match_centers(cells.centers_px, np.array(places), 3).f1 == 1.0


def test_dim_cells_are_found_beside_bright_ones():
    rng = np.random.default_rng(1)
    plane = 20 + 200 * disc(60, 60, 15) + 14 * disc(180, 180, 15) + rng.normal(0, 2, (256, 256))
    cells = detect(field_of(plane.astype(np.uint8)), DetectConfig())
    assert match_centers(cells.centers_px, np.array([(60, 60), (180, 180)]), 4).f1 == 1.0


def test_a_ring_is_one_cell():
    plane = (120 - 50 * (disc(128, 128, 20) - 0.9 * disc(128, 128, 11))).astype(np.uint8)
    cells = detect(field_of(plane), DetectConfig())
    assert len(cells) == 1
    assert np.abs(cells.centers_px[0] - 128).max() < 1


def test_touching_cells_are_two():
    plane = (100 + 60 * np.maximum(disc(128, 112, 15), disc(128, 142, 15))).astype(np.uint8)
    cells = detect(field_of(plane), DetectConfig())
    assert match_centers(cells.centers_px, np.array([(128, 112), (128, 142)]), 3).f1 == 1.0


def test_a_cell_cut_by_the_edge_is_dropped_unless_asked_for():
    plane = (100 + 60 * (disc(128, 128, 15) + disc(128, 4, 15))).astype(np.uint8)
    assert len(detect(field_of(plane), DetectConfig())) == 1
    assert len(detect(field_of(plane), DetectConfig(edge_radii=0.0))) == 2
    assert len(detect(field_of(plane), DetectConfig(edge_radii=0.0, border_px=20))) == 1


def test_debris_far_smaller_than_the_cells_is_dropped():
    plane = (100 + 60 * (disc(128, 128, 24) + disc(50, 50, 9))).astype(np.uint8)
    cells = detect(field_of(plane), DetectConfig(min_sigma=5, max_sigma=25))
    assert len(cells) == 1
    assert cells.rejected == {"too small: debris": 1}
    both = DetectConfig(min_sigma=5, max_sigma=25, min_relative_radius=0.0)
    assert len(detect(field_of(plane), both)) == 2


def test_a_blank_field_and_pure_noise_hold_no_cells():
    noise = np.random.default_rng(2).normal(100, 5, (256, 256)).astype(np.uint8)
    for plane in (np.full((256, 256), 7, np.uint8), noise):
        cells = detect(field_of(plane), DetectConfig())
        assert cells.centers_px.shape == (0, 2)
        assert len(cells) == len(cells.radius_px) == len(cells.score) == 0


def test_cells_come_best_first_and_identically_every_time():
    config = SimulateConfig(size_px=256, cells=10, modality="fluorescence", slices=1)
    pixels, _ = simulate_field(config, 0, 0)
    first, second = (detect(field_of(*pixels), DetectConfig()) for _ in range(2))
    assert (np.diff(first.score) <= 0).all()
    assert np.array_equal(first.centers_px, second.centers_px)


@pytest.mark.parametrize("modality", ["dic", "phase", "brightfield", "fluorescence"])
@pytest.mark.parametrize("slices", [1, 3])
def test_simulated_cells_of_every_modality_are_found_with_the_defaults(modality, slices):
    config = SimulateConfig(modality=modality, slices=slices)
    hits = cells = found = 0
    for index in range(3):
        pixels, truth = simulate_field(config, index, 0)
        matching = match_centers(
            detect(field_of(*pixels), DetectConfig()).centers_px, truth.centers_px, 8
        )
        hits += len(matching.pairs)
        found += matching.n_found
        cells += len(truth)
    assert 2 * hits / (found + cells) > 0.85


def test_relief_is_told_from_intensity():
    bump = cv2.GaussianBlur(disc(128, 128, 8).astype(np.float32), (0, 0), 2)
    assert wants_contrast(2000 * np.gradient(bump, axis=1), 5.0)
    assert not wants_contrast(100 * bump, 2.5)


def test_background_is_found_where_cells_cover_most_of_the_field():
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.normal(0, 60, (256, 256)).astype(np.float32), (0, 0), 1)
    covered = np.zeros((256, 256), np.float32)
    for y in range(20, 256, 43):
        for x in range(20, 256, 43):
            covered = np.maximum(covered, disc(y, x, 18.5).astype(np.float32))
    assert covered.mean() > 0.5
    plane = 100 + covered * (50 + 2 * texture) + rng.normal(0, 1, (256, 256)).astype(np.float32)
    signed, noise = subtract_background(plane.astype(np.float32))
    assert abs(np.median(signed[covered == 0])) < 1
    assert noise == pytest.approx(1, rel=0.3)


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(InputError, match="no detector 'lug'; did you mean 'log'"):
        detect(field_of(np.zeros((64, 64), np.uint8)), DetectConfig(method="lug"))


def test_sigmas_the_wrong_way_round_are_refused():
    with pytest.raises(InputError, match="min_sigma 9 is above max_sigma 4"):
        DetectConfig(min_sigma=9.0, max_sigma=4.0)


def test_nan_pixels_are_refused():
    with pytest.raises(InputError, match="NaN or infinite"):
        detect(field_of(np.full((64, 64), np.nan, np.float32)), DetectConfig())


@pytest.mark.skipif(not DATA.is_dir(), reason="the real fields (shared/data) are absent")
@pytest.mark.parametrize(
    ("name", "least"),
    [("chula", 0.92), ("gowt1", 0.95), ("psc_phase", 0.8), ("dic_hela", 0.7)],
)
def test_real_cells_that_no_choice_has_seen_are_found_with_the_defaults(name, least):
    row = score_half(name, "b", read_half(DATA, name, 1, most=3))
    assert row["ours"] > least
