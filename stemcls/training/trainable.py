"""Which layers of a model learn in a stage."""

from __future__ import annotations

from typing import Any

import keras

from stemcls.config.experiment import StageConfig

FIXED = "feature_scaling"


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
        else:
            layer.trainable = layer.name != FIXED
    return [v for layer in learning for v in layer.trainable_variables]


def backbone_layers(model: Any) -> list[Any]:
    """Return the layers below the pooling, in order."""
    layers = list(model.layers)
    return layers[: layers.index(model.get_layer("pooling"))]


def last_block(model: Any) -> list[Any]:
    """Return the layers of the backbone at the resolution of its tap: its last stage."""
    edge = model.get_layer("pooling").input.shape[1]
    return [
        layer for layer in backbone_layers(model)
        if len(layer.output.shape) == 4 and layer.output.shape[1] <= edge
    ]
