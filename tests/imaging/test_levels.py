"""Percentiles by counting are numpy's, to the last bit, and ranges become 8 bit."""

from __future__ import annotations

import numpy as np
import pytest

from stemcls.imaging.levels import percentile_range, to_8_bit, visible_range


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (7, 9), (33, 64), (300, 401)])
@pytest.mark.parametrize("percentiles", [(0.1, 99.9), (0, 100), (5, 50), (33.3, 66.6)])
def test_percentiles_are_those_of_numpy(dtype, shape, percentiles):
    generator = np.random.default_rng(0)
    for most in (2, 200):
        plane = generator.integers(0, most, shape).astype(dtype)
        low, high = np.percentile(plane, percentiles)
        assert percentile_range(plane, percentiles) == (float(low), float(high))


def test_a_range_of_few_pixels_widens_to_all_of_them():
    plane = np.full((100, 100), 7, np.uint16)
    plane[0, 0] = 9
    assert visible_range(plane, (1, 99)) == (7, 9)


@pytest.mark.parametrize("low", [50, 50.5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_low_becomes_0_and_high_255_and_the_rest_is_clipped(dtype, low):
    plane = np.arange(256, dtype=dtype)[None]
    expected = np.clip((np.arange(256) - low) * 255 / (200 - low), 0, 255)
    np.testing.assert_allclose(to_8_bit(plane, low, 200.0)[0], expected, atol=0.501)
    assert not to_8_bit(plane, 9.0, 9.0).any()
