"""Any plain Keras classifier becomes one flat graph to its logits, or is refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.explain.explain import explain, softmax
from stemcls.explain.graph import cut_layers
from stemcls.explain.probe import open_probe

from .conftest import noise_crops, winding_model


def body(x: Any, layers: Any) -> Any:
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="low")(x)
    return layers.Conv2D(5, 3, strides=2, activation="relu", name="high")(x)


def inputs() -> Any:
    import keras

    return keras.Input((32, 32, 3))


def fused_softmax() -> Any:
    import keras

    crops = inputs()
    x = keras.layers.GlobalAveragePooling2D()(body(crops, keras.layers))
    return keras.Model(crops, keras.layers.Dense(3, activation="softmax")(x))


def one_sigmoid() -> Any:
    import keras

    crops = inputs()
    x = keras.layers.GlobalAveragePooling2D()(body(crops, keras.layers))
    return keras.Model(crops, keras.layers.Dense(1, activation="sigmoid", name="p")(x))


def activation_layer() -> Any:
    import keras

    crops = inputs()
    x = keras.layers.GlobalAveragePooling2D()(body(crops, keras.layers))
    x = keras.layers.Dense(3)(x)
    return keras.Model(crops, keras.layers.Activation("softmax")(x))


def operations() -> Any:
    import keras

    crops = inputs()
    x = body(crops / 2.0 - 0.5, keras.layers)
    x = keras.ops.mean(x, axis=(1, 2))
    return keras.Model(crops, keras.ops.softmax(keras.layers.Dense(3)(x)))


def sequential() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential([
        inputs(), layers.Conv2D(4, 3, strides=2, activation="relu"), layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ])


def nested() -> Any:
    import keras

    inside = inputs()
    backbone = keras.Model(inside, body(inside, keras.layers), name="backbone")
    head = keras.Sequential(
        [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    )
    crops = inputs()
    return keras.Model(crops, head(backbone(crops)))


def used_twice() -> Any:
    import keras

    layers = keras.layers
    crops = inputs()
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="start")(crops)
    again = layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    x = layers.GlobalAveragePooling2D()(again(again(x)))
    return keras.Model(crops, layers.Dense(3, activation="softmax")(x))


def full_convolution() -> Any:
    import keras

    layers = keras.layers
    crops = inputs()
    x = layers.Conv2D(3, 1)(body(crops, layers))
    return keras.Model(crops, layers.Softmax()(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("build", [
    fused_softmax, one_sigmoid, activation_layer, operations, sequential, nested, used_twice,
    full_convolution, winding_model,
])
def test_flat_models_say_what_the_model_says(build: Any) -> None:
    model, crops = build(), noise_crops(3, 3)
    probe = open_probe(model, batch_size=4)
    expected = model.predict(crops, verbose=0)
    if expected.shape[1] == 1:
        expected = np.concatenate([1 - expected, expected], axis=1)
    np.testing.assert_allclose(softmax(probe.logits(crops)), expected, atol=1e-5)
    assert probe.order[-1].name == "logits"
    assert all(type(layer).__name__ != "Functional" for layer in probe.model.layers)
    heatmaps = explain(probe, crops).heatmaps
    assert heatmaps.shape == (3, 32, 32)
    assert np.isfinite(heatmaps).all()


def test_the_layers_of_a_nested_backbone_keep_their_names() -> None:
    probe = open_probe(nested())
    assert probe.layers == ("high",)
    assert {"low", "high"} <= set(cut_layers(probe.model))
    assert open_probe(nested(), "low").layers == ("low",)


def test_a_model_of_ours_is_not_copied() -> None:
    model = winding_model()
    assert open_probe(model).model.get_layer("middle") is model.get_layer("middle")


def several_inputs() -> Any:
    import keras

    one, two = inputs(), inputs()
    x = keras.layers.Add()([one, two])
    return keras.Model([one, two], keras.layers.Dense(2)(keras.layers.Flatten()(x)))


def several_outputs() -> Any:
    import keras

    crops = inputs()
    x = keras.layers.Flatten()(crops)
    return keras.Model(crops, [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)])


def maps_out() -> Any:
    import keras

    crops = inputs()
    return keras.Model(crops, keras.layers.Conv2D(2, 1)(crops))


def averaged() -> Any:
    import keras

    crops = inputs()
    x = keras.layers.Flatten()(crops)
    heads = [keras.layers.Dense(2, activation="softmax")(x) for _ in range(2)]
    return keras.Model(crops, keras.layers.Average(name="mean")(heads))


def subclassed() -> Any:
    import keras

    class Net(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    return Net(name="net")


def squashed_by_tanh() -> Any:
    import keras

    crops = inputs()
    x = keras.layers.Flatten()(crops)
    return keras.Model(crops, keras.layers.Dense(2, activation="tanh", name="odd")(x))


@pytest.mark.parametrize(("build", "message"), [
    (several_inputs, "one input, found 2: .* model of crops alone"),
    (several_outputs, "one output, found 2"),
    (maps_out, r"expected a classifier with output \(N, classes\)"),
    (averaged, "ends in 'mean', which joins the outputs of other layers.* members one by one"),
    (subclassed, "'net' has no graph to follow: expected a functional"),
    (squashed_by_tanh, "ends in 'odd' with activation 'tanh'; logits can be told of softmax"),
])
def test_models_that_cannot_be_followed_are_refused(build: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_probe(build())


def test_a_model_without_convolutions_has_gradients_but_no_maps() -> None:
    import keras

    crops = inputs()
    x = keras.layers.Flatten()(crops)
    model = keras.Model(crops, keras.layers.Dense(2, activation="softmax")(x))
    found = explain(model, noise_crops(2, 3), method="gradient-x-input")
    assert found.heatmaps.shape == (2, 32, 32)
    assert found.layer == ""
    with pytest.raises(InputError, match=r"no convolution with a map of 4x4 .*maps: none"):
        explain(model, noise_crops(2, 3))
