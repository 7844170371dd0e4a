"""Simple features and measures of the background see the pixels they are given, and no others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stemcls.probes.background import MEASURES, background_measures, stretches
from stemcls.probes.regions import HALO, find_regions
from stemcls.store.cropstore import CropStore
from stemcls.training.simple import simple_features


@pytest.fixture
def store(foreign_store) -> CropStore:
    """Nine crops of 32 px in three fields, without radii."""
    return foreign_store(np.arange(9) % 2, fields=np.arange(9) // 3, edge=32)


@pytest.mark.parametrize("edge", [40, 150])
def test_pixels_outside_the_mask_have_no_say(edge: int) -> None:
    random = np.random.default_rng(0)
    crops = random.integers(0, 256, (3, edge, edge, 2), np.uint8)
    mask = np.zeros((3, edge, edge), bool)
    mask[:, edge // 4 : edge // 2, edge // 5 : edge // 2] = True
    changed = crops.copy()
    changed[~mask] = random.integers(0, 256, changed[~mask].shape, np.uint8)
    one, other = simple_features(crops, 255, mask), simple_features(changed, 255, mask)
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(one - simple_features(crops, 255)).max() > 0.01


def test_percentiles_slopes_and_correlation_have_their_known_values() -> None:
    ramp = np.broadcast_to(np.linspace(0, 200, 50), (50, 50))
    crop = np.stack([ramp, 255 - ramp], axis=2)[None].astype(np.uint8)
    found = simple_features(crop, 255)[0]
    assert found[4] == pytest.approx(100 / 255, abs=0.01)  # the median of the first channel
    slopes = found[12:16].reshape(2, 2)
    np.testing.assert_allclose(slopes[0], 0, atol=1e-4)
    np.testing.assert_allclose(slopes[1], [100 / 255, -100 / 255], atol=0.02)
    assert found[-1] == pytest.approx(-1, abs=1e-3)
    assert len(found) == len(simple_features(crop, 255, np.zeros((1, 50, 50), bool))[0])


def test_regions_are_discs_of_one_size_and_leave_neighbours_out(store) -> None:
    store.radius_px[:] = np.linspace(3, 4, 9)
    store.centers_px[:] = 1000 * np.arange(9)[:, None]
    store.centers_px[1] = store.centers_px[0] + (0, 12)
    found = find_regions(store, np.arange(9))
    radius = HALO * np.quantile(store.radius_px, 0.95)
    assert found.background[3].sum() == pytest.approx(32**2 - np.pi * radius**2, rel=0.02)
    assert found.cell[3].sum() == found.cell[8].sum()
    assert found.background[3, 16, 28]
    assert not found.background[0, 16, 28]  # there lies the neighbour
    assert found.background[0, 16, 4]
    assert not found.cell[0, 16, 28]


def test_without_radii_the_frame_is_background(store) -> None:
    store.radius_px[:] = np.nan
    found = find_regions(store, np.arange(2))
    assert found.background[0].sum() == 32**2 - 26**2
    assert not (found.background & found.cell).any()
    assert "no radii" in found.how


def test_the_background_is_measured_in_the_units_of_the_camera(store, monkeypatch) -> None:
    random = np.random.default_rng(0)
    raw = random.normal(400, 10, (9, 32, 32, 3)) * (1 + 0.1 * np.linspace(-1, 1, 32))[:, None, None]
    raw[:, 14:18, 14:18] = 4000  # a cell that nobody listed
    low = np.array([100.0, 150.0, 200.0])[:, None].repeat(3, axis=1)
    high = np.array([900.0, 1200.0, 1000.0])[:, None].repeat(3, axis=1)
    field = store.field_index
    scaled = (raw - low[field][:, None, None]) / (high - low)[field][:, None, None] * 255
    crops = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    monkeypatch.setattr(CropStore, "read", lambda self, rows: crops[rows])
    store.fields = dataclasses.replace(store.fields, scale_low=low, scale_high=high)
    found = background_measures(store, np.arange(9), np.ones((9, 32, 32), bool))
    found = found.reshape(9, 3, len(MEASURES))
    np.testing.assert_allclose(found[..., 0] * 1200, 400, atol=6)
    np.testing.assert_allclose(found[..., 2], 0.1, atol=0.02)
    np.testing.assert_allclose(found[..., 3], 0, atol=0.02)
    assert np.ptp(found[..., 1]) < 0.5
    none = background_measures(store, np.arange(9), np.zeros((9, 32, 32), bool))
    assert np.isnan(none).all()


def test_pixels_that_were_not_stretched_stay_as_they_are(store) -> None:
    gain, low = stretches(store)
    assert (gain == 1).all()
    assert (low == 0).all()
