"""Pixels of any depth and any number of channels are shown by one rule."""

from __future__ import annotations

import numpy as np
import pytest

from stemcls.display.colours import as_colours, legend_of, levels_of, to_rgb


@pytest.mark.parametrize(
    ("channels", "seen"),
    [(1, [10, 10, 10]), (2, [10, 20, 0]), (3, [10, 20, 30]), (5, [10, 20, 30])],
)
def test_channels_become_colours_in_their_order(channels, seen):
    pixels = np.tile(np.arange(10, 10 + 10 * channels, 10, dtype=np.uint8), (2, 3, 1))
    assert to_rgb(pixels).tolist() == np.tile(seen, (2, 3, 1)).tolist()
    np.testing.assert_allclose(as_colours(pixels)[0, 0], np.array(seen) / 255)


@pytest.mark.parametrize("most", [1023, 4095, 65535])
def test_deep_pixels_are_stretched_over_the_range_that_is_used(most):
    pixels = np.linspace(0, most, 10_000).astype(np.uint16).reshape(100, 100, 1)
    shown = to_rgb(pixels)
    assert (shown.min(), shown.max()) == (0, 255)
    assert abs(int(shown[50, 0, 0]) - 127) < 3
    low, high = levels_of(pixels)
    assert high == pytest.approx(0.999 * most, rel=0.01)
    darker = to_rgb(pixels // 2, (low, high))
    assert darker.max() < 130


def test_two_crops_of_one_store_are_stretched_alike():
    dark, bright = np.full((2, 2, 1), 100, np.uint16), np.full((2, 2, 1), 4000, np.uint16)
    levels = levels_of(np.stack([dark, bright]))
    assert to_rgb(dark, levels).max() < to_rgb(bright, levels).min()


def test_nothing_is_shown_of_nothing():
    assert to_rgb(np.zeros((0, 4, 4, 5), np.uint16)).shape == (0, 4, 4, 3)


@pytest.mark.parametrize(
    ("channels", "told"),
    [(("grey",), ""), (("red", "green", "blue"), ""), (("DAPI", "GFP"), "red DAPI, green GFP"),
     (("a", "b", "c", "d", "e"), "red a, green b, blue c; not shown: d, e")],
)
def test_a_legend_says_which_channel_is_which_colour(channels, told):
    assert legend_of(channels) == told
