"""The shear of DIC is found, and the thickness rebuilt from the slope."""

from __future__ import annotations

import numpy as np
import pytest

from stemcls.config.imaging import DetectConfig, SimulateConfig
from stemcls.imaging.detection.cellmap import map_cells
from stemcls.imaging.detection.relief import estimate_shear, rebuild_thickness
from stemcls.imaging.simulation.simulate import simulate_field

BUMPS = [(60, 60), (70, 180), (190, 90), (180, 200)]


def thickness(size: int = 256, sigma: float = 9.0) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    bumps = [np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * sigma**2)) for a, b in BUMPS]
    return np.sum(bumps, axis=0).astype(np.float32)


def slope(plane: np.ndarray, angle_deg: float) -> np.ndarray:
    along_y, along_x = np.gradient(plane)
    angle = np.deg2rad(angle_deg)
    return (np.sin(angle) * along_y + np.cos(angle) * along_x).astype(np.float32)


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 135, 170, 250])
def test_the_direction_of_a_slope_is_found_up_to_its_sign(angle_deg):
    shear = estimate_shear(1000 * slope(thickness(), angle_deg))
    assert shear.anisotropy == pytest.approx(0.5, abs=0.1)
    apart = abs(shear.angle_deg - angle_deg % 180)
    assert min(apart, 180 - apart) < 6


def test_round_cells_and_noise_have_no_direction():
    noise = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    assert estimate_shear(100 * thickness()).anisotropy < 0.2
    assert estimate_shear(noise).anisotropy < 0.35
    assert estimate_shear(np.zeros((64, 64), np.float32)).anisotropy == 0


@pytest.mark.parametrize("sign", [1, -1])
def test_bumps_are_rebuilt_bright_whichever_way_the_shear_points(sign):
    rebuilt = rebuild_thickness(sign * slope(thickness(), 40), 40, 30.0)
    for y, x in BUMPS:
        window = rebuilt[y - 15 : y + 16, x - 15 : x + 16]
        top = np.unravel_index(window.argmax(), window.shape)
        assert np.hypot(top[0] - 15, top[1] - 15) < 2
    truth = thickness()
    assert np.corrcoef(rebuilt.ravel(), truth.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("modality", "seen"),
    [("dic", "dic"), ("phase", "intensity"), ("fluorescence", "intensity")],
)
def test_what_a_slice_shows_is_told_from_its_pixels(modality, seen):
    config = SimulateConfig(modality=modality, slices=1, seed=3, shear_deg=77.0)
    pixels, _ = simulate_field(config, 0, 0)
    assert map_cells(pixels, 3.5, 14.0, DetectConfig()).looked_at == (seen,)


def test_a_stain_recorded_beside_dic_is_no_slope_even_where_the_user_says_dic():
    pixels, _ = simulate_field(SimulateConfig(modality="dic", slices=3, shear_deg=20.0), 0, 0)
    cells = map_cells(pixels, 3.5, 14.0, DetectConfig(modality="dic"))
    assert cells.looked_at == ("dic", "dic", "intensity")


def test_a_blank_slice_is_passed_over():
    pixels, _ = simulate_field(SimulateConfig(slices=1), 0, 0)
    two = np.concatenate([pixels, np.full_like(pixels, 7)])
    cells = map_cells(two, 3.5, 14.0, DetectConfig())
    assert cells.looked_at == ("dic", "blank")
    assert np.array_equal(cells.evidence, map_cells(pixels, 3.5, 14.0, DetectConfig()).evidence)
