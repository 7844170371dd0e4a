"""Quality of a field: known answers, and what the light may do without changing the focus."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from stemcls.config.imaging import QualityConfig
from stemcls.errors import InputError
from stemcls.imaging.background import fit_background
from stemcls.imaging.quality import (
    Quality,
    background_of,
    brighten,
    check_quality,
    flatten,
    measure_quality,
)


def discs(edge: int = 256, level: float = 90.0) -> np.ndarray:
    image = np.full((edge, edge), level, np.float32)
    for y in range(24, edge, 48):
        for x in range(24, edge, 48):
            cv2.circle(image, (x, y), 9, level + 60, -1)
    return image + np.random.default_rng(0).normal(0, 0.5, image.shape).astype(np.float32)


def slope(edge: int = 256) -> np.ndarray:
    return np.broadcast_to(np.linspace(0.7, 1.3, edge, dtype=np.float32), (edge, edge))


def focus_of(plane: np.ndarray) -> float:
    return measure_quality([plane], surfaces=[background_of(plane)]).focus


def test_brightness_is_the_mean_of_the_brightest_slice():
    red, green = np.full((8, 8), 40, np.uint8), np.full((8, 8), 10, np.uint8)
    green[:, 4:] = 100
    assert measure_quality([red, green]).brightness == (40 + 100) / 2


def test_deep_pixels_are_mapped_from_the_range_they_can_use():
    plane = np.full((8, 8), 4095, np.uint16)
    assert measure_quality([plane]).brightness == pytest.approx(255 * 4095 / 65535)
    assert measure_quality([plane], bits=12).brightness == 255
    assert measure_quality([np.full((8, 8), 0.5, np.float32)]).brightness == 127.5
    assert np.isnan(measure_quality([np.full((8, 8), 7.0, np.float32)]).brightness)


@pytest.mark.parametrize("top", [1023, 4095, 16383, 65535])
def test_clipped_pixels_are_counted_at_the_camera_s_own_top(top):
    plane = np.full((10, 10), 500, np.uint16)
    plane[:3] = top
    assert measure_quality([plane]).saturated == pytest.approx(0.3)
    plane[:3] = top - 1
    assert measure_quality([plane]).saturated == 0


def test_focus_falls_with_every_blur():
    scores = [focus_of(cv2.GaussianBlur(discs(), (0, 0), sigma)) for sigma in (0.5, 1, 2, 4, 8)]
    assert all(sharp > 1.5 * soft for sharp, soft in pairwise(scores))


@pytest.mark.parametrize(
    "change", [lambda p: 3 * p, lambda p: p + 40, lambda p: p + 60 * slope(), lambda p: p[:, ::-1]]
)
def test_focus_does_not_depend_on_gain_offset_or_slope_of_the_light(change):
    plane = discs()
    changed = np.ascontiguousarray(change(plane))
    assert focus_of(changed) == pytest.approx(focus_of(plane), rel=0.05)


def test_unevenness_is_the_range_of_the_background_over_its_level():
    plane = np.float32(100) * slope()
    quality = measure_quality([plane], surfaces=[background_of(plane)])
    assert quality.unevenness == pytest.approx(0.6, rel=0.05)


def test_the_background_is_found_between_cells():
    plane = discs() + 40 * slope()
    surface = fit_background(plane).surface((256, 256))
    np.testing.assert_allclose(surface, 90 + 40 * slope(), atol=2.5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_bright_field_is_divided_until_cells_are_alike_everywhere(dtype):
    plane = (discs() * slope()).astype(dtype)
    even = flatten(plane, background_of(plane)).astype(float)
    assert even.dtype == float
    left, right = even[:, :60], even[:, -60:]
    assert np.median(left) == pytest.approx(np.median(right), rel=0.03)
    assert left.max() == pytest.approx(right.max(), rel=0.05)
    assert flatten(plane, background_of(plane)).dtype == dtype


def test_dark_field_is_subtracted_so_that_cells_keep_their_light():
    cells = (discs(level=0.0) * 20).clip(0)
    plane = (cells + 200 * slope()).astype(np.uint16)
    even = flatten(plane, background_of(plane)).astype(float)
    assert np.median(even[:, :20]) == pytest.approx(np.median(even[:, -20:]), abs=8)
    assert even[24, 24] == pytest.approx(even[24, 216], rel=0.03)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_target_brightness_is_reached_and_the_top_is_clipped(dtype):
    top = np.iinfo(dtype).max
    image = (np.random.default_rng(0).uniform(0.2, 0.4, (64, 64, 3)) * top).astype(dtype)
    bright = brighten(image, 130.0)
    assert bright.dtype == dtype
    assert bright.max(axis=2).mean() * 255 / top == pytest.approx(130, abs=0.5)
    assert brighten(image, 2550.0).max() == top
    black = np.zeros((4, 4, 1), dtype)
    assert not brighten(black, 130.0).any()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (QualityConfig(max_brightness=230.0), r"mean V of HSV is 241\.5, above the 230 of --max-b"),
        (QualityConfig(max_saturated=0.1), r"clipped pixels is 0\.25, above the 0\.1 of --max-sat"),
        (QualityConfig(min_focus=0.5), r"focus score is 0\.25, below the 0\.5 of --min-focus"),
    ],
)
def test_a_field_outside_the_limits_is_refused_with_figures(config, reason):
    quality = Quality(brightness=241.5, focus=0.25, saturated=0.25, unevenness=0.0)
    with pytest.raises(InputError, match=reason):
        check_quality(quality, config)
    check_quality(quality, QualityConfig())


def test_a_limit_on_what_is_unknown_is_refused_and_not_ignored():
    unknown = Quality(float("nan"), 0.25, float("nan"), 0.0)
    with pytest.raises(InputError, match=r"no known full scale.*--max-brightness"):
        check_quality(unknown, QualityConfig(max_brightness=230.0))
