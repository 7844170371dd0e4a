"""Turn any plain Keras classifier into one flat graph from crops to logits."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.explain.graph import LOGITS

# What may stand between the logits and the output of a classifier.
SQUASHING = ("softmax", "sigmoid", "linear")


def flat_classifier(model: Any) -> Any:
    """Return a flat functional model (N, H, W, C) -> logits (N, K), its last layer `logits`.

    A model that stemcls trained is cut off ahead of its softmax and shares its weights. Of others
    a copy is made: nested models are unwrapped, a layer used twice becomes two, a softmax inside
    the last Dense layer is taken out. One output z stands for two classes with logits -z/2 and
    z/2, of which softmax makes the same probabilities as a sigmoid of z.

    Args:
        model: keras.Model or built keras.Sequential, one input (N, H, W, C), one output (N, K).
    Raises:
        InputError: Several inputs or outputs, no graph to follow, no crops going in, or an output
            of which the logits cannot be told.
    """
    import keras

    from stemcls.models.precision import in_float32

    graph = _functional(model)
    if _is_plain(graph):
        graph = in_float32(graph)
        return keras.Model(graph.inputs[0], graph.get_layer(LOGITS).output, name=graph.name)
    copier = _Copier(graph)
    crops = keras.Input(graph.inputs[0].shape[1:], name="crops")
    copier.copy(graph, [crops])
    return in_float32(keras.Model(crops, copier.logits(graph.outputs[0]), name="flat"))


def _functional(model: Any) -> Any:
    """Return the model as a functional one, having checked what goes in and what comes out."""
    import keras

    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs:
        raise InputError(
            f"{type(model).__name__} {getattr(model, 'name', '')!r} has no graph to follow: "
            "expected a functional or a built sequential keras.Model; wrap it in keras.Input and "
            "keras.Model and save it again"
        )
    for what, tensors in (("input", inputs), ("output", outputs)):
        if len(tensors) != 1:
            names = ", ".join(tensor.name for tensor in tensors)
            raise InputError(
                f"expected a model with one {what}, found {len(tensors)}: {names}; explain a "
                "model of crops alone that names one class"
            )
    shape = inputs[0].shape
    if len(shape) != 4 or None in shape[1:]:
        raise InputError(f"expected a model of crops (N, H, W, C) of a fixed size, found {shape}")
    if len(outputs[0].shape) != 2:
        raise InputError(
            f"expected a classifier with output (N, classes), found {outputs[0].shape}"
        )
    return keras.Model(inputs, outputs, name=model.name)


def _nodes(graph: Any) -> list[Any]:
    """Return the uses of every operation, sources first."""
    depths = sorted(graph._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in graph._nodes_by_depth[depth]]


def _is_plain(graph: Any) -> bool:
    """Tell whether the graph is flat and ends in `logits`, or in `logits` and a softmax."""
    import keras

    uses = Counter(id(node.operation) for node in _nodes(graph))
    last = graph.outputs[0]._keras_history.operation
    if isinstance(last, keras.layers.Softmax):
        last = last.input._keras_history.operation
    return (
        max(uses.values()) == 1
        and not any(isinstance(layer, keras.Model) for layer in graph.layers)
        and last.name == LOGITS
        and _activation(last) == "linear"
        and last.output.shape[-1] > 1
    )


def _activation(operation: Any) -> str:
    """Return the name of the activation that an operation ends with."""
    import keras

    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    if not isinstance(operation, keras.layers.Layer):
        kind = type(operation).__name__.lower()
        return kind if kind in SQUASHING else "linear"
    function = getattr(operation, "activation", None)
    return "linear" if function is None else str(getattr(function, "__name__", function))


class _Copier:
    """Copies operation after operation to new tensors, and ends the copy at the logits."""

    def __init__(self, graph: Any) -> None:
        self._made: dict[int, Any] = {}
        self._names: Counter[str] = Counter([LOGITS])
        self._last = graph.outputs[0]

    def copy(self, graph: Any, inputs: list[Any], prefix: str = "") -> list[Any]:
        """Build `graph` on `inputs`; return its outputs."""
        import keras

        self._made.update(zip(map(id, graph.inputs), inputs, strict=True))
        for node in _nodes(graph):
            if node.is_input:
                continue
            arguments, options = node.arguments.fill_in(self._made)
            operation = node.operation
            if isinstance(operation, keras.Model):
                made = self._unwrapped(operation, arguments)
            else:
                copied = self._counterpart(operation, prefix)
                made = keras.tree.flatten(copied(*arguments, **options))
            self._made.update(zip(map(id, node.outputs), made, strict=True))
        return [self._made[id(tensor)] for tensor in graph.outputs]

    def _unwrapped(self, nested: Any, arguments: tuple[Any, ...]) -> list[Any]:
        import keras

        if not getattr(nested, "inputs", None):
            raise InputError(
                f"the nested model {nested.name!r} is no functional model, so its layers cannot be "
                "followed; build the network with it as keras.Model of its input and output"
            )
        inner = keras.Model(nested.inputs, nested.outputs)
        return self.copy(inner, keras.tree.flatten(arguments), f"{nested.name}_")

    def _counterpart(self, operation: Any, prefix: str) -> Any:
        name = operation.name
        if self._names[name]:
            name = f"{prefix}{name}"
        while self._names[name]:
            name = f"{name}_again"
        self._names[name] += 1
        try:
            layer = type(operation).from_config({**operation.get_config(), "name": name})
        except (TypeError, ValueError, NotImplementedError) as error:
            raise InputError(
                f"layer {operation.name!r} ({type(operation).__name__}) cannot be copied: "
                f"{str(error).splitlines()[0]}; give its class a get_config"
            ) from error
        return _Weighted(layer, operation)

    def logits(self, output: Any) -> Any:
        """Return what the output was before it was squashed, as a layer `logits`."""
        import keras

        operation = output._keras_history.operation
        squashed = "linear"
        while _only_squashes(operation):
            squashed = _activation(operation) if squashed == "linear" else squashed
            output = operation.input
            operation = output._keras_history.operation
        if isinstance(operation, keras.Model):
            inner = keras.Model(operation.inputs, operation.outputs)
            return self.logits(inner.outputs[0])
        if isinstance(operation, keras.layers.Dense):
            return self._linear(operation)
        merged = (keras.layers.Average, keras.layers.Add, keras.layers.Multiply)
        if isinstance(operation, merged) and squashed == "linear":
            raise InputError(
                f"the model ends in {operation.name!r}, which joins the outputs of other layers, "
                "so it has no logits that could be followed; explain its members one by one"
            )
        found = self._made[id(output)]
        if found.shape[-1] == 1:
            return _two_classes(found)
        return keras.layers.Activation("linear", name=LOGITS)(found)

    def _linear(self, dense: Any) -> Any:
        import keras

        activation = _activation(dense)
        if activation not in SQUASHING:
            raise InputError(
                f"the model ends in {dense.name!r} with activation {activation!r}; logits can be "
                f"told of {', '.join(SQUASHING)}"
            )
        source = self._made[id(dense.input)]
        values = dense.get_weights()
        if dense.units == 1:
            values = [np.concatenate([-value / 2, value / 2], axis=-1) for value in values]
        layer = keras.layers.Dense(max(dense.units, 2), use_bias=dense.use_bias, name=LOGITS)
        made = layer(source)
        layer.set_weights(values)
        return made


class _Weighted:
    """A new layer that takes over the weights of another when it is first called."""

    def __init__(self, layer: Any, like: Any) -> None:
        self._layer, self._like = layer, like

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        made = self._layer(*arguments, **options)
        if getattr(self._like, "weights", None):
            self._layer.set_weights(self._like.get_weights())
        return made


def _only_squashes(operation: Any) -> bool:
    import keras

    layers = keras.layers
    if isinstance(operation, (layers.Softmax, layers.Activation, layers.Identity)):
        return _activation(operation) in SQUASHING
    return not isinstance(operation, keras.layers.Layer) and _activation(operation) != "linear"


def _two_classes(single: Any) -> Any:
    import keras

    layer = keras.layers.Dense(2, use_bias=False, name=LOGITS)
    made = layer(single)
    layer.set_weights([np.array([[-0.5, 0.5]], dtype=np.float32)])
    return made
