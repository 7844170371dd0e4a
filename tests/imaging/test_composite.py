"""Slices become channels by rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.imaging.composite import (
    check_content,
    choose_slices,
    compose,
    compose_slices,
    empty_slices,
)
from stemcls.imaging.field import Field


def field_of(slices: int, dtype: type = np.uint8) -> Field:
    pixels = np.arange(slices * 64).reshape(slices, 8, 8).astype(dtype)
    return Field(pixels, Path("f.tif"), tuple(f"s{n}" for n in range(slices)))


def test_one_slice_stays_grey_or_is_repeated_as_rgb():
    field = field_of(1)
    assert np.array_equal(compose(field)[..., 0], field.pixels[0])
    assert np.array_equal(compose(field, "rgb"), np.repeat(field.pixels[0][..., None], 3, axis=2))


def test_two_slices_are_red_and_green_with_an_empty_blue():
    field = field_of(2)
    image = compose(field)
    assert np.array_equal(image[..., :2], np.moveaxis(field.pixels, 0, 2))
    assert not image[..., 2].any()


@pytest.mark.parametrize("slices", [3, 4])
def test_three_slices_are_rgb_and_a_fourth_is_dropped(slices):
    field = field_of(slices)
    assert np.array_equal(compose(field), np.moveaxis(field.pixels[:3], 0, 2))


def test_more_than_four_slices_need_a_choice():
    with pytest.raises(InputError, match=r"has 5 slices .* at most 4"):
        compose(field_of(5))
    assert compose(field_of(5, np.uint16), "grey").shape == (8, 8, 1)


@pytest.mark.parametrize(
    ("slices", "channels", "expected"),
    [
        (6, "all", range(6)), (4, "all", range(4)), (6, "s5,1,3,s1", (5, 0, 2, 1)),
        (150, "all", range(150)),
    ],
)  # fmt: skip
def test_more_than_three_named_slices_are_as_many_channels(slices, channels, expected):
    field = field_of(slices)
    image = compose(field, channels)
    assert np.array_equal(image, np.moveaxis(field.pixels[list(expected)], 0, 2))
    assert image.flags["C_CONTIGUOUS"]
    deep = compose(field_of(slices, np.uint16), channels)
    assert (deep.dtype, deep.shape) == (np.uint8, (8, 8, len(expected)))


def test_all_of_up_to_three_slices_stays_the_composite():
    assert compose(field_of(1), "all").shape == (8, 8, 1)
    assert not compose(field_of(2), "all")[..., 2].any()
    assert np.array_equal(compose(field_of(3), "all"), compose(field_of(3)))


def test_grey_is_the_mean_of_the_slices():
    field = field_of(3)
    assert np.array_equal(compose(field, "grey")[..., 0], field.pixels.mean(axis=0))


def test_deep_pixels_are_scaled_by_channel_between_percentiles():
    image = compose(field_of(3, np.uint16))
    assert image.dtype == np.uint8
    assert image.min(axis=(0, 1)).tolist() == [0, 0, 0]
    assert image.max(axis=(0, 1)).tolist() == [255, 255, 255]


def test_a_constant_deep_slice_becomes_black():
    pixels = np.full((1, 8, 8), 900, np.uint16)
    assert not compose(Field(pixels, Path("f.tif"), ("a",))).any()


def test_scale_none_keeps_16_bit_and_refuses_floats():
    field = field_of(3, np.uint16)
    assert np.array_equal(compose(field, scale="none"), np.moveaxis(field.pixels, 0, 2))
    with pytest.raises(InputError, match="float32 pixels, which scale=none cannot keep"):
        compose(field_of(1, np.float32), scale="none")


def test_unknown_words_name_the_nearest():
    with pytest.raises(InputError, match="did you mean 'grey'"):
        compose(field_of(1), "gray")
    with pytest.raises(InputError, match="'x' is not a choice"):
        compose(field_of(1), scale="x")


def test_blank_and_non_finite_fields_are_refused():
    check_content(field_of(1))
    with pytest.raises(InputError, match="is blank: every pixel is 7"):
        check_content(Field(np.full((2, 8, 8), 7, np.uint8), Path("f.tif"), ("a", "b")))
    with pytest.raises(InputError, match="NaN or infinite"):
        check_content(Field(np.full((1, 8, 8), np.nan), Path("f.tif"), ("a",)))


def test_slices_are_chosen_by_name_or_number_in_the_order_given():
    field = field_of(6, np.uint8)
    assert np.array_equal(compose(field, "s4")[..., 0], field.pixels[4])
    assert compose(field, "s4").shape == (8, 8, 1)
    image = compose(field, "S5, 1")
    assert np.array_equal(image[..., 0], field.pixels[5])
    assert np.array_equal(image[..., 1], field.pixels[0])
    assert not image[..., 2].any()
    assert choose_slices(field, "3,s1,1") == (2, 1, 0)


@pytest.mark.parametrize(
    ("channels", "reason"),
    [
        ("DIK", r"no channel of f\.tif, which has DIC, GFP; did you mean 'DIC'"),
        ("3", "no slice 3, it has 2: DIC, GFP"),
        ("DIC,1", "names one slice of .* twice"),
        ("1,2,1,2", "names one slice of .* twice"),
        (",", r"names no slice; f\.tif has DIC, GFP"),
    ],
)
def test_a_choice_that_is_not_there_lists_the_channels(channels, reason):
    field = Field(np.zeros((2, 8, 8), np.uint8), Path("f.tif"), ("DIC", "GFP"))
    with pytest.raises(InputError, match=reason):
        choose_slices(field, channels)


def test_field_scaling_stretches_8_bit_too_and_tells_the_range():
    pixels = np.linspace(50, 99, 64).reshape(1, 8, 8).astype(np.uint8)
    field = Field(pixels, Path("f.tif"), ("a",))
    made = compose_slices(field, (0,), scale="field", percentiles=(0, 100))
    assert made.ranges.tolist() == [[50, 99]]
    assert (made.image.min(), made.image.max()) == (0, 255)
    assert np.isnan(compose_slices(field, (0,)).ranges).all()


def test_one_range_for_all_fields_keeps_their_differences():
    dim = Field(np.full((1, 8, 8), 300, np.uint16), Path("f.tif"), ("a",))
    made = compose_slices(dim, (0,), scale="store", scale_range=(200.0, 455.0))
    assert (made.image == 100).all()
    with pytest.raises(InputError, match=r"1 slices take part, .* is for 2"):
        compose_slices(dim, (0,), scale="store", scale_range=(0.0, 1.0, 0.0, 1.0))


def test_an_empty_slice_is_told_from_a_dim_one():
    noise = np.random.default_rng(0)
    dic = noise.integers(2000, 4000, (64, 64)).astype(np.uint16)
    empty = noise.integers(95, 106, (64, 64)).astype(np.uint16)
    dim = noise.integers(100, 400, (64, 64)).astype(np.uint16)
    field = Field(np.stack([dic, empty, dim]), Path("f.tif"), ("DIC", "X", "GFP"))
    assert empty_slices(field, (0, 1, 2)) == [1]
    assert empty_slices(field, (0, 2)) == []
    black = Field(noise.integers(0, 3, (1, 64, 64)).astype(np.uint8), Path("f.png"), ("grey",))
    assert empty_slices(black, (0,)) == [0]
