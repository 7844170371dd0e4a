"""Rules of relevance propagation against formulas by hand, gradients and conservation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stemcls.config.explain import MethodSettings
from stemcls.errors import InputError
from stemcls.explain.baselines import gradient_x_input
from stemcls.explain.lrp.layers import LAYERS
from stemcls.explain.lrp.presets import PRESETS
from stemcls.explain.lrp.relevance import relevance
from stemcls.explain.lrp.rules import (
    Box,
    Linear,
    Rule,
    alpha_beta_rule,
    box_rule,
    divide,
    epsilon_rule,
    gamma_rule,
)
from stemcls.explain.methods import METHODS
from stemcls.explain.probe import Probe, open_probe

EDGE = 12
X = np.array([[1.0, -2.0, 0.5]])
W = np.array([[0.5, -1.0], [0.25, 2.0], [3.0, 4.0]])
B = np.array([0.5, -1.0])
R = np.array([[2.0, -3.0]])


def by_hand(weights: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, float]:
    """Divide R by (3, 2) contributions and (2,) of the bias, each column in proportion."""
    total = weights.sum(axis=0) + kept
    return (weights * R[0] / total).sum(axis=1), float((kept * R[0] / total).sum())


def plus(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0)


def minus(values: np.ndarray) -> np.ndarray:
    return np.minimum(values, 0)


def gamma_by_hand() -> tuple[np.ndarray, float]:
    """Gamma 0.5: contributions of the sign of z count 1.5 times; z is (2, -4)."""
    signs = np.sign(X @ W + B)
    contributions = X.T * W
    weighed = contributions + 0.5 * np.where(contributions * signs > 0, contributions, 0)
    return by_hand(weighed, B + 0.5 * np.where(B * signs[0] > 0, B, 0))


def alpha_beta_by_hand() -> tuple[np.ndarray, float]:
    above, below = by_hand(plus(X.T * W), plus(B)), by_hand(minus(X.T * W), minus(B))
    return 2 * above[0] - below[0], 2 * above[1] - below[1]


BY_HAND: dict[str, tuple[Rule, Callable[[], tuple[np.ndarray, float]]]] = {
    "epsilon": (epsilon_rule, lambda: by_hand(X.T * W, B)),
    "gamma": (gamma_rule(0.5), gamma_by_hand),
    "z+": (alpha_beta_rule(1, 0), lambda: by_hand(plus(X.T * W), plus(B))),
    "alpha-beta": (alpha_beta_rule(2, 1), alpha_beta_by_hand),
    "z-box": (box_rule, lambda: by_hand(X.T * W + 2 * plus(W) - minus(W), np.zeros(2))),
}


@pytest.mark.parametrize("name", list(BY_HAND))
def test_a_rule_divides_as_its_formula_says(name: str) -> None:
    from keras import ops

    rule, expected = BY_HAND[name]
    x, kernel, bias, arrived = (ops.convert_to_tensor(v.astype(np.float32)) for v in (X, W, B, R))
    linear = Linear(lambda kernel, x: ops.matmul(x, kernel), kernel, bias)
    box = Box(ops.full_like(x, -2.0), ops.ones_like(x))
    passed = divide(linear, rule(linear, x, box), arrived, 1e-9)
    relevances, kept = expected()
    np.testing.assert_allclose(passed.inputs[0], relevances[None], rtol=3e-5)
    np.testing.assert_allclose(passed.bias, [kept], rtol=3e-5, atol=1e-6)
    np.testing.assert_allclose(passed.absorbed, [0], atol=3e-6)
    assert relevances.sum() + kept == pytest.approx(R.sum())


def varied(use_bias: bool = True, bent: str = "relu") -> Probe:
    """Open a network of most layer types, ReLU only if not `bent`, with drawn weights."""
    import keras
    from keras import layers

    inputs = keras.Input((EDGE, EDGE, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(8, 3, use_bias=use_bias, activation=bent)(x)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=use_bias)(x)
    y = layers.SeparableConv2D(8, 3, padding="same", use_bias=use_bias)(layers.ReLU()(y))
    x = layers.Activation(bent)(layers.Add()([x, y]))
    x = layers.MaxPooling2D(2)(x)
    y = layers.Conv2D(4, 3, padding="same", use_bias=use_bias)(x)
    x = layers.AveragePooling2D(2, strides=1, padding="same")(layers.Concatenate()([x, y]))
    if use_bias:
        x = layers.BatchNormalization()(x)
        x = layers.LayerNormalization()(layers.ReLU(6.0)(x))
        gate = layers.Reshape((1, 1, 12))(layers.GlobalAveragePooling2D()(x))
        gate = layers.Conv2D(12, 1, activation="sigmoid")(gate)
        x = layers.Multiply()([x, gate])
    x = layers.Cropping2D(1)(layers.ZeroPadding2D(2)(layers.UpSampling2D(2)(x)))
    x = layers.Conv2D(8, 3, groups=2, use_bias=use_bias, activation=bent)(x)
    x = layers.Dropout(0.5)(layers.Flatten()(layers.MaxPooling2D(2)(x)))
    x = layers.Dense(6, activation="relu", use_bias=use_bias)(x)
    model = keras.Model(inputs, layers.Dense(3, use_bias=use_bias, name="logits")(x))
    random = np.random.default_rng(4)
    for layer in model.layers:
        layer.set_weights([
            random.uniform(0.1, 0.6, value.shape) if value.ndim == 1
            else random.normal(0, 1.2 / np.sqrt(np.prod(value.shape[:-1])), value.shape)
            for value in layer.get_weights()
        ])
    return open_probe(model)


def noise(n: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, EDGE, EDGE, 3), dtype=np.uint8)


TARGETS = np.array([0, 1, 2])


def test_lrp_0_is_gradient_x_input_on_relu_networks_without_biases() -> None:
    probe = varied(use_bias=False)
    found = relevance(probe, noise(), TARGETS, "epsilon", epsilon=1e-12)
    expected = gradient_x_input(probe, noise(), TARGETS, MethodSettings())
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(
        found.pixels.sum(axis=-1), expected, atol=1e-6 * np.abs(expected).max()
    )
    np.testing.assert_array_equal(found.bias, 0)


@pytest.mark.parametrize("bent", ["relu", "silu"])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_accounts_for_the_logit(preset: str, bent: str) -> None:
    probe = varied(bent=bent)
    found = relevance(probe, noise(), TARGETS, preset)
    np.testing.assert_allclose(
        found.logits, probe.logits(noise())[[0, 1, 2], TARGETS], rtol=1e-5
    )
    np.testing.assert_allclose(found.gap, found.absorbed, atol=1e-4 * np.abs(found.logits).max())


def test_a_method_reports_what_it_conserves() -> None:
    method = METHODS["lrp"]
    assert method.report is not None
    settings = MethodSettings(lrp="epsilon")
    told = method.report(varied(), noise(), TARGETS, settings)
    assert told["largest_gap"] < 1e-3
    assert told["relevance_of_pixels"] + told["share_of_biases"] == pytest.approx(
        told["logit"], rel=1e-3
    )
    raw = method.compute(varied(), noise(), TARGETS, settings)
    assert raw.shape == (3, EDGE, EDGE)
    assert raw.min() < 0 < raw.max()


def tiny(*stack: tuple[Any, list[Any]], edge: int = 2) -> Probe:
    """Open a chain of layers on (edge, edge, 1), each with the weights beside it."""
    import keras

    x = inputs = keras.Input((edge, edge, 1))
    for layer, weights in stack:
        x = layer(x)
        layer.set_weights([np.asarray(values, dtype=np.float32) for values in weights])
    return open_probe(keras.Model(inputs, x))


def test_a_batch_norm_that_cannot_be_folded_keeps_the_share_of_its_offset() -> None:
    from keras import layers

    # y = 2 x + 3 for each of 4 pixels, and the logit is their sum
    probe = tiny(
        (layers.BatchNormalization(epsilon=1e-9), [[4], [3], [0], [4]]), (layers.ReLU(), []),
        (layers.Flatten(), []), (layers.Dense(2, use_bias=False), [np.ones((4, 2))]),
    )
    crops = np.array([0, 1, 2, 3], dtype=np.uint8).reshape(1, 2, 2, 1)
    found = relevance(probe, crops, np.array([0]), "epsilon")
    np.testing.assert_allclose(found.pixels.ravel(), [0, 2, 4, 6], atol=1e-4)
    np.testing.assert_allclose([found.logits, found.bias], [[24], [12]], rtol=1e-5)


@pytest.mark.parametrize(("n_inputs", "expected"), [("gate", [3.0, 0.0]), ("signals", [1.5, 1.5])])
def test_a_gate_gets_no_relevance_and_two_signals_half_each(
    n_inputs: str, expected: list[float]
) -> None:
    import keras
    from keras import layers

    inputs = keras.Input((1, 2, 1))
    left, right = layers.Cropping2D(((0, 0), (0, 1))), layers.Cropping2D(((0, 0), (1, 0)))
    act = "sigmoid" if n_inputs == "gate" else "linear"
    product = layers.Multiply()([left(inputs), layers.Activation(act)(right(inputs))])
    dense = layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(layers.Flatten()(product)))
    dense.set_weights([np.array([[0.75, 0.0]])])
    probe = open_probe(model)
    crops = np.array([4, 200 if act == "sigmoid" else 1], dtype=np.uint8).reshape(1, 1, 2, 1)
    found = relevance(probe, crops, np.array([0]), "epsilon")
    np.testing.assert_allclose(found.pixels.ravel(), expected, atol=1e-4)


def test_black_pixels_are_relevant_by_the_z_box_rule_only_and_padding_never() -> None:
    from keras import layers

    kernel = np.where(np.eye(3) > 0, -0.01, 0.1)[..., None, None]
    probe = tiny(
        (layers.ZeroPadding2D(1), []), (layers.Conv2D(1, 3, use_bias=False), [kernel]),
        (layers.ReLU(), []), (layers.Flatten(), []),
        (layers.Dense(2, use_bias=False), [np.ones((16, 2))]), edge=4,
    )
    crops = np.full((1, 4, 4, 1), 100, dtype=np.uint8)
    crops[0, 1, 1] = 0
    boxed = relevance(probe, crops, np.array([0]), "epsilon-gamma-box")
    plain = relevance(probe, crops, np.array([0]), "epsilon-plus")
    assert boxed.pixels[0, 1, 1] > 0
    assert plain.pixels[0, 1, 1] == 0
    np.testing.assert_allclose(boxed.gap, 0, atol=1e-3)  # so none went to the padding


def test_a_layer_without_a_rule_is_named_with_a_preset_that_avoids_it() -> None:
    from keras import layers

    probe = tiny(
        (layers.Conv2DTranspose(2, 2, strides=2, name="wider"), [np.ones((2, 2, 2, 1)), [0, 0]]),
        (layers.ReLU(), []), (layers.GlobalAveragePooling2D(), []),
        (layers.Dense(2), [np.eye(2), [0, 0]]),
    )
    message = (
        r"'epsilon' has no rule for layers of type Conv2DTranspose \(such as 'wider'\); use an LRP "
        r"preset that avoids it: taylor"
    )
    crops = np.array([1, 2, 3, 4], dtype=np.uint8).reshape(1, 2, 2, 1)
    with pytest.raises(InputError, match=message):
        relevance(probe, crops, np.array([0]), "epsilon")
    found = relevance(probe, crops, np.array([0]), "taylor")
    np.testing.assert_allclose(found.gap, found.absorbed, atol=1e-4)


def test_layers_on_the_way_to_a_gate_need_no_rule() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((4, 4, 1))
    gate = layers.Conv2DTranspose(1, 1, activation="sigmoid")(inputs)
    x = layers.Flatten()(layers.Multiply()([inputs, gate]))
    probe = open_probe(keras.Model(inputs, layers.Dense(2)(x)))
    crops = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    found = relevance(probe, crops, np.array([0]), "epsilon")
    np.testing.assert_allclose(found.gap, 0, atol=1e-3)


def test_the_z_box_rule_asks_for_pixels_with_a_range() -> None:
    with pytest.raises(InputError, match=r"as uint8 or uint16; found float32: use .*epsilon-plus"):
        relevance(varied(), noise().astype(np.float32), TARGETS, "epsilon-gamma-box")


def test_presets_are_what_the_settings_offer_and_a_wrong_one_is_answered() -> None:
    (field,) = [one for one in dataclasses.fields(MethodSettings) if one.name == "lrp"]
    assert field.metadata["choices"] == tuple(PRESETS)
    with pytest.raises(InputError, match=r"no LRP preset 'epsilonplus'; did you mean"):
        relevance(varied(), noise(), TARGETS, "epsilonplus")


def test_every_name_in_the_table_is_one_of_keras() -> None:
    import keras
    from keras.src import ops as operations

    modules = (operations.nn, operations.numpy)
    for name in LAYERS:
        known = hasattr(keras.layers, name) or any(hasattr(module, name) for module in modules)
        assert known, name
