"""The rows of the table of backbones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from stemcls.errors import check_known
from stemcls.models.backbones.densenet import densenet161, densenet_layer
from stemcls.models.backbones.resnet import basic_resnet, resnet_layer
from stemcls.models.backbones.row import BY_128, CAFFE, IMAGENET, UNIT_SYMMETRIC, Backbone
from stemcls.models.backbones.tinycnn import tiny_cnn


def _application(name: str, **fixed: Any) -> Callable[..., Any]:
    def construct(**arguments: Any) -> Any:
        import keras

        return getattr(keras.applications, name)(include_top=False, **fixed, **arguments)

    return construct


def _densenet(name: str) -> Backbone:
    taps = {8: "pool3_relu", 16: "pool4_relu", 32: "relu"}
    return Backbone(_application(name), IMAGENET, taps, torch_layer=densenet_layer)


def _resnet(name: str, third: int, fourth: int) -> Backbone:
    taps = {8: f"conv3_block{third}_out", 16: f"conv4_block{fourth}_out", 32: "conv5_block3_out"}
    return Backbone(_application(name), CAFFE, taps)


def _resnet_v2(name: str, third: int, fourth: int) -> Backbone:
    relu = "preact_relu"
    taps = {8: f"conv3_block{third}_{relu}", 16: f"conv4_block{fourth}_{relu}", 32: "post_relu"}
    return Backbone(_application(name), UNIT_SYMMETRIC, taps)


def _basic_resnet(*blocks: int) -> Backbone:
    stages = ((8, 3), (16, 4), (32, 5))
    taps = {stride: f"conv{stage}_block{blocks[stage - 2]}_out" for stride, stage in stages}
    return Backbone(partial(basic_resnet, blocks), IMAGENET, taps, torch_layer=resnet_layer)


def _vgg(name: str, last: int) -> Backbone:
    taps = {8: f"block4_conv{last}", 16: f"block5_conv{last}", 32: "block5_pool"}
    return Backbone(_application(name), CAFFE, taps)


def _mobilenet_v3(name: str, taps: dict[int, str]) -> Backbone:
    construct = _application(name, include_preprocessing=False)
    return Backbone(construct, UNIT_SYMMETRIC, taps, alphas=(0.75, 1.0))


def _efficientnet_v2(name: str) -> Backbone:
    normalisation = IMAGENET if "V2B" in name else BY_128
    taps = {8: "block4a_expand_activation", 16: "block6a_expand_activation", 32: "top_activation"}
    return Backbone(_application(name, include_preprocessing=False), normalisation, taps)


def _convnext(name: str) -> Backbone:
    lower = name.replace("ConvNeXt", "convnext_").lower()
    taps = {stride: f"{lower}_downsampling_layernorm_{n}" for stride, n in ((8, 1), (16, 2))}
    taps[32] = "layer_normalization_1"
    return Backbone(_application(name, include_preprocessing=False), IMAGENET, taps)


BACKBONES: dict[str, Backbone] = {
    "TinyCNN": Backbone(
        tiny_cnn, UNIT_SYMMETRIC, {8: "block4b_relu"}, least_px=16, pretrained=False
    ),
    "MobileNet": Backbone(
        _application("MobileNet"),
        UNIT_SYMMETRIC,
        {8: "conv_pw_5_relu", 16: "conv_pw_11_relu", 32: "conv_pw_13_relu"},
        alphas=(0.25, 0.5, 0.75, 1.0),
    ),
    "MobileNetV2": Backbone(
        _application("MobileNetV2"),
        UNIT_SYMMETRIC,
        {8: "block_6_expand_relu", 16: "block_13_expand_relu", 32: "out_relu"},
        alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    ),
    "MobileNetV3Small": _mobilenet_v3(
        "MobileNetV3Small", {8: "activation_2", 16: "activation_12", 32: "activation_18"}
    ),
    "MobileNetV3Large": _mobilenet_v3(
        "MobileNetV3Large", {8: "activation_2", 16: "activation_14", 32: "activation_20"}
    ),
    "EfficientNetV2B0": _efficientnet_v2("EfficientNetV2B0"),
    "EfficientNetV2B1": _efficientnet_v2("EfficientNetV2B1"),
    "EfficientNetV2S": _efficientnet_v2("EfficientNetV2S"),
    "DenseNet121": _densenet("DenseNet121"),
    "DenseNet161": Backbone(
        densenet161,
        IMAGENET,
        {8: "pool3_relu", 16: "pool4_relu", 32: "relu"},
        torch_layer=densenet_layer,
    ),
    "DenseNet169": _densenet("DenseNet169"),
    "DenseNet201": _densenet("DenseNet201"),
    "ResNet18": _basic_resnet(2, 2, 2, 2),
    "ResNet34": _basic_resnet(3, 4, 6, 3),
    "ResNet50": _resnet("ResNet50", 4, 6),
    "ResNet101": _resnet("ResNet101", 4, 23),
    "ResNet152": _resnet("ResNet152", 8, 36),
    "ResNet50V2": _resnet_v2("ResNet50V2", 4, 6),
    "ResNet101V2": _resnet_v2("ResNet101V2", 4, 23),
    "ResNet152V2": _resnet_v2("ResNet152V2", 8, 36),
    "InceptionV3": Backbone(
        _application("InceptionV3"),
        UNIT_SYMMETRIC,
        {8: "mixed2", 16: "mixed7", 32: "mixed10"},
        least_px=75,
    ),
    "Xception": Backbone(
        _application("Xception"),
        UNIT_SYMMETRIC,
        {8: "block4_sepconv1_act", 16: "block13_sepconv1_act", 32: "block14_sepconv2_act"},
        least_px=71,
    ),
    "VGG16": _vgg("VGG16", 3),
    "VGG19": _vgg("VGG19", 4),
    "ConvNeXtTiny": _convnext("ConvNeXtTiny"),
    "ConvNeXtSmall": _convnext("ConvNeXtSmall"),
}


def backbone_named(name: str) -> Backbone:
    """Return the row of a backbone.

    Raises:
        InputError: There is none of that name; says which is nearest.
    """
    check_known(name, BACKBONES, f"there is no backbone {name!r}")
    return BACKBONES[name]
