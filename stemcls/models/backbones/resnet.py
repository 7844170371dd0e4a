"""ResNets of basic blocks, which Keras lacks, as torchvision and timm define them."""

from __future__ import annotations

import re
from typing import Any

EPSILON = 1e-5


def basic_resnet(blocks: tuple[int, ...], input_tensor: Any, weights: None = None) -> Any:
    """Build a ResNet of two-convolution blocks, 64 to 512 channels, stride 32.

    Args:
        blocks: Of each of the four stages; (2, 2, 2, 2) is ResNet18, (3, 4, 6, 3) ResNet34.
        input_tensor: keras.Input (H, W, 3).
        weights: None; torch weights are loaded from a file afterwards.
    Source: He et al. 2015, table 1 and fig. 5 left (arXiv:1512.03385).
    """
    import keras

    del weights
    x = keras.layers.ZeroPadding2D(3, name="conv1_pad")(input_tensor)
    x = _convolved(x, 64, 7, 2, "conv1")
    x = keras.layers.ReLU(name="conv1_relu")(x)
    # Zeros around what is positive are what torch's minus infinity around it comes to.
    x = keras.layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, repeats in enumerate(blocks, start=2):
        for number in range(1, repeats + 1):
            stride = 2 if number == 1 and stage > 2 else 1
            x = _block(x, 32 * 2 ** (stage - 1), stride, f"conv{stage}_block{number}")
    return keras.Model(input_tensor, x, name=f"resnet{2 * sum(blocks) + 2}")


def resnet_layer(module: str) -> str | None:
    """Return our layer for a torch module: layer2.0.conv1 is conv3_block1_1_conv."""
    if module == "conv1":
        return "conv1_conv"
    if module == "bn1":
        return "conv1_bn"
    found = re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn)(\d)", module)
    if found:
        stage, block, kind, place = found.groups()
        return f"conv{int(stage) + 1}_block{int(block) + 1}_{place}_{kind}"
    found = re.fullmatch(r"layer(\d)\.(\d+)\.downsample\.([01])", module)
    if found:
        stage, block, place = found.groups()
        return f"conv{int(stage) + 1}_block{int(block) + 1}_0_{('conv', 'bn')[int(place)]}"
    return None


def _block(x: Any, channels: int, stride: int, name: str) -> Any:
    import keras

    shortcut = x
    if stride > 1:
        shortcut = _convolved(x, channels, 1, stride, f"{name}_0")
    # Padding "same" would pad a strided convolution on one side only, torch pads both.
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_1_pad")(x)
    x = _convolved(x, channels, 3, stride, f"{name}_1")
    x = keras.layers.ReLU(name=f"{name}_1_relu")(x)
    x = keras.layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = _convolved(x, channels, 3, 1, f"{name}_2")
    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return keras.layers.ReLU(name=f"{name}_out")(x)


def _convolved(x: Any, channels: int, size: int, stride: int, name: str) -> Any:
    import keras

    x = keras.layers.Conv2D(
        channels, size, strides=stride, use_bias=False, kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, name=f"{name}_bn")(x)
