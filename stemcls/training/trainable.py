"""Which layers of a model learn in a stage."""

from __future__ import annotations

from typing import Any

import keras

from stemcls.config.experiment import StageConfig
from stemcls.models.build import POOLING

FIXED = "feature_scaling"
# Published networks keep 0.99 or 0.999 of BatchNorm's running statistics at each step: their epochs
# have thousands. Ours can have fifteen, and statistics so slow would lag behind the weights.
MOST_MOMENTUM = 0.9


def set_trainable(model: Any, stage: StageConfig, pretrained: bool) -> list[Any]:
    """Make exactly the layers of `model` learn that the stage names.

    Args:
        model: Flat model from `add_head`.
        stage: What learns.
        pretrained: Decides on BatchNorm where the stage leaves it open: its statistics, scale and
            offset stay fixed for pretrained weights.
    Returns: the variables of the backbone that learn.
    """
    learns_norm = stage.batch_norm == "learn" or (stage.batch_norm == "auto" and not pretrained)
    backbone = backbone_layers(model)
    learning = {
        "none": [], "last-block": last_block(model), "all": backbone,
    }[stage.trainable]
    names = {layer.name for layer in learning}
    in_backbone = {layer.name for layer in backbone}
    for layer in model.layers:
        norm = isinstance(layer, keras.layers.BatchNormalization)
        if layer.name in in_backbone:
            layer.trainable = layer.name in names and (learns_norm or not norm)
            if norm and layer.trainable:
                layer.momentum = min(layer.momentum, MOST_MOMENTUM)
        else:
            # Those that pool have weights too, which say what counts in which mean.
            layer.trainable = layer.name != FIXED and not layer.name.startswith(POOLING)
    return [v for layer in learning for v in layer.trainable_variables]


def backbone_layers(model: Any) -> list[Any]:
    """Return the layers below the pooling, in order."""
    layers = list(model.layers)
    pooled = [number for number, layer in enumerate(layers) if layer.name.startswith(POOLING)]
    return layers[: min(pooled)]


def last_block(model: Any) -> list[Any]:
    """Return the layers of the backbone at the resolution of its deepest tap: its last stage."""
    edge = min(
        layer.input.shape[1] for layer in model.layers
        if layer.name.startswith(POOLING) and isinstance(layer, keras.layers.GlobalAveragePooling2D)
    )
    return [
        layer for layer in backbone_layers(model)
        if len(layer.output.shape) == 4 and layer.output.shape[1] <= edge
    ]
