"""The table of backbones: how each is built, normalised, and where a head may tap it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Backbone:
    """One network.

    Attributes:
        construct: `construct(input_tensor=, weights=, **arguments)` returns the
            last tensor, or a flat keras.Model that ends in it.
        normalisation: "unit" for [0, 1], "symmetric" for [-1, 1], "imagenet" for [0, 1] less the
            ImageNet mean, divided by its standard deviation; as its ImageNet weights expect.
        taps: Stride in pixels per feature -> name of the last layer at that stride.
        least_px: Smallest input edge it accepts.
        pretrained: ImageNet weights can be had.
        arguments: What the constructor takes besides; only MobileNets take `alpha`.
    """

    construct: Callable[..., Any]
    normalisation: str
    taps: Mapping[int, str]
    least_px: int = 32
    pretrained: bool = True
    arguments: tuple[str, ...] = ()


def _application(name: str) -> Callable[..., Any]:
    def construct(**arguments: Any) -> Any:
        import keras

        return getattr(keras.applications, name)(include_top=False, **arguments)

    return construct


def _tiny_cnn(input_tensor: Any, weights: None = None) -> Any:
    """Four convolution blocks, 16 to 64 channels: trains from scratch on a CPU in a minute."""
    import keras

    del weights  # there are none to load
    x = input_tensor
    for block, channels in enumerate((16, 32, 48, 64), start=1):
        for half in ("a", "b"):
            name = f"block{block}{half}"
            x = keras.layers.Conv2D(
                channels, 3, padding="same", use_bias=False, kernel_initializer="he_normal",
                name=f"{name}_conv",
            )(x)
            x = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        if block < 4:
            x = keras.layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return x


BACKBONES: dict[str, Backbone] = {
    "TinyCNN": Backbone(_tiny_cnn, "symmetric", {8: "block4b_relu"}, least_px=16, pretrained=False),
    "MobileNet": Backbone(
        _application("MobileNet"),
        "symmetric",
        {8: "conv_pw_5_relu", 16: "conv_pw_11_relu", 32: "conv_pw_13_relu"},
        arguments=("alpha",),
    ),
    "MobileNetV2": Backbone(
        _application("MobileNetV2"),
        "symmetric",
        {8: "block_6_expand_relu", 16: "block_13_expand_relu", 32: "out_relu"},
        arguments=("alpha",),
    ),
    "DenseNet121": Backbone(
        _application("DenseNet121"),
        "imagenet",
        {8: "pool3_relu", 16: "pool4_relu", 32: "relu"},
    ),
    "DenseNet169": Backbone(
        _application("DenseNet169"),
        "imagenet",
        {8: "pool3_relu", 16: "pool4_relu", 32: "relu"},
    ),
    "ResNet50V2": Backbone(
        _application("ResNet50V2"),
        "symmetric",
        {8: "conv3_block4_preact_relu", 16: "conv4_block6_preact_relu", 32: "post_relu"},
    ),
    "InceptionV3": Backbone(
        _application("InceptionV3"),
        "symmetric",
        {8: "mixed2", 16: "mixed7", 32: "mixed10"},
        least_px=75,
    ),
    "Xception": Backbone(
        _application("Xception"),
        "symmetric",
        {8: "block4_sepconv1_act", 16: "block13_sepconv1_act", 32: "block14_sepconv2_act"},
        least_px=71,
    ),
}
