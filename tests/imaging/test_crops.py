"""Crops and measurements come from the right pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.imaging.crops import cut_crops, mean_intensity
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
