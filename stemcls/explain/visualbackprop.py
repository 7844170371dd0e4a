"""VisualBackProp: which pixels every feature map agrees on, whatever the class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from stemcls.config.explain import MethodSettings
from stemcls.errors import InputError
from stemcls.explain.gradients import pullback
from stemcls.explain.graph import activation_name
from stemcls.explain.lrp.relevance import forward
from stemcls.explain.probe import Probe

RECTIFIERS = (
    "relu", "relu6", "leaky_relu", "elu", "silu", "gelu", "hard_silu", "selu", "softplus",
)
RECTIFYING_LAYERS = ("ReLU", "LeakyReLU", "PReLU", "ELU")


def visualbackprop(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> np.ndarray:
    """Return where in each crop the feature maps of all depths are active.

    Maps are averaged over their channels after each ReLU, the deepest is deconvolved with ones to
    the size of the one before, multiplied by it, and so on up to the pixels. A network that
    branches is followed along its longest path.

    Args:
        probe: An opened model with convolutions.
        crops: (N, H, W, C) as stored, one batch.
        targets: Not looked at: the map is the same for every class.
        settings: Not looked at.
    Returns: (N, H, W) float32, 0 or more, largest 1.
    Raises:
        InputError: No map behind a ReLU lies on the path.
    Source: Bojarski et al. 2016, sec. III (arXiv:1611.05418).
    """
    from keras import ops

    del targets, settings
    path = longest_path(probe)
    last = max((i for i, operation in enumerate(path) if _is_rectified(operation)), default=-1)
    if last < 0:
        raise InputError(
            "VisualBackProp averages maps behind a ReLU, and the model has none: use another method"
        )
    values = forward(probe, crops)
    mask: Any = None
    for place in range(last, 0, -1):
        operation, source = path[place], path[place - 1]
        if _is_rectified(operation):
            mean = _scaled(ops.mean(ops.maximum(values[id(operation)], 0.0), -1, keepdims=True))
            mask = mean if mask is None else _scaled(mask * mean)
        smaller = DECONVOLVED.get(type(operation).__name__)
        if smaller is not None:
            shape = (*values[id(source)].shape[:3], 1)
            _, pull = pullback(smaller(operation), [ops.zeros(shape, dtype="float32")])
            mask = _scaled(pull(mask)[0])
    return np.asarray(ops.convert_to_numpy(mask), dtype=np.float32)[..., 0]


def longest_path(probe: Probe) -> list[Any]:
    """Return the operations from the crops to the last map along which most layers weigh pixels."""
    depth: dict[int, int] = {id(probe.order[0]): 0}
    before: dict[int, Any] = {}
    last = probe.order[0]
    for operation in probe.order[1:]:
        sources = [op for op in probe.sources[id(operation)] if id(op) in depth]
        if not sources or len(operation.output.shape) != 4:
            continue
        source = max(sources, key=lambda op: (_edge(op), depth[id(op)]))
        before[id(operation)] = source
        weighs = _is_spatial(operation) or _is_rectified(operation)
        depth[id(operation)] = depth[id(source)] + weighs
        if _edge(operation) > 1 and depth[id(operation)] >= depth[id(last)]:
            last = operation
    path = [last]
    while id(path[-1]) in before:
        path.append(before[id(path[-1])])
    return path[::-1]


def _edge(operation: Any) -> int:
    """Return the map's longer edge; that of a squeezed gate, 1x1, must not win over a map's."""
    return int(max(operation.output.shape[1:3]))


def _is_spatial(operation: Any) -> bool:
    return type(operation).__name__ in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")


def _is_rectified(operation: Any) -> bool:
    map_of_pixels = len(operation.output.shape) == 4 and _edge(operation) > 1
    kind = type(operation).__name__
    rectifies = kind in RECTIFYING_LAYERS or activation_name(operation) in RECTIFIERS
    return map_of_pixels and rectifies


def _scaled(mask: Any) -> Any:
    """Divide by the largest value of each crop, so that no depth of network overflows."""
    from keras import ops

    return mask / ops.maximum(ops.max(mask, axis=(1, 2, 3), keepdims=True), 1e-30)


def _ones_convolution(layer: Any) -> Callable[[Any], Any]:
    from keras import ops

    ones = ops.ones((*layer.kernel_size, 1, 1), dtype="float32")
    return lambda x: ops.conv(
        x, ones, strides=layer.strides, padding=layer.padding, dilation_rate=layer.dilation_rate
    )


def _ones_pooling(layer: Any) -> Callable[[Any], Any]:
    from keras import ops

    ones = ops.ones((*layer.pool_size, 1, 1), dtype="float32")
    return lambda x: ops.conv(x, ones, strides=layer.strides, padding=layer.padding)


def _itself(layer: Any) -> Callable[[Any], Any]:
    return lambda x: layer(x)


# What a layer does to the size of a map, as a linear map of one channel with weights of 1.
DECONVOLVED: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "Conv2D": _ones_convolution,
    "DepthwiseConv2D": _ones_convolution,
    "SeparableConv2D": _ones_convolution,
    "MaxPooling2D": _ones_pooling,
    "AveragePooling2D": _ones_pooling,
    "ZeroPadding2D": _itself,
    "Cropping2D": _itself,
    "Resizing": _itself,
    "UpSampling2D": _itself,
}
