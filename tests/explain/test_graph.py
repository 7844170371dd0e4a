"""Cuts of a graph are found by following it, and the default layer says something."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.explain.explain import explain
from stemcls.explain.graph import check_layer, cut_layers, saliency_layer

from .conftest import winding_model


@pytest.fixture(scope="module")
def winding() -> Any:
    return winding_model()


@pytest.fixture(scope="module")
def mobilenet() -> Any:
    import keras

    inputs = keras.Input((64, 64, 3), name="crops")
    x = keras.layers.Rescaling(2 / 255, -1.0, name="rescaling")(inputs)
    backbone = keras.applications.MobileNetV2(
        input_tensor=x, weights=None, alpha=0.35, include_top=False
    )
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(backbone.output)
    x = keras.layers.Dense(3, name="logits")(x)
    return keras.Model(inputs, keras.layers.Softmax(name="probabilities")(x))


def test_layers_beside_a_shortcut_or_a_branch_are_no_cuts(winding: Any) -> None:
    assert cut_layers(winding) == [
        "rescaling", "stem", "joined", "middle", "stacked", "last", "pooling", "dropout",
    ]


def test_the_default_layer_is_the_deepest_that_is_fine_enough(winding: Any) -> None:
    assert saliency_layer(winding) == "last"


def test_the_default_layer_of_mobilenetv2_has_8_px_a_pixel_and_no_shortcut(mobilenet: Any) -> None:
    name = saliency_layer(mobilenet)
    assert name == "block_6_expand_relu"
    assert mobilenet.get_layer(name).output.shape[1:3] == (8, 8)
    assert "block_5_expand" not in cut_layers(mobilenet)
    assert "block_5_add" in cut_layers(mobilenet)


def test_mobilenetv2_is_explained(mobilenet: Any) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    found = explain(mobilenet, crops, np.array([2, 0]))
    assert found.heatmaps.shape == (2, 64, 64)
    assert found.layer == "block_6_expand_relu"
    expected = np.asarray(mobilenet(crops, training=False))
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-5)


def test_an_enlarged_input_counts_by_the_pixels_of_the_crop() -> None:
    import keras

    inputs = keras.Input((16, 16, 1), name="crops")
    x = keras.layers.Resizing(64, 64, name="resizing")(inputs)
    for index in range(4):
        x = keras.layers.Conv2D(2, 3, strides=2, padding="same", name=f"conv_{index}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    outputs = keras.layers.Dense(2, name="logits")(x)
    assert saliency_layer(keras.Model(inputs, outputs)) == "conv_3"


def test_a_coarse_network_falls_back_to_a_4x4_map_and_below_that_says_so() -> None:
    import keras

    def coarse(crop: int) -> Any:
        inputs = keras.Input((crop, crop, 1), name="crops")
        x = keras.layers.Conv2D(2, 16, strides=16, name="patches")(inputs)
        x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
        return keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))

    assert saliency_layer(coarse(64)) == "patches"
    with pytest.raises(InputError, match=r"4x4 or more .* maps: patches 2x2\); enlarge"):
        saliency_layer(coarse(32))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("midle", r"no layer 'midle'; did you mean 'middle'\?"),
        ("pooling", r"gives \(None, 12\).* choose a convolution, such as last \(the default\)"),
        ("around", r"passed by a shortcut.* such as last \(the default\), middle, stacked"),
    ],
)
def test_a_layer_that_cannot_be_used_is_answered_with_one_that_can(
    winding: Any, layer: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_layer(winding, layer)


def test_a_model_without_logits_says_what_it_has() -> None:
    import keras

    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten(name="flat")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="scores")(x))
    with pytest.raises(InputError, match=r"no layer 'logits'.* last layers are .*flat, scores"):
        cut_layers(model)


@pytest.mark.parametrize(("backbone", "layer"), [
    ("TinyCNN", "block4b_relu"), ("MobileNet", "conv_pw_5_relu"), ("ResNet18", "conv3_block2_out"),
])
def test_backbones_are_explained_at_stride_8(backbone: str, layer: str) -> None:
    from stemcls.config.experiment import ModelConfig
    from stemcls.explain.graph import backbone_layer
    from stemcls.explain.probe import open_probe
    from stemcls.models.build import add_head, build_extractor

    config = ModelConfig(backbone=backbone, weights="none")
    extractor = build_extractor(config, (64, 64), 1, 255.0)
    probe = open_probe(add_head(extractor, config, 2, None, 0))
    assert backbone_layer(probe.model, backbone) == layer
    assert probe.model.get_layer(layer).output.shape[1:3] == (8, 8)
    if backbone == "ResNet18":
        message = r"has 2 pixels an edge.* 4 or more, such as conv3_block2_out .*\(--input-px\)"
        with pytest.raises(InputError, match=message) as caught:
            check_layer(probe.model, "conv5_block1_out")
        assert "conv5" not in str(caught.value).partition("such as")[2]


def test_the_tap_of_the_table_comes_before_a_deeper_layer_of_the_same_stride() -> None:
    import keras

    from stemcls.explain.graph import backbone_layer

    inputs = keras.Input((64, 64, 1), name="crops")
    x = keras.layers.Conv2D(2, 8, strides=8, name="block4b_relu")(inputs)
    x = keras.layers.Conv2D(2, 1, name="deeper")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))
    assert saliency_layer(model) == "deeper"
    assert backbone_layer(model, "TinyCNN") == "block4b_relu"
    assert backbone_layer(model, "VGG19") == "deeper"
