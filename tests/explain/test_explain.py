"""Known answers of weights, maps, upsampling and the pixel score."""

from __future__ import annotations

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.explain.explain import explain, normalised, pixel_score, upsampled
from stemcls.explain.methods import METHODS, activation_map, gradcam_weights

from .conftest import corner_model, noise_crops


def test_gradcam_weighs_a_channel_by_its_mean_gradient() -> None:
    gradients = np.zeros((1, 2, 2, 3), dtype=np.float32)
    gradients[0, :, :, 0] = [[1, 2], [3, 6]]
    gradients[0, :, :, 1] = [[-4, 0], [0, 0]]
    weights = gradcam_weights(np.zeros_like(gradients), gradients)
    assert weights.shape == (1, 1, 1, 3)
    np.testing.assert_allclose(weights.ravel(), [3, -1, 0])


def test_a_map_is_the_positive_part_of_the_weighted_channels() -> None:
    activations = np.array([[[[1.0, 5.0], [2.0, 0.0]]]], dtype=np.float32)
    gradients = np.array([[[[2.0, -1.0], [2.0, -1.0]]]], dtype=np.float32)
    found = activation_map(gradcam_weights, activations, gradients)
    np.testing.assert_allclose(found, [[[0.0, 4.0]]])


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_lights_the_corner_that_the_model_reads(method: str) -> None:
    found = explain(corner_model(), noise_crops(3, 1), method=method, layer="seen")
    assert found.method == method
    assert (found.heatmaps[:, :8, 24:] > 0).all()
    assert found.heatmaps[:, 10:].max() == 0
    assert found.heatmaps[:, :, :22].max() == 0
    assert found.heatmaps.dtype == np.float32


def test_a_class_that_nothing_speaks_for_has_a_map_of_zeros() -> None:
    found = explain(corner_model(), noise_crops(2, 1), np.array([0, 1]), layer="seen")
    assert found.heatmaps[0].max() == 0
    assert found.heatmaps[1].max() == 1
    assert found.pixel_score[0] == 0


def test_the_pixel_score_counts_all_pixels() -> None:
    heat = np.zeros((2, 4, 4), dtype=np.float32)
    heat[0, 0, :4] = [1.0, 0.5, 0.49, 0.2]
    np.testing.assert_allclose(pixel_score(heat), [1.5 / 16, 0])


def test_upsampling_is_bilinear_between_pixel_centres() -> None:
    found = upsampled(np.array([[[0.0, 1.0], [0.0, 1.0]]], dtype=np.float32), 4, 4)
    np.testing.assert_allclose(found[0, 0], [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(found[0], np.tile(found[0, 0], (4, 1)))


def test_upsampling_agrees_with_opencv() -> None:
    import cv2

    small = np.random.default_rng(0).random((1, 5, 7), dtype=np.float32)
    expected = cv2.resize(small[0], (61, 40), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(upsampled(small, 40, 61)[0], expected, atol=1e-5)


def test_each_map_is_divided_by_its_own_maximum() -> None:
    maps = np.array([[[2.0, 4.0]], [[0.0, 0.0]], [[0.1, 0.05]]], dtype=np.float32)
    np.testing.assert_allclose(normalised(maps), [[[0.5, 1]], [[0, 0]], [[1, 0.5]]])


def test_an_unknown_method_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no method 'grad-cam' .*did you mean 'gradcam'\?"):
        explain(corner_model(), noise_crops(1, 1), method="grad-cam")


def test_no_crops_are_refused() -> None:
    with pytest.raises(InputError, match="no crops to explain"):
        explain(corner_model(), noise_crops(0, 1))
