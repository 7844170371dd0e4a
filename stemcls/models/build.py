"""Build the flat Keras graph: raw pixels -> normalisation -> backbone -> pooling -> head."""

from __future__ import annotations

import contextlib
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.experiment import ModelConfig
from stemcls.errors import InputError, nearest
from stemcls.models.backbones import BACKBONES, Backbone

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LEAST_VARIANCE = 0.01


def build_extractor(
    config: ModelConfig, size_px: tuple[int, int], n_channels: int, white: float
) -> Any:
    """Build the part below the head, with its weights loaded.

    Args:
        config: Backbone, weights, input size and tap.
        size_px: Height and width of the crops that will be fed in.
        n_channels: Their channels. With pretrained weights 1 (repeated three times) or 3.
        white: Largest value a pixel can have: 255 or 65535.
    Returns: keras.Model from raw pixels (N, H, W, C) to pooled features (N, F) float32; its last
        4-D layer is the tap.
    Raises:
        InputError: Unknown backbone or stride, a crop too small, channels that the weights cannot
            take, or weights that are missing or do not fit.
    """
    import keras

    if config.backbone not in BACKBONES:
        raise InputError(
            f"there is no backbone {config.backbone!r}{nearest(config.backbone, BACKBONES)}"
        )
    backbone = BACKBONES[config.backbone]
    tap = _tap(config, backbone)
    edge = config.input_px or min(size_px)
    if edge < backbone.least_px:
        raise InputError(
            f"{config.backbone} needs at least {backbone.least_px} px, the crops have {edge}; "
            f"let the model enlarge them: --input-px {backbone.least_px}"
        )
    inputs = keras.Input((*size_px, n_channels), name="crops")
    x = _normalised(inputs, config, backbone, n_channels, white)
    arguments: dict[str, Any] = {"alpha": config.alpha} if backbone.arguments else {}
    if config.alpha != 1.0 and not backbone.arguments:
        raise InputError(f"{config.backbone} takes no --alpha; MobileNet and MobileNetV2 do")
    end = _constructed(backbone, config, x, arguments)
    network = end if isinstance(end, keras.Model) else keras.Model(inputs, end)
    tapped = network.get_layer(tap).output
    features = keras.layers.GlobalAveragePooling2D(name="pooling")(tapped)
    return keras.Model(inputs, features, name="extractor")


def add_head(
    extractor: Any, config: ModelConfig, n_classes: int, features: np.ndarray | None, seed: int
) -> Any:
    """Put a fresh head on an extractor.

    Args:
        extractor: From `build_extractor`.
        config: Dense layers, dropout and L2.
        n_classes: K.
        features: (N, F) features of the training crops, to scale each to mean 0 and variance 1
            ahead of the head; None leaves them as they are.
        seed: Of the initial weights and the dropout.
    Returns: keras.Model from raw pixels to `probabilities` (N, K) float32; flat, built-in layers
        only. Head: He-normal dense layers with L2 and dropout (Wang 2023, Kim 2022).
    """
    import keras

    x = extractor.output
    if features is not None:
        scaling = keras.layers.BatchNormalization(
            center=False, scale=False, epsilon=1e-5, trainable=False, name="feature_scaling"
        )
        x = scaling(x)
        variance = features.var(axis=0)
        # A feature that hardly moves in training must not be blown up when it moves later.
        least = LEAST_VARIANCE * float(variance.mean())
        scaling.set_weights([features.mean(axis=0), np.maximum(variance, least)])
    for index, units in enumerate(config.dense):
        x = keras.layers.Dropout(config.dropout, seed=seed + index, name=f"dropout_{index + 1}")(x)
        x = keras.layers.Dense(
            units, activation="relu", name=f"dense_{index + 1}",
            kernel_initializer=keras.initializers.HeNormal(seed=seed + index),
            kernel_regularizer=keras.regularizers.L2(config.l2),
        )(x)
    x = keras.layers.Dropout(config.dropout, seed=seed + 98, name="dropout")(x)
    x = keras.layers.Dense(
        n_classes, name="logits",
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed + 99),
        kernel_regularizer=keras.regularizers.L2(config.l2),
    )(x)
    outputs = keras.layers.Softmax(name="probabilities", dtype="float32")(x)
    return keras.Model(extractor.input, outputs, name="stemcls")


def head_of(model: Any) -> Any:
    """Return the head alone, (N, F) features to (N, K) probabilities; it shares its weights."""
    import keras

    return keras.Model(model.get_layer("pooling").output, model.output, name="head")


def _tap(config: ModelConfig, backbone: Backbone) -> str:
    stride = config.stride
    if len(backbone.taps) == 1:
        stride = next(iter(backbone.taps))
    if stride not in backbone.taps:
        strides = ", ".join(map(str, backbone.taps))
        raise InputError(f"{config.backbone} cannot be tapped at stride {stride}; one of {strides}")
    return backbone.taps[stride]


def _normalised(
    inputs: Any, config: ModelConfig, backbone: Backbone, n_channels: int, white: float
) -> Any:
    import keras

    x = inputs
    height, width = inputs.shape[1:3]
    if config.input_px and config.input_px != min(height, width):
        enlarged = config.input_px / min(height, width)
        x = keras.layers.Resizing(
            round(height * enlarged), round(width * enlarged), name="resizing"
        )(x)
    symmetric = backbone.normalisation == "symmetric"
    scale, offset = (2.0 / white, -1.0) if symmetric else (1.0 / white, 0.0)
    x = keras.layers.Rescaling(scale, offset, name="rescaling")(x)
    if config.weights != "none" and n_channels != 3:
        if n_channels != 1:
            raise InputError(
                f"pretrained weights take 1 or 3 channels, the crops have {n_channels}; rebuild "
                "the store with --channels rgb or grey, or train with --weights none"
            )
        x = keras.layers.Concatenate(name="grey_to_rgb")([x, x, x])
    if backbone.normalisation == "imagenet":
        channels = x.shape[-1]
        mean = IMAGENET_MEAN if channels == 3 else (0.449,) * channels
        std = IMAGENET_STD if channels == 3 else (0.226,) * channels
        x = keras.layers.Normalization(
            mean=mean, variance=[value**2 for value in std], name="normalisation"
        )(x)
    return x


def _constructed(
    backbone: Backbone, config: ModelConfig, x: Any, arguments: dict[str, Any]
) -> Any:
    if config.weights == "none":
        return backbone.construct(input_tensor=x, weights=None, **arguments)
    if not backbone.pretrained:
        raise InputError(f"{config.backbone} has no pretrained weights; train with --weights none")
    if config.weights == "imagenet":
        try:
            # Keras tells of a download on stdout, which is for data alone.
            with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
                # Fully convolutional weights fit any size; Keras warns that it takes 224's.
                warnings.filterwarnings("ignore", message="`input_shape` is undefined")
                return backbone.construct(input_tensor=x, weights="imagenet", **arguments)
        except Exception as error:  # Keras raises a bare Exception for a failed download
            if "fetch failure" not in str(error):
                raise
            raise InputError(
                f"the ImageNet weights of {config.backbone} could not be downloaded ({error}). "
                "On a machine with a network run the same command once, or download the 'notop' "
                "file that the message names, copy it here, and give its path: --weights FILE. "
                "To start from random weights instead: --weights none"
            ) from error
    path = Path(config.weights)
    if not path.is_file():
        raise InputError(
            f"weights file {path} does not exist; expected imagenet, none or the path of a Keras "
            f"'notop' weights file of {config.backbone}"
        )
    try:
        with warnings.catch_warnings():
            # Keras only warns when layers find nothing in the file and stay random.
            warnings.filterwarnings("error", message="Skipping", category=UserWarning)
            return backbone.construct(input_tensor=x, weights=str(path), **arguments)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise InputError(
            f"weights file {path} does not fit {config.backbone} with alpha {config.alpha}: "
            f"{str(error).splitlines()[0]}"
        ) from error
