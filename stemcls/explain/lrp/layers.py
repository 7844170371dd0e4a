"""The table of layers: how each kind hands relevance from its output to its inputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stemcls.explain.gradients import pullback
from stemcls.explain.graph import activation_name
from stemcls.explain.lrp.linears import LINEARS, along, linears_of, normalisation
from stemcls.explain.lrp.rules import (
    Box,
    Linear,
    Passed,
    Rule,
    divide,
    epsilon_rule,
    stabilised,
    total,
)

GATES = ("sigmoid", "hard_sigmoid", "softmax")


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of the graph, on its way back.

    Attributes:
        operation: The layer, or an operation of Keras that is none.
        sources: The operations that feed it.
        inputs: float32 tensors (N, ...) that it got.
        relevance: Of its output.
        rule: For weighted layers.
        epsilon: Added to |z| where z is divided by.
        first: The rule of those that read the pixels; None elsewhere.
        box: Range of the input of those, where it is known.
        fold: BatchNorm behind a weighted layer, to be made part of it.
    """

    operation: Any
    sources: tuple[Any, ...]
    inputs: list[Any]
    relevance: Any
    rule: Rule
    epsilon: float
    first: Rule | None = None
    box: Box | None = None
    fold: Any = None


def call(operation: Any) -> Callable[..., Any]:
    """Return what any operation of a graph computes, constants and all, as it predicts."""
    import keras
    from keras import tree

    function = keras.Function(tree.flatten(operation.input), operation.output)
    return lambda *values: function(list(values))


def weighted(step: Step) -> Passed:
    """Apply the step's rule to each linear map of a layer; its own activation passes it on."""
    maps = linears_of(step.operation, step.fold)
    points = [step.inputs[0]]
    for linear in maps[:-1]:
        points.append(linear.apply(linear.kernel, points[-1]) + linear.bias)
    relevance: Any = step.relevance
    kept: Any = 0.0
    lost: Any = 0.0
    for place in reversed(range(len(maps))):
        rule = step.first if step.first and place == 0 else step.rule
        shares = rule(maps[place], points[place], step.box)
        passed = divide(maps[place], shares, relevance, step.epsilon)
        (relevance,) = passed.inputs
        kept, lost = kept + passed.bias, lost + passed.absorbed
    return Passed([relevance], kept, lost)


def unchanged(step: Step) -> Passed:
    """Hand on what came; for activations, dropout, and scaling of one pixel at a time."""
    return Passed([step.relevance])


def carried(step: Step) -> Passed:
    """Send relevance the way the values came: moved, picked or blended by weights that sum to 1."""
    _, pull = pullback(call(step.operation), step.inputs)
    return Passed(pull(step.relevance))


def proportional(step: Step) -> Passed:
    """Divide among the inputs in proportion to what each adds; for means, sums and differences."""
    from keras import ops

    function = call(step.operation)
    z, pull = pullback(function, step.inputs)
    steady = stabilised(z, step.epsilon)
    ratio = step.relevance / steady
    back = [x * part for x, part in zip(step.inputs, pull(ratio), strict=True)]
    constant = function(*map(ops.zeros_like, step.inputs))  # of an operation such as x + 3
    return Passed(back, total(constant * ratio), total(ratio * (steady - z)))


def batch_norm(step: Step) -> Passed:
    """Divide between the scaled input and the offset, which keeps its part as a bias does."""
    axes, n_axes = [step.operation.axis], len(step.inputs[0].shape)
    scale, offset = (along(values, axes, n_axes) for values in normalisation(step.operation))
    linear = Linear(lambda kernel, x: kernel * x, scale, offset)
    shares = epsilon_rule(linear, step.inputs[0], None)
    return divide(linear, shares, step.relevance, step.epsilon)


def layer_norm(step: Step) -> Passed:
    """Divide as in a linear map: the standard deviation of the crop is held fixed.

    Source: Ali et al. 2022, sec. 3.2 (arXiv:2202.07304).
    """
    from keras import ops

    layer, x = step.operation, step.inputs[0]
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    around = 0.0 if layer.rms_scaling else ops.mean(x, axis=axes, keepdims=True)
    scale = ops.rsqrt(ops.mean(ops.square(x - around), axis=axes, keepdims=True) + layer.epsilon)
    if layer.gamma is not None:
        scale = scale * along(ops.stop_gradient(layer.gamma), axes, len(x.shape))
    bias: Any = 0.0
    if layer.beta is not None:
        bias = along(ops.stop_gradient(layer.beta), axes, len(x.shape))

    def apply(kernel: Any, values: Any) -> Any:
        del kernel
        if layer.rms_scaling:
            return values * scale
        return (values - ops.mean(values, axis=axes, keepdims=True)) * scale

    linear = Linear(apply, None, bias)
    return divide(linear, epsilon_rule(linear, x, None), step.relevance, step.epsilon)


def multiplied(step: Step) -> Passed:
    """Give all to the signal and nothing to the gate; two signals get half each.

    Source: Arras et al. 2017, sec. 3.2, "signal-take-all" (arXiv:1706.07206).
    """
    from keras import ops

    signals = signals_of(step.operation, step.sources)
    back: list[Any] = [None] * len(step.inputs)
    for place in signals:
        part, shape = step.relevance / len(signals), step.inputs[place].shape
        spread = [axis for axis, size in enumerate(shape) if size != part.shape[axis]]
        back[place] = ops.sum(part, axis=spread, keepdims=True) if spread else part
    return Passed(back)


def by_gradient(step: Step) -> Passed:
    """Hand on gradient x input, scaled to the output; what that leaves over counts as absorbed."""
    z, pull = pullback(call(step.operation), step.inputs)
    parts = pull(step.relevance / stabilised(z, step.epsilon))
    back = [x * part for x, part in zip(step.inputs, parts, strict=True)]
    return Passed(back, 0.0, total(step.relevance) - sum(map(total, back)))


def signals_of(operation: Any, sources: tuple[Any, ...]) -> list[int]:
    """Return which inputs of a product are signals: not squeezed to fewer pixels, and no gate."""
    from keras import tree

    sizes = [math.prod(tensor.shape[1:]) for tensor in tree.flatten(operation.input)]
    largest = [place for place, size in enumerate(sizes) if size == max(sizes)]
    return [place for place in largest if not _is_gate(sources[place])] or largest


def _is_gate(operation: Any) -> bool:
    kind = type(operation).__name__
    return activation_name(operation) in GATES or kind in ("Sigmoid", "HardSigmoid", "Softmax")


Handler = Callable[[Step], Passed]

_BY_HANDLER: dict[Handler, tuple[str, ...]] = {
    weighted: tuple(LINEARS),
    unchanged: (
        "ReLU", "Relu6", "LeakyReLU", "PReLU", "ELU", "Elu", "Activation", "Silu", "Gelu", "Relu",
        "Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "AlphaDropout",
        "ActivityRegularization", "Identity", "Rescaling", "Normalization",
    ),
    carried: (
        "Flatten", "Reshape", "Permute", "ZeroPadding2D", "Cropping2D", "Concatenate",
        "UpSampling2D", "Resizing", "MaxPooling2D", "GlobalMaxPooling2D", "Maximum",
    ),
    proportional: ("AveragePooling2D", "GlobalAveragePooling2D", "Add", "Average", "Subtract"),
    batch_norm: ("BatchNormalization",),
    layer_norm: ("LayerNormalization",),
    multiplied: ("Multiply",),
}

# Operations that are no layers, such as x + 3, go by the same names.
LAYERS: dict[str, Handler] = {
    name: handler for handler, names in _BY_HANDLER.items() for name in names
}


def handler_of(operation: Any, any_layer: bool) -> Handler | None:
    """Return how an operation hands relevance on; None if there is no rule for it."""
    kind = type(operation)
    several = isinstance(operation.output, list | tuple | dict)  # which one fed which layer?
    turned = getattr(operation, "data_format", "channels_last") != "channels_last"
    if several or turned:
        return None
    if kind.__name__ in LAYERS and kind.__module__.startswith("keras"):
        return LAYERS[kind.__name__]
    return by_gradient if any_layer else None
