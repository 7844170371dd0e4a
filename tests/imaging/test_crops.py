"""Crops and measurements come from the right pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.imaging.crops import crop_scale, cut_crops, mean_intensity, share_core
from stemcls.imaging.field import Field

IMAGE = np.arange(40 * 50).reshape(40, 50, 1).astype(np.uint16)


@pytest.mark.parametrize("crop_px", [1, 8, 9])
@pytest.mark.parametrize("edge", ["drop", "reflect"])
def test_a_crop_is_centred_on_its_cell(crop_px, edge):
    crops, kept = cut_crops(IMAGE, np.array([[20.4, 29.6]]), crop_px, edge)
    assert kept.tolist() == [0]
    assert crops.shape == (1, crop_px, crop_px, 1)
    assert crops[0, crop_px // 2, crop_px // 2, 0] == IMAGE[20, 30, 0]


def test_crops_that_leave_the_field_are_dropped():
    centers = np.array([[3, 20], [4, 20], [36, 20], [37, 20], [20, 46], [20, 47]])
    assert cut_crops(IMAGE, centers, 8)[1].tolist() == [1, 2, 4]


def test_reflection_keeps_every_cell_and_mirrors_the_field():
    crops, kept = cut_crops(IMAGE, np.array([[0, 0], [39, 49]]), 8, "reflect")
    assert kept.tolist() == [0, 1]
    assert np.array_equal(crops[0, 5:, 4, 0], crops[0, 3:0:-1, 4, 0])
    assert crops[1, 4, 4, 0] == IMAGE[39, 49, 0]


def test_no_centres_give_no_crops():
    assert cut_crops(IMAGE, np.zeros((0, 2)), 8)[0].shape == (0, 8, 8, 1)


def test_impossible_crops_are_refused():
    with pytest.raises(InputError, match="do not fit a field of 40x50"):
        cut_crops(IMAGE, np.zeros((1, 2)), 64, "reflect")
    with pytest.raises(InputError, match="did you mean 'drop'"):
        cut_crops(IMAGE, np.zeros((1, 2)), 8, "dropp")


def test_intensity_is_the_mean_inside_the_disc_of_every_channel():
    y, x = np.mgrid[:40, :50]
    inside = np.hypot(y - 20, x - 25) <= 6
    pixels = np.stack([np.where(inside, 1000, 0), np.where(inside, 0, 9)]).astype(np.uint16)
    field = Field(pixels, Path("f.tif"), ("a", "b"))
    assert mean_intensity(field, np.array([[20, 25]]), np.array([6])).tolist() == [[1000, 0]]
    outside = mean_intensity(field, np.array([[-50, 25]]), np.array([6]))
    assert np.isnan(outside).all()


def test_shrunk_crops_are_area_means_and_centred():
    image = np.zeros((64, 64, 1), np.uint8)
    image[30:34, 30:34] = 200
    crops, kept = cut_crops(image, np.array([[31.5, 31.5]]), 8, "drop", 0.25)
    assert kept.tolist() == [0]
    # Pixels of the crop are 4 wide; the spot's corner at 32 parts it over four of them.
    assert crops[0, 3:5, 3:5, 0].tolist() == [[50, 50], [50, 50]]
    assert crops.sum() == 200


def test_enlarged_crops_keep_position_and_level():
    y = np.arange(40, dtype=np.uint16)[:, None, None] * 100
    image = np.broadcast_to(y, (40, 40, 1)).copy()
    crops, _ = cut_crops(image, np.array([[20.0, 20.0]]), 16, "drop", 4.0)
    assert crops.shape == (1, 16, 16, 1)
    expected = 100 * (20 + (np.arange(16) - 8) / 4)
    np.testing.assert_allclose(crops[0, :, 8, 0], expected, atol=6)


@pytest.mark.parametrize(("scale", "reach"), [(1.0, 8), (0.5, 16), (2.0, 4)])
def test_resampled_crops_leave_the_field_where_their_area_does(scale, reach):
    image = np.zeros((64, 64, 1), np.uint8)
    centers = np.array([[32, c] for c in (reach - 1.0, reach + 1.0, 63.0 - reach, 64.0)])
    assert cut_crops(image, centers, 16, "drop", scale)[1].tolist() == [1, 2]
    assert cut_crops(image, centers, 16, "reflect", scale)[1].tolist() == [0, 1, 2]


def test_micrometres_need_a_pixel_size():
    field = Field(np.zeros((1, 8, 8), np.uint8), Path("f.tif"), ("a",), 0.25)
    assert crop_scale(field, 0.0, 64) == 1.0
    assert crop_scale(field, 16.0, 64) == 1.0
    assert crop_scale(field, 32.0, 64) == 0.5
    unknown = Field(np.zeros((1, 8, 8), np.uint8), Path("f.tif"), ("a",))
    with pytest.raises(InputError, match=r"f\.tif does not say .* --pixel-size-um"):
        crop_scale(unknown, 32.0, 64)


def test_both_cells_of_a_core_are_told_and_neighbours_are_not():
    centers = np.array([[100, 100], [110, 110], [100, 117], [300, 300], [300, 315]], np.float32)
    # The core of a 64 px crop reaches 16 px from its centre.
    assert share_core(centers, 64, 0.5).tolist() == [True, True, True, True, True]
    assert share_core(centers[[0, 2]], 64, 0.5).tolist() == [False, False]
    assert not share_core(centers, 64, 0.0).any()
    assert share_core(np.zeros((0, 2), np.float32), 64, 0.5).shape == (0,)


def test_ten_thousand_cells_are_compared_quickly():
    centers = np.random.default_rng(0).uniform(0, 4000, (10_000, 2)).astype(np.float32)
    told = share_core(centers, 64, 0.25)
    gap = np.abs(centers[:200, None] - centers[None]).max(axis=2)
    gap[np.arange(200), np.arange(200)] = np.inf
    assert np.array_equal(told[:200], (gap < 8).any(axis=1))
