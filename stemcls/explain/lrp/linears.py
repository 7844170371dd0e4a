"""The weighted layers as linear maps, each with the BatchNorm behind it folded in if one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stemcls.explain.graph import activation_name
from stemcls.explain.lrp.rules import Linear

Fold = Any  # a BatchNormalization whose only input is the layer, or None


def normalisation(layer: Any) -> tuple[Any, Any]:
    """Return scale and offset, (C,) each, of a BatchNorm as it predicts: y = scale * x + offset."""
    from keras import ops

    scale = ops.rsqrt(_fixed(layer.moving_variance) + layer.epsilon)
    if layer.gamma is not None:
        scale = scale * _fixed(layer.gamma)
    offset = -_fixed(layer.moving_mean) * scale
    if layer.beta is not None:
        offset = offset + _fixed(layer.beta)
    return scale, offset


def along(values: Any, axes: list[int], n_axes: int) -> Any:
    """Reshape (C,) or (C, D...) so that it broadcasts along `axes` of n_axes."""
    from keras import ops

    shape = [1] * n_axes
    for axis, size in zip(axes, values.shape, strict=True):
        shape[axis] = size
    return ops.reshape(values, shape)


def foldable(layer: Any, norm: Any) -> bool:
    """Say whether BatchNorm `norm`, which directly follows `layer`, can become part of it."""
    return activation_name(layer) == "linear" and norm.axis in (-1, len(layer.output.shape) - 1)


def linears_of(layer: Any, fold: Fold) -> list[Linear]:
    """Return the linear maps that a weighted layer is made of, input first.

    Args:
        layer: Of a class in `LINEARS`.
        fold: The BatchNorm behind it that becomes part of its last map.
    """
    return LINEARS[type(layer).__name__](layer, fold)


def _convolution(layer: Any, fold: Fold) -> list[Linear]:
    kernel, bias = _folded(_fixed(layer.kernel), _bias(layer), fold)

    def apply(kernel: Any, x: Any) -> Any:
        from keras import ops

        def one(x: Any, kernel: Any) -> Any:
            return ops.conv(x, kernel, **_geometry(layer))

        if layer.groups == 1:
            return one(x, kernel)
        # TensorFlow has no gradient of grouped convolutions on a CPU.
        inputs, kernels = (ops.split(value, layer.groups, axis=-1) for value in (x, kernel))
        return ops.concatenate(list(map(one, inputs, kernels)), axis=-1)

    return [Linear(apply, kernel, bias)]


def _depthwise(layer: Any, fold: Fold) -> list[Linear]:
    kernel = _fixed(layer.kernel)
    kernel, bias = _folded(kernel, _bias(layer), fold, tuple(kernel.shape[2:]))
    return [Linear(_depthwise_map(layer), kernel, bias)]


def _separable(layer: Any, fold: Fold) -> list[Linear]:
    kernel, bias = _folded(_fixed(layer.pointwise_kernel), _bias(layer), fold)

    def pointwise(kernel: Any, x: Any) -> Any:
        from keras import ops

        return ops.conv(x, kernel)

    depthwise = Linear(_depthwise_map(layer), _fixed(layer.depthwise_kernel))
    return [depthwise, Linear(pointwise, kernel, bias)]


def _dense(layer: Any, fold: Fold) -> list[Linear]:
    def apply(kernel: Any, x: Any) -> Any:
        from keras import ops

        return ops.matmul(x, kernel)

    kernel, bias = _folded(_fixed(layer.kernel), _bias(layer), fold)
    return [Linear(apply, kernel, bias)]


def _depthwise_map(layer: Any) -> Callable[[Any, Any], Any]:
    def apply(kernel: Any, x: Any) -> Any:
        from keras import ops

        return ops.depthwise_conv(x, kernel, **_geometry(layer))

    return apply


def _geometry(layer: Any) -> dict[str, Any]:
    return {
        "strides": layer.strides, "padding": layer.padding, "data_format": layer.data_format,
        "dilation_rate": layer.dilation_rate,
    }


def _folded(
    kernel: Any, bias: Any, fold: Fold, shape: tuple[int, ...] = (-1,)
) -> tuple[Any, Any]:
    """Scale the outputs of a kernel, whose last axes of `shape` are the output's channels."""
    from keras import ops

    if fold is None:
        return kernel, bias
    scale, offset = normalisation(fold)
    return kernel * ops.reshape(scale, shape), bias * scale + offset


def _bias(layer: Any) -> Any:
    return _fixed(layer.bias) if layer.use_bias else 0.0


def _fixed(variable: Any) -> Any:
    from keras import ops

    return ops.stop_gradient(ops.cast(ops.convert_to_tensor(variable), "float32"))


LINEARS: dict[str, Callable[[Any, Fold], list[Linear]]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
}
