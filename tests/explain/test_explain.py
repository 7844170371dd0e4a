"""Known answers of weights, maps, upsampling and of whole explanations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stemcls.config.explain import MethodSettings
from stemcls.errors import InputError
from stemcls.explain.cams import activation_map, gradcam_weights, gradcampp_weights
from stemcls.explain.explain import explain
from stemcls.explain.maps import baseline, fused, normalised, upsampled
from stemcls.explain.methods import METHODS
from stemcls.explain.probe import open_probe
from stemcls.explain.scorecam import scorecam, top_channels_error

from .conftest import corner_model, noise_crops, planted_crops, pooled_model

PLANTED_MARGIN = 5.0
CLASS_AWARE = [name for name, row in METHODS.items() if row.class_aware]


def test_gradcam_weighs_a_channel_by_its_mean_gradient() -> None:
    gradients = np.zeros((1, 2, 2, 3), dtype=np.float32)
    gradients[0, :, :, 0] = [[1, 2], [3, 6]]
    gradients[0, :, :, 1] = [[-4, 0], [0, 0]]
    weights = gradcam_weights(np.zeros_like(gradients), gradients)
    assert weights.shape == (1, 1, 1, 3)
    np.testing.assert_allclose(weights.ravel(), [3, -1, 0])


def test_gradcampp_gives_a_small_region_the_weight_of_a_large_one() -> None:
    activations = np.zeros((1, 4, 4, 2), dtype=np.float32)
    activations[0, :, :, 0] = 1
    activations[0, 0, 0, 1] = 1
    gradients = activations.copy()  # each channel acts where it is active
    small, large = gradcampp_weights(activations, gradients).ravel()[::-1]
    assert large == pytest.approx(16 / (2 + 16))
    assert small == pytest.approx(1 / (2 + 1))
    plain = gradcam_weights(activations, gradients).ravel()
    assert plain[0] / plain[1] == pytest.approx(16)
    assert large / small < 3


def test_a_map_is_the_positive_part_of_the_weighted_channels() -> None:
    activations = np.array([[[[1.0, 5.0], [2.0, 0.0]]]], dtype=np.float32)
    gradients = np.array([[[[2.0, -1.0], [2.0, -1.0]]]], dtype=np.float32)
    found = activation_map(gradcam_weights, activations, gradients)
    np.testing.assert_allclose(found, [[[0.0, 4.0]]])


def test_gradcam_equals_cam_where_cam_is_defined() -> None:
    model, crops = pooled_model(), noise_crops(4, 3)
    probe, targets = open_probe(model, "maps"), np.array([0, 1, 2, 1])
    (activations,) = probe.outputs(crops, ("maps",))
    weights = model.get_layer("logits").get_weights()[0][:, targets].T
    expected = np.maximum((activations * weights[:, None, None, :]).sum(axis=-1), 0)
    found = explain(probe, crops, targets)
    np.testing.assert_allclose(
        found.heatmaps, normalised(upsampled(expected, 32, 32)), atol=1e-5
    )


@pytest.mark.parametrize("method", CLASS_AWARE)
def test_planted_signal_gets_far_more_relevance_than_its_share(
    planted_model: Any, method: str
) -> None:
    crops, labels, patches = planted_crops(24, 2)
    kept = (labels == 1) & (planted_model.predict(crops, verbose=0).argmax(axis=1) == 1)
    assert kept.sum() >= 11
    maps = np.maximum(explain(planted_model, crops[kept], 1, method=method).heatmaps, 0)
    inside = (maps * patches[kept]).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))
    assert np.mean(inside / patches[kept].mean(axis=(1, 2))) > PLANTED_MARGIN


def test_scorecam_in_batches_equals_a_loop_over_masks() -> None:
    model, crops, targets = pooled_model(steepness=5.0), noise_crops(2, 3), np.array([0, 2])
    probe = open_probe(model, "maps")
    (activations,) = probe.outputs(crops, ("maps",))
    expected = []
    for crop, channels, target in zip(crops, activations, targets, strict=True):
        grey, scores = crop.mean(axis=(0, 1)), []
        for channel in np.moveaxis(channels, -1, 0):
            mask = upsampled(channel[None], 32, 32)[0]
            span = np.ptp(mask)
            mask = (mask - mask.min()) / span if span else np.zeros_like(mask)
            seen = grey + (crop - grey) * mask[..., None]
            scores.append(float(probe.logits(seen[None].astype(np.float32))[0, target]))
        weights = np.exp(np.array(scores) - max(scores))
        expected.append(np.maximum((channels * weights / weights.sum()).sum(axis=-1), 0))
    found = scorecam(probe, crops, targets, MethodSettings())
    np.testing.assert_allclose(
        normalised(found), normalised(upsampled(np.array(expected), 32, 32)), atol=1e-5
    )


def test_scorecam_states_the_error_of_leaving_channels_out() -> None:
    probe, crops = open_probe(pooled_model(), "maps"), noise_crops(3, 3)
    targets, some = np.array([0, 1, 2]), MethodSettings(top_channels=3)
    told = top_channels_error(probe, crops, targets, some)
    whole = normalised(scorecam(probe, crops[:2], targets[:2], MethodSettings()))
    part = normalised(scorecam(probe, crops[:2], targets[:2], some))
    assert told["of_channels"] == 8
    assert told["largest_error"] == pytest.approx(np.abs(part - whole).max(), abs=1e-6)
    assert top_channels_error(probe, crops, targets, MethodSettings(top_channels=8)) == {}
    assert explain(probe, crops, 0, "scorecam", settings=some).report["top_channels"] == 3


def test_maps_of_several_layers_are_fused() -> None:
    model, crops = pooled_model(), noise_crops(2, 3)
    both = explain(model, crops, 0, layer=["maps", "first"])
    parts = [explain(model, crops, 0, layer=name).heatmaps for name in ("first", "maps")]
    assert both.layer == "first, maps"
    np.testing.assert_allclose(both.heatmaps, normalised(fused(parts)), atol=1e-6)


def test_a_class_that_nothing_speaks_for_has_a_map_of_zeros() -> None:
    found = explain(corner_model(), noise_crops(2, 1), np.array([0, 1]), layer="seen")
    assert found.heatmaps[0].max() == 0
    assert found.heatmaps[1].max() == 1
    assert found.pixel_score[0] == 0


def test_the_predicted_class_is_explained_unless_another_is_named() -> None:
    found = explain(corner_model(), noise_crops(3, 1), layer="seen")
    assert found.targets.tolist() == [1, 1, 1]
    assert found.probabilities[:, 1].min() > 0.5
    assert explain(corner_model(), noise_crops(3, 1), 0, layer="seen").targets.tolist() == [0] * 3


def test_upsampling_is_bilinear_between_pixel_centres() -> None:
    found = upsampled(np.array([[[0.0, 1.0], [0.0, 1.0]]], dtype=np.float32), 4, 4)
    np.testing.assert_allclose(found[0, 0], [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(found[0], np.tile(found[0, 0], (4, 1)))


def test_upsampling_agrees_with_opencv() -> None:
    import cv2

    small = np.random.default_rng(0).random((1, 5, 7), dtype=np.float32)
    expected = cv2.resize(small[0], (61, 40), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(upsampled(small, 40, 61)[0], expected, atol=1e-5)


def test_each_map_is_divided_by_its_own_largest_size() -> None:
    maps = np.array([[[2.0, 4.0]], [[0.0, 0.0]], [[0.1, -0.2]]], dtype=np.float32)
    np.testing.assert_allclose(normalised(maps), [[[0.5, 1]], [[0, 0]], [[0.5, -1]]])


def test_nothing_is_shown_as_the_mean_colour_of_each_crop() -> None:
    crops = np.array([[[[0, 10]], [[4, 30]]]], dtype=np.uint8)
    np.testing.assert_allclose(baseline(crops), [[[[2, 20]]]])


def test_an_unknown_method_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no method 'grad-cam' .*did you mean 'gradcam'\?"):
        explain(corner_model(), noise_crops(1, 1), method="grad-cam")


def test_no_crops_are_refused() -> None:
    with pytest.raises(InputError, match="no crops to explain"):
        explain(corner_model(), noise_crops(0, 1))
