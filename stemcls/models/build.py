"""Build the flat Keras graph: raw pixels -> normalisation -> backbone -> pooling -> head."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from stemcls.config.experiment import ModelConfig
from stemcls.errors import InputError
from stemcls.models.backbones import BACKBONES, Backbone, Normalisation, backbone_named
from stemcls.models.graft import graft, layer_at
from stemcls.models.pooling import POOLING, pooled
from stemcls.models.weights.load import pretrained_network, weights_file

LEAST_VARIANCE = 0.01
# What pretrained weights are good at on single cells: shapes of 4 to 16 pixels, seen a bit larger.
USUAL_PX = 96
# Found in the graph of a network; where the others are, its row of the table says.
FINEST_STRIDE = 4


def check_model(config: ModelConfig, size_px: tuple[int, int]) -> None:
    """Refuse at once what could only fail when the network is built, without building it.

    Args:
        config: Backbone, weights, input size and tap.
        size_px: Height and width of the crops.
    Raises:
        InputError: As of `build_extractor`; whether a weights file fits is not looked at.
    """
    backbone = backbone_named(config.backbone)
    _strides(config, backbone)
    _arguments(config, backbone)
    input_size_px(config, size_px)
    if config.weights != "none":
        weights_file(config.backbone, config.weights, config.alpha)


def build_extractor(
    config: ModelConfig, size_px: tuple[int, int], n_channels: int, white: float
) -> Any:
    """Build the part below the head, with its weights loaded.

    Args:
        config: Backbone, weights, input size and tap.
        size_px: Height and width of the crops that will be fed in.
        n_channels: Their channels. Pretrained weights take any number: see `stem_kernel`.
        white: Largest value a pixel can have: 255 or 65535.
    Returns: keras.Model from raw pixels (N, H, W, C) to pooled features (N, F) float32; its
        pooled layers are the taps.
    Raises:
        InputError: Unknown backbone or stride, an --input-px that is too small, or weights that
            are missing or do not fit.
    """
    import keras

    backbone = backbone_named(config.backbone)
    strides = _strides(config, backbone)
    arguments = _arguments(config, backbone)
    source = keras.Input((*input_size_px(config, size_px), 3), name="published")
    if config.weights == "none":
        network = backbone.construct(input_tensor=source, weights=None, **arguments)
    else:
        network = pretrained_network(config.backbone, config.weights, config.alpha, source)
    taps = _taps(strides, backbone, network)
    return extractor_of(
        network, backbone, taps, size_px, n_channels, white, keep_weights=config.weights != "none",
        rings=config.pools_rings,
    )


def extractor_of(
    network: Any,
    backbone: Backbone,
    taps: Sequence[str],
    size_px: tuple[int, int],
    n_channels: int,
    white: float,
    keep_weights: bool,
    rings: bool = False,
) -> Any:
    """Put a published network, (N, Y, X, 3) to its last map, on top of raw crops.

    Args:
        network: From the backbone's `construct`.
        backbone: Its row.
        taps: Names of the layers that are pooled, each by itself, and joined.
        size_px, n_channels, white: As for `build_extractor`.
        keep_weights: Keep the network's; else all are drawn afresh.
        rings: Keep of each map its mean and those of `RINGS`, else its mean alone.
    Returns: keras.Model as of `build_extractor`.
    """
    import keras

    seen_px = network.input_shape[1:3]
    looks = backbone.normalisation
    repeated = keep_weights and n_channels != 3 and looks.mean is not None
    inputs = keras.Input((*size_px, n_channels), name="crops")
    x = inputs
    if seen_px != tuple(size_px):
        # Shrunk without averaging, a crop would lose what lies between the pixels that are kept.
        shrinks = min(seen_px) < min(size_px)
        x = keras.layers.Resizing(*seen_px, antialias=shrinks, name="resizing")(x)
    x = keras.layers.Rescaling(looks.scale / white, looks.offset, name="rescaling")(x)
    if repeated:
        # Red, green and blue are normalised differently, so each channel is shown as all three.
        x = keras.layers.Concatenate(name="as_rgb")([x, x, x])
    x = _normalised(x, looks, n_channels)
    adapted = partial(stem_kernel, n_channels=n_channels, normalisation=looks)
    tapped = graft(network, x, taps, adapted if keep_weights else None)
    features = pooled(tapped, rings)
    return keras.Model(inputs, features, name="extractor")


def stem_kernel(
    kernel: np.ndarray, n_channels: int, normalisation: Normalisation
) -> np.ndarray:
    """Adapt the first convolution of ImageNet to crops of any number of channels.

    Crops whose channels are all equal give what the network gives for the same grey as red, green
    and blue: one channel gets the sum of the three kernels, n channels each 1 / n of that sum.
    Where red, green and blue are normalised differently no such kernel exists; there every
    channel comes as all three colours, and each colour's kernel is shared out instead.

    Args:
        kernel: (h, w, 3, F), as published.
        n_channels: Of the crops, n.
        normalisation: Of the backbone.
    Returns: (h, w, n, F); (h, w, 3 n, F), colour by colour, where colours differ and n is not 3.
    """
    if normalisation.reversed_channels:
        kernel = kernel[:, :, ::-1]
    if n_channels == 3:
        return kernel
    if normalisation.mean is None:
        kernel = kernel.sum(axis=2, keepdims=True)
    return np.repeat(kernel, n_channels, axis=2) / n_channels


def channels_note(config: ModelConfig, channels: Sequence[str]) -> str:
    """Say how the channels of crops enter the first convolution; see `stem_kernel`.

    Args:
        config: Backbone and weights.
        channels: Names, in the order of the crops.
    """
    named, n = ", ".join(channels), len(channels)
    if config.weights == "none":
        return f"{named}: each by a kernel of its own that was drawn at random and learned"
    if n == 3:
        return f"{named}: as the red, green and blue of the published weights"
    if backbone_named(config.backbone).normalisation.mean is None:
        what = "the sum of the published kernels of red, green and blue"
    else:
        what = "the published kernels of red, green and blue, each after its own normalisation"
    return f"{named}: each by {what}" + (f", divided by {n}" if n > 1 else "")


def input_size_px(config: ModelConfig, size_px: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width at which the backbone sees the crops, in their proportions.

    Args:
        config: Its `input_px` is what the shorter edge becomes; 0 leaves crops as stored, but
            enlarges those that are smaller than the backbone takes; -1 is `USUAL_PX` for
            pretrained weights and 0 for random ones.
        size_px: Height and width of the crops.
    Raises:
        InputError: Unknown backbone, or an `input_px` below its least.
    """
    least = backbone_named(config.backbone).least_px
    if 0 < config.input_px < least:
        raise InputError(
            f"{config.backbone} needs at least {least} px, --input-px is {config.input_px}; give "
            f"--input-px {least} or more, or leave it out"
        )
    shorter = min(size_px)
    usual = USUAL_PX if _opens_usual(config) else shorter
    edge = config.input_px if config.input_px > 0 else max(usual, least)
    height, width = size_px
    return round(height * edge / shorter), round(width * edge / shorter)


def resizing_note(config: ModelConfig, size_px: tuple[int, int]) -> str | None:
    """Return a line for the log if crops are resized inside the model, else None."""
    seen_px = input_size_px(config, size_px)
    if seen_px == tuple(size_px):
        return None
    why = "as --input-px says"
    if config.input_px == 0 or not (config.input_px > 0 or _opens_usual(config)):
        why = f"the least that {config.backbone} takes"
    elif config.input_px < 0:
        why = "as suits pretrained weights; --input-px 0 leaves them as stored"
    before, after = (f"{height}x{width}" for height, width in (size_px, seen_px))
    return f"crops of {before} px are resized to {after} px inside the model, {why}"


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

    return keras.Model(model.get_layer(POOLING).output, model.output, name="head")


def extractor_of_model(model: Any) -> Any:
    """Return what is below the head, (N, H, W, C) crops to (N, F) features; it shares its weights.

    Raises:
        InputError: The model has no layer of pooled features, as models of other makers.
    """
    import keras

    try:
        features = model.get_layer(POOLING).output
    except ValueError:
        raise InputError(
            f"the model has no layer {POOLING!r} that tells its head from its backbone, so it "
            "cannot be trained on; ensembles have none, their members do"
        ) from None
    return keras.Model(model.input, features, name="extractor")


def _strides(config: ModelConfig, backbone: Backbone) -> list[int]:
    known = sorted({FINEST_STRIDE, *backbone.taps}) if len(backbone.taps) > 1 else [*backbone.taps]
    strides = set(config.stride) or set(config.strides) & set(known)
    if not strides or len(known) == 1:
        strides = {max(known)}
    for stride in strides - set(known):
        raise InputError(
            f"{config.backbone} cannot be tapped at stride {stride}; one of "
            f"{', '.join(map(str, known))}"
        )
    return sorted(strides)


def _taps(strides: Sequence[int], backbone: Backbone, network: Any) -> list[str]:
    return [backbone.taps.get(stride) or layer_at(network, stride) for stride in strides]


def _opens_usual(config: ModelConfig) -> bool:
    """Say whether an input size that is left open is the usual one of pretrained weights."""
    return config.input_px < 0 and config.weights != "none"


def _arguments(config: ModelConfig, backbone: Backbone) -> dict[str, Any]:
    if backbone.alphas:
        return {"alpha": config.alpha}
    if config.alpha != 1.0:
        those = ", ".join(name for name, row in BACKBONES.items() if row.alphas)
        raise InputError(f"{config.backbone} takes no --alpha; these do: {those}")
    return {}


def _normalised(x: Any, normalisation: Normalisation, n_channels: int) -> Any:
    import keras

    if normalisation.mean is None:
        return x
    mean, std = np.array(normalisation.mean), np.array(normalisation.std)
    if x.shape[-1] == 3 * n_channels:
        mean, std = np.repeat(mean, n_channels), np.repeat(std, n_channels)
    elif n_channels != 3:
        mean, std = (np.full(n_channels, values.mean()) for values in (mean, std))
    return keras.layers.Normalization(
        mean=mean.tolist(), variance=(std**2).tolist(), name="normalisation"
    )(x)
