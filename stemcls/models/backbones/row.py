"""What a row of the table of backbones says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Normalisation:
    """What pixels become ahead of the first convolution: (pixel * scale + offset - mean) / std.

    Attributes:
        scale: Of pixels in [0, 1].
        offset: Added to every channel.
        mean: Of red, green and blue, in units of the scaled pixels; None where none is taken off.
        std: Likewise.
        reversed_channels: The published weights take blue, green, red.
    """

    scale: float
    offset: float = 0.0
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    reversed_channels: bool = False


UNIT_SYMMETRIC = Normalisation(2.0, -1.0)
IMAGENET = Normalisation(1.0, 0.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CAFFE = Normalisation(255.0, 0.0, (123.68, 116.779, 103.939), reversed_channels=True)
# EfficientNetV2 S was trained on pixel / 128 - 1, pixel in [0, 255].
BY_128 = Normalisation(255.0 / 128.0, -1.0)


@dataclass(frozen=True)
class Backbone:
    """One network.

    Attributes:
        construct: `construct(input_tensor=, weights=, **arguments)` returns a keras.Model from a
            keras.Input with 3 channels to its last map; `weights` is None, or "imagenet" where
            Keras can download them. `alpha` is the only argument besides.
        normalisation: As its ImageNet weights expect.
        taps: Stride in pixels per feature -> name of the last layer at that stride.
        least_px: Smallest input edge it accepts; smaller crops are enlarged inside the model.
        alphas: Width multipliers with published weights; empty where it takes no multiplier.
        pretrained: ImageNet weights were published.
        torch_layer: Name of the layer for the name of a torch module, where weights of torchvision
            or timm fit; None for what is no part of it.
    """

    construct: Callable[..., Any]
    normalisation: Normalisation
    taps: Mapping[int, str]
    least_px: int = 32
    alphas: tuple[float, ...] = ()
    pretrained: bool = True
    torch_layer: Callable[[str], str | None] | None = None
