"""The loop that Score-CAM is measured against gives the same map."""

from __future__ import annotations

import numpy as np

from stemcls.bench.explaining import _scorecam_by_mask
from stemcls.commands.bench import BENCHMARKS
from stemcls.explain.explain import explain
from stemcls.explain.maps import normalised


def test_the_loop_over_masks_draws_the_same_map():
    import keras

    inputs = keras.Input((16, 16, 3), name="crops")
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(inputs)
    x = keras.layers.Conv2D(3, 3, strides=2, activation="relu", name="maps")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    crop = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    ours = explain(model, crop[None], 0, "scorecam", "maps").heatmaps
    loop = normalised(_scorecam_by_mask(model, "maps", crop))
    np.testing.assert_allclose(ours, loop, atol=1e-5)


def test_explanations_have_benchmarks():
    assert {"explain-scorecam", "explain-gradcam", "explain-memory", "explain-rates"} <= set(
        BENCHMARKS
    )
