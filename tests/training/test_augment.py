"""Augmentation: one affine map, the same on every backend, with known answers."""

import numpy as np
import pytest

from stemcls.config.experiment import AugmentConfig
from stemcls.training.augment import affine_maps, augment

NOTHING = AugmentConfig(flip=False, rotate_deg=0.0, shift=0.0, zoom=0.0, brightness=0.0)
CROPS = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3)).astype(np.uint8)


def only(**settings):
    from dataclasses import replace

    return replace(NOTHING, **settings)


def test_nothing_asked_for_changes_nothing():
    assert np.array_equal(augment(CROPS, NOTHING, np.random.default_rng(0)), CROPS)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_type_are_kept(dtype, channels):
    crops = CROPS[..., :channels].astype(dtype)
    changed = augment(crops, AugmentConfig(), np.random.default_rng(0))
    assert (changed.shape, changed.dtype) == (crops.shape, crops.dtype)


def test_flips_are_exact_and_all_four_come_up():
    changed = augment(CROPS, only(flip=True), np.random.default_rng(0))
    seen = set()
    for before, after in zip(CROPS, changed, strict=True):
        options = (before, before[:, ::-1], before[::-1], before[::-1, ::-1])
        matches = [i for i, option in enumerate(options) if np.array_equal(option, after)]
        assert len(matches) == 1
        seen.add(matches[0])
    assert seen == {0, 1, 2, 3}


def test_the_same_seed_gives_the_same_crops():
    first = augment(CROPS, AugmentConfig(), np.random.default_rng([1, 2, 3]))
    again = augment(CROPS, AugmentConfig(), np.random.default_rng([1, 2, 3]))
    other = augment(CROPS, AugmentConfig(), np.random.default_rng([1, 2, 4]))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_maps_turn_about_the_centre_and_stay_in_range():
    config = AugmentConfig(flip=False, rotate_deg=90.0, shift=0.0, zoom=0.2)
    maps = affine_maps(500, (17, 17), config, np.random.default_rng(0))
    centre = np.array([8.0, 8.0, 1.0])
    assert np.allclose(maps @ centre, 8.0)
    scale = np.sqrt(np.linalg.det(maps[:, :, :2]))
    angle = np.rad2deg(np.arctan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert 0.8 <= scale.min() < 0.83
    assert 1.17 < scale.max() <= 1.2
    assert 85 < angle.max() <= 90
    assert -90 <= angle.min() < -85


def test_a_shift_moves_by_at_most_a_tenth_of_each_edge():
    maps = affine_maps(500, (20, 30), only(shift=0.1), np.random.default_rng(0))
    farthest = np.abs(maps[:, :, 2]).max(axis=0)
    assert 2.9 < farthest[0] <= 3.0, "across"
    assert 1.9 < farthest[1] <= 2.0, "down"


def test_crops_that_are_not_square_keep_their_shape_and_flip_exactly():
    crops = CROPS[:, :10]
    flipped = augment(crops, only(flip=True), np.random.default_rng(1))
    for before, after in zip(crops, flipped, strict=True):
        options = (before, before[:, ::-1], before[::-1], before[::-1, ::-1])
        assert any(np.array_equal(option, after) for option in options)
    turned = augment(crops, AugmentConfig(), np.random.default_rng(0))
    assert turned.shape == crops.shape


def test_brightness_scales_by_the_gain_and_saturates_at_white():
    grey = np.full((200, 4, 4, 1), 200, np.uint8)
    levels = augment(grey, only(brightness=0.5), np.random.default_rng(0))[:, 0, 0, 0].astype(int)
    assert levels.min() == pytest.approx(100, abs=5)
    assert levels.max() == 255
