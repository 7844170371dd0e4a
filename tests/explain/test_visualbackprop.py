"""VisualBackProp against the paper's recipe by hand, and its blindness to classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stemcls.config.explain import MethodSettings
from stemcls.errors import InputError
from stemcls.explain.methods import METHODS
from stemcls.explain.probe import Probe, open_probe
from stemcls.explain.visualbackprop import longest_path, visualbackprop

EDGE = 8
SETTINGS = MethodSettings()


def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (2, EDGE, EDGE, 1), dtype=np.uint8)


def mapped(*stack: tuple[Any, list[Any]], edge: int = EDGE) -> Probe:
    """Open a chain of layers, each with the weights beside it, that ends in two classes."""
    import keras
    from keras import layers

    x = inputs = keras.Input((edge, edge, 1))
    for layer, weights in stack:
        x = layer(x)
        layer.set_weights([np.asarray(values, dtype=np.float32) for values in weights])
    x = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    return open_probe(keras.Model(inputs, x))


def test_maps_are_averaged_deconvolved_with_ones_and_multiplied() -> None:
    from keras import layers

    probe = mapped(
        # two channels: the pixel, and twice the pixel; then their sum over 2x2 steps
        (layers.Conv2D(2, 1, use_bias=False, activation="relu"), [[[[[1, 2]]]]]),
        (layers.MaxPooling2D(2), []),
        (layers.Conv2D(1, 3, strides=1, use_bias=False), [np.ones((3, 3, 2, 1))]),
        (layers.ReLU(), []),
    )
    pixels = crops().astype(np.float64)[..., 0]
    first = 1.5 * pixels  # mean of the two channels
    pooled = pixels.reshape(2, 4, 2, 4, 2).max(axis=(2, 4))
    deepest = np.zeros((2, 2, 2))
    spread = np.zeros((2, 4, 4))
    for y in range(2):
        for x in range(2):
            deepest[:, y, x] = 3 * pooled[:, y : y + 3, x : x + 3].sum(axis=(1, 2))
            spread[:, y : y + 3, x : x + 3] += deepest[:, y, x, None, None]
    expected = np.repeat(np.repeat(spread, 2, axis=1), 2, axis=2) * first
    expected /= expected.max(axis=(1, 2), keepdims=True)
    found = visualbackprop(probe, crops(), np.array([0, 1]), SETTINGS)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_padding_and_resizing_move_a_map_of_many_channels() -> None:
    from keras import layers

    probe = mapped(
        (layers.Resizing(4, 4), []),
        (layers.Conv2D(2, 1, use_bias=False, activation="relu"), [[[[[1, 2]]]]]),
        (layers.ZeroPadding2D(((2, 0), (0, 2))), []),
        (layers.Cropping2D(((2, 0), (0, 2))), []),
        (layers.Conv2D(1, 1, use_bias=False, activation="relu"), [[[[[1], [1]]]]]),
    )
    bright = np.zeros((1, EDGE, EDGE, 1), np.uint8)
    bright[:, :2, 6:] = 200
    found = visualbackprop(probe, bright, np.array([0]), SETTINGS)
    assert (found[0, :2, 6:] == 1).all()
    assert found[0, 4:].max() == 0
    assert found[0, :, :4].max() == 0


def test_it_is_blind_to_classes_where_gradcam_is_not() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((EDGE, EDGE, 2))
    seen = layers.Conv2D(2, 1, use_bias=False, activation="relu", name="seen")
    dense = layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(layers.GlobalAveragePooling2D()(seen(inputs))))
    seen.set_weights([np.eye(2)[None, None]])
    dense.set_weights([np.eye(2)])  # each class is what one channel shows
    probe = open_probe(model, layers="seen")
    halves = np.concatenate([crops(), crops()], axis=-1)
    halves[:, :, 4:, 0] = halves[:, :, :4, 1] = 0  # the first on the left, the second on the right
    maps = {
        name: [METHODS[name].compute(probe, halves, np.array([k, k]), SETTINGS) for k in (0, 1)]
        for name in ("gradcam", "visualbackprop")
    }
    assert maps["gradcam"][0][:, :, 4:].max() == 0 == maps["gradcam"][1][:, :, :4].max()
    np.testing.assert_array_equal(*maps["visualbackprop"])
    assert (maps["visualbackprop"][0].min(axis=(1, 2)) > 0).all()
    assert not METHODS["visualbackprop"].class_aware
    assert METHODS["gradcam"].class_aware


def test_a_network_that_branches_is_followed_along_its_longest_path() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((EDGE, EDGE, 1))
    x = layers.Conv2D(2, 3, padding="same", activation="relu", name="stem")(inputs)
    long = layers.Conv2D(2, 3, padding="same", activation="relu", name="long_1")(x)
    long = layers.Conv2D(2, 3, padding="same", activation="relu", name="long_2")(long)
    short = layers.Conv2D(2, 1, name="short")(x)
    x = layers.Add(name="joined")([short, long])
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeezed")(x)
    for number in range(4):
        gate = layers.Conv2D(2, 1, activation="relu", name=f"gate_{number}")(gate)
    x = layers.Multiply(name="gated")([x, gate])
    x = layers.ReLU(name="last")(x)
    x = layers.Dense(2)(layers.GlobalAveragePooling2D()(x))
    probe = open_probe(keras.Model(inputs, x))
    names = [operation.name for operation in longest_path(probe)][1:]
    assert names == ["stem", "long_1", "long_2", "joined", "gated", "last"]


def test_a_model_without_relu_is_refused() -> None:
    from keras import layers

    probe = mapped((layers.Conv2D(1, 3, use_bias=False), [np.ones((3, 3, 1, 1))]))
    with pytest.raises(InputError, match="maps behind a ReLU, and the model has none"):
        visualbackprop(probe, crops(), np.array([0, 0]), SETTINGS)
