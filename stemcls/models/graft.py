"""Rebuild a published network on top of our own pixels, flat and of built-in layers only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Weights = list[np.ndarray]
# What ends a block: an activation, a sum, a concatenation, or a norm of ConvNeXt.
_FEATURES = ("ReLU", "Activation", "Add", "Concatenate", "LayerNormalization", "Relu6", "Silu")
Convert = Callable[[Weights], Weights]


def graft(
    network: Any,
    x: Any,
    taps: Sequence[str],
    stem_kernel: Callable[[np.ndarray], np.ndarray] | None,
) -> list[Any]:
    """Rebuild `network` up to the last of `taps` on `x`, without nesting or private operations.

    A nested model cannot be probed at its inner layers, and the private operations that some
    networks of Keras hold need not load in another version. Layers that Keras numbered itself are
    numbered anew, so that their names do not depend on what else the process built.

    Args:
        network: keras.Model from a keras.Input to its last map.
        x: (N, H, W, C) symbolic tensor to build on; C may differ from the network's.
        taps: Names of layers, as numbered anew.
        stem_kernel: Kernel (h, w, 3, F) of the first convolution -> (h, w, C, F); None leaves all
            new layers with fresh random weights instead of the network's.
    Returns: the output of each of `taps`, symbolic.
    Raises:
        KeyError: There is no such layer.
    """
    from keras import tree

    made = {id(network.inputs[0]): x}
    copier = _Copier(stem_kernel)
    for operation in network.operations:
        if id(operation.output) in made:
            continue
        sources = tree.map_structure(lambda tensor: made[id(tensor)], operation.input)
        made[id(operation.output)] = copier.apply(operation, sources)
        if all(tap in copier.made for tap in taps):
            break
    return [copier.made[tap] for tap in taps]


def layer_at(network: Any, stride: int) -> str:
    """Return the last layer at a stride that is no mere padding or convolution, as numbered anew.

    Args:
        network: keras.Model from a keras.Input to its last map.
        stride: Pixels of the input per pixel of the layer's map.
    Raises:
        KeyError: There is none.
    """
    import keras

    edge = network.input_shape[1]
    copier, found = _Copier(None), ""
    for operation in network.operations:
        inner = operation.layers if isinstance(operation, keras.Sequential) else [operation]
        for layer in inner:
            name, shape = copier.name_of(layer), layer.output.shape
            # Networks that do not pad have maps a little smaller.
            if len(shape) == 4 and round(edge / shape[1]) == stride and _ends_block(layer):
                found = name
    if not found:
        raise KeyError(f"{network.name} has no layer at stride {stride}")
    return found


class _Copier:
    """Makes the counterpart of each operation in turn: names, weights, the stem only once."""

    def __init__(self, stem_kernel: Callable[[np.ndarray], np.ndarray] | None) -> None:
        self._counts: Counter[str] = Counter()
        self._keeps_weights = stem_kernel is not None
        self._stem_kernel = stem_kernel
        self.made: dict[str, Any] = {}

    def apply(self, operation: Any, sources: Any) -> Any:
        import keras

        if isinstance(operation, keras.Sequential):
            for inner in operation.layers:
                sources = self.apply(inner, sources)
            return sources
        layer, convert = _counterpart(operation, self.name_of(operation))
        made = self.made[layer.name] = layer(sources)
        if self._keeps_weights and layer.weights:
            values = operation.get_weights()
            if self._stem_kernel is not None:
                values = [self._stem_kernel(values[0]), *values[1:]]
                self._stem_kernel = None
            layer.set_weights(convert(values))
        return made

    def name_of(self, operation: Any) -> str:
        """Return the name of the counterpart of the next operation."""
        kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(operation).__name__)
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()
        if not re.fullmatch(rf"{kind}(_\d+)?", operation.name):
            return str(operation.name)
        self._counts[kind] += 1
        return f"{kind}_{self._counts[kind]}"


def _ends_block(layer: Any) -> bool:
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    return type(layer).__name__ in _FEATURES or activation != "linear"


def _counterpart(operation: Any, name: str) -> tuple[Any, Convert]:
    """Return a new layer that does what `operation` does, and how its weights must be turned."""
    from keras import layers

    kind = type(operation).__name__
    if not isinstance(operation, layers.Layer):
        # x + 3 and x * 1/6 of MobileNetV3's hard sigmoid, and the sums of ConvNeXt.
        many = isinstance(operation.input, list)
        if kind == "Add":
            return layers.Add(name=name) if many else layers.Rescaling(1, 3, name=name), _same
        if kind == "Multiply" and not many:
            return layers.Rescaling(1 / 6, name=name), _same
        raise TypeError(f"no built-in layer stands for {kind} of this version of Keras")
    config = {**operation.get_config(), "name": name}
    if kind == "LayerScale":
        return _layer_scale(config), _scale_weights
    if kind == "Conv2D" and operation.groups > 1:
        return _depthwise(operation, name), _depthwise_weights
    return type(operation).from_config(config), _same


def _layer_scale(config: dict[str, Any]) -> Any:
    """Multiply each channel by a learned number; the layer that Keras has for it is private."""
    import keras

    start = keras.initializers.Constant(config["init_values"])
    return keras.layers.DepthwiseConv2D(
        1, use_bias=False, depthwise_initializer=start, name=config["name"]
    )


def _depthwise(convolution: Any, name: str) -> Any:
    """Stand for a convolution of one channel a group; TensorFlow cannot train that on a CPU."""
    import keras

    return keras.layers.DepthwiseConv2D(
        convolution.kernel_size, strides=convolution.strides, padding=convolution.padding,
        use_bias=convolution.use_bias, name=name,
    )


def _same(values: Weights) -> Weights:
    return values


def _scale_weights(values: Weights) -> Weights:
    return [values[0].reshape(1, 1, -1, 1)]


def _depthwise_weights(values: Weights) -> Weights:
    return [values[0].transpose(0, 1, 3, 2), *values[1:]]
