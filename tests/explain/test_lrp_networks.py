"""Relevance is conserved on the published networks, biases and BatchNorm statistics included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stemcls.explain.lrp.relevance import relevance
from stemcls.explain.probe import open_probe

EDGES_PX = {
    "DenseNet121": 64, "ResNet50V2": 64, "InceptionV3": 75, "Xception": 71, "VGG19": 32,
    "MobileNetV2": 64,
}


@pytest.fixture(autouse=True)
def quick_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw few random numbers for many weights: drawing all takes as long as the tests do."""
    import keras

    few = np.random.default_rng(2).uniform(-1, 1, 99_991).astype(np.float32)

    def draw(self: Any, shape: tuple[int, ...], dtype: Any = None) -> np.ndarray:
        fan_in, fan_out = keras.src.initializers.random_initializers.compute_fans(shape)
        return np.resize(few, shape) * np.float32(np.sqrt(6 / (fan_in + fan_out)))

    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", draw)


def network(name: str) -> Any:
    """Build a published network whose BatchNorms have measured noise and learned something."""
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((EDGES_PX[name], EDGES_PX[name], 3))
    x = keras.layers.Rescaling(2 / 255, -1)(inputs)
    backbone = getattr(keras.applications, name)(
        input_tensor=x, weights=None, include_top=False, pooling="avg"
    )
    model = keras.Model(inputs, keras.layers.Dense(3, name="logits")(backbone.output))
    norms = [one for one in model.layers if isinstance(one, keras.layers.BatchNormalization)]
    random = np.random.default_rng(0)
    spread = {"beta": 0.2, "moving_mean": 0.2, "bias": 0.05}  # without BatchNorm signals are small
    for norm in norms:
        norm.momentum = 0.0  # one batch is enough to measure
    model(random.integers(0, 256, (2, *model.input_shape[1:])).astype(np.float32), training=True)
    for layer in model.layers:
        for variable in layer.weights:
            values, kind = np.asarray(variable), variable.path.rsplit("/", 1)[-1]
            if kind in ("gamma", "moving_variance"):
                variable.assign(values * random.uniform(0.7, 1.4, values.shape))
            elif kind in ("beta", "moving_mean", "bias"):
                variable.assign(values + random.normal(0, spread[kind], values.shape))
    return model


@pytest.mark.parametrize("name", list(EDGES_PX))
def test_pixels_and_biases_add_up_to_the_logit(name: str) -> None:
    probe = open_probe(network(name))
    crops = np.random.default_rng(1).integers(0, 256, (1, *probe.model.input_shape[1:]), np.uint8)
    found = relevance(probe, crops, np.array([1]), "epsilon")
    logit = float(np.abs(found.logits[0]))
    assert logit > 1e-2
    assert np.abs(found.pixels).sum() > 0.1 * logit
    assert np.abs(found.bias) > 1e-3 * logit
    np.testing.assert_allclose(found.gap, 0, atol=1e-3 * logit)
    if name in ("VGG19", "MobileNetV2"):  # with BatchNorm and without
        boxed = relevance(probe, crops, np.array([1]), "epsilon-gamma-box")
        np.testing.assert_allclose(boxed.gap, 0, atol=1e-3 * logit)
