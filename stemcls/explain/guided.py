"""Guided backpropagation: a control that the sanity check must fail, not a way to explain."""

from __future__ import annotations

from typing import Any

import numpy as np

from stemcls.config.explain import MethodSettings
from stemcls.explain.gradients import pullback
from stemcls.explain.graph import activation_name
from stemcls.explain.lrp.layers import call
from stemcls.explain.lrp.relevance import forward, walk
from stemcls.explain.probe import Probe

ACTIVATIONS = ("ReLU", "LeakyReLU", "PReLU", "ELU", "Relu", "Relu6", "Silu", "Gelu", "Elu")


def guided_backprop(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> np.ndarray:
    """Return the gradient without what would lower an activation, largest size over channels.

    It mostly redraws the edges of the crop, whatever the network learned (Adebayo et al. 2018,
    arXiv:1810.03292; Nie et al. 2018, arXiv:1805.07039).

    Args:
        probe: An opened model.
        crops: (N, H, W, C) as stored, one batch.
        targets: (N,) class indices.
        settings: Not looked at.
    Returns: (N, H, W) float32, 0 or more.
    Source: Springenberg et al. 2015, sec. 3.4 (arXiv:1412.6806).
    """
    from keras import ops

    del settings
    values = forward(probe, crops)
    logits = values[id(probe.order[-1])]

    def pass_back(operation: Any, arrived: Any) -> list[Any]:
        if _activates(operation):
            arrived = ops.maximum(arrived, 0.0)
        inputs = [values[id(source)] for source in probe.sources[id(operation)]]
        return pullback(call(operation), inputs)[1](arrived)

    start = ops.one_hot(ops.convert_to_tensor(targets), logits.shape[-1], dtype="float32")
    found = walk(probe, start, pass_back)
    if found is None:
        return np.zeros(crops.shape[:3], np.float32)
    return np.abs(np.asarray(ops.convert_to_numpy(found), dtype=np.float32)).max(axis=-1)


def _activates(operation: Any) -> bool:
    """Say whether the operation is, or ends in, a nonlinear function of single numbers."""
    inside = activation_name(operation) not in ("", "linear")
    return inside or type(operation).__name__ in ACTIVATIONS
