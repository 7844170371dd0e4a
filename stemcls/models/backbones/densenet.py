"""DenseNet161, which Keras lacks, as torchvision defines it, layers named as Keras names them."""

from __future__ import annotations

import re
from typing import Any

EPSILON = 1e-5
BLOCKS = (6, 12, 36, 24)
GROWTH = 48


def densenet161(input_tensor: Any, weights: None = None) -> Any:
    """Build the wide DenseNet: growth 48, 96 channels to begin with, stride 32.

    Args:
        input_tensor: keras.Input (H, W, 3).
        weights: None; torch weights are loaded from a file afterwards.
    Source: Huang et al. 2016, section 3 (arXiv:1608.06993).
    """
    import keras

    del weights
    x = keras.layers.ZeroPadding2D(3, name="conv1_pad")(input_tensor)
    x = _convolution(2 * GROWTH, 7, "conv1_conv", strides=2)(x)
    x = _activated(x, "conv1_bn", "conv1_relu")
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for block, repeats in enumerate(BLOCKS, start=2):
        if block > 2:
            name = f"pool{block - 1}"
            x = _activated(x, f"{name}_bn", f"{name}_relu")
            x = _convolution(x.shape[-1] // 2, 1, f"{name}_conv")(x)
            x = keras.layers.AveragePooling2D(2, name=f"{name}_pool")(x)
        for number in range(1, repeats + 1):
            name = f"conv{block}_block{number}"
            y = _activated(x, f"{name}_0_bn", f"{name}_0_relu")
            y = _convolution(4 * GROWTH, 1, f"{name}_1_conv")(y)
            y = _activated(y, f"{name}_1_bn", f"{name}_1_relu")
            y = _convolution(GROWTH, 3, f"{name}_2_conv", padding="same")(y)
            x = keras.layers.Concatenate(name=f"{name}_concat")([x, y])
    x = _activated(x, "bn", "relu")
    return keras.Model(input_tensor, x, name="densenet161")


def densenet_layer(module: str) -> str | None:
    """Return our layer for a torch module: features.denseblock1.denselayer2.norm1 is
    conv2_block2_0_bn.

    Torchvision's own files of 2017 write norm.1 and conv.1 for norm1 and conv1.
    """
    name = re.sub(r"\b(norm|conv)\.([12])$", r"\1\2", module.removeprefix("features."))
    fixed = {"conv0": "conv1_conv", "norm0": "conv1_bn", "norm5": "bn"}
    if name in fixed:
        return fixed[name]
    found = re.fullmatch(r"transition(\d)\.(norm|conv)", name)
    if found:
        return f"pool{int(found[1]) + 1}_{'bn' if found[2] == 'norm' else 'conv'}"
    found = re.fullmatch(r"denseblock(\d)\.denselayer(\d+)\.(norm|conv)([12])", name)
    if found:
        block, layer, kind, place = found.groups()
        ours = f"{int(place) - 1}_bn" if kind == "norm" else f"{place}_conv"
        return f"conv{int(block) + 1}_block{layer}_{ours}"
    return None


def _activated(x: Any, normalisation: str, activation: str) -> Any:
    import keras

    x = keras.layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, name=normalisation)(x)
    return keras.layers.ReLU(name=activation)(x)


def _convolution(channels: int, size: int, name: str, **settings: Any) -> Any:
    import keras

    return keras.layers.Conv2D(
        channels, size, use_bias=False, kernel_initializer="he_normal", name=name, **settings
    )
