"""Outputs of a model and the gradients of a logit inside it, on whichever backend Keras runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.errors import InputError, nearest

# crops (n, H, W, C) float32 -> outputs
Forward = Callable[[np.ndarray], list[Any]]
# (crops (n, H, W, C) float32, targets (n,) int32) -> outputs, gradients (a list each), logits
Step = Callable[[np.ndarray, np.ndarray], tuple[list[Any], list[Any], Any]]


@dataclass(frozen=True, eq=False)
class Gradients:
    """What a logit depends on, for a batch of n crops.

    Attributes:
        activations: One (n, H, W, C) float32 for each layer asked for: its output.
        gradients: Likewise: d logit[target] / d output.
        logits: (n, K) float32.
    """

    activations: list[np.ndarray]
    gradients: list[np.ndarray]
    logits: np.ndarray


def make_step(head: Any | None, segments: Sequence[Any]) -> Step:
    """Return a function that follows logits back to where the segments of a model meet.

    The model runs as it predicts: dropout is off, BatchNorm keeps its statistics. Weights are read
    at each call.

    Args:
        head: keras.Model from the crops to the first point; None: the first point is the crops.
        segments: keras.Models, from each point to the next and from the last to the logits.
    Raises:
        InputError: Keras runs on a backend without gradients.
    """
    return _in_force()[1](head, segments)


def make_forward(model: Any) -> Forward:
    """Return a function that runs a model as it predicts.

    Args:
        model: keras.Model of crops to one output or a list of them.
    Raises:
        InputError: Keras runs on a backend that is not known here.
    """
    return _in_force()[0](model)


def floats(values: Any) -> np.ndarray:
    """Return a tensor of any backend as a float32 array."""
    from keras import ops

    return np.asarray(ops.convert_to_numpy(values), dtype=np.float32)


def _in_force() -> tuple[Callable[[Any], Forward], Callable[[Any, Sequence[Any]], Step]]:
    import keras

    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise InputError(
            f"gradients are not available on Keras backend {backend!r}{nearest(backend, BACKENDS)}"
        )
    return BACKENDS[backend]


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _followed(logits: Any, wanted: Any) -> Any:
    """Return the sum of the target logits of a batch; Keras ops only."""
    from keras import ops

    logits = ops.cast(logits, "float32")
    return ops.sum(logits * ops.one_hot(wanted, logits.shape[-1], dtype="float32"))


def _tensorflow_forward(model: Any) -> Forward:
    import tensorflow as tf

    def run(crops: Any) -> list[Any]:
        return _listed(model(crops, training=False))

    # A concrete function takes any number of crops, so nothing is traced again.
    compiled = tf.function(run).get_concrete_function(_crops_spec(model))
    return lambda crops: compiled(tf.convert_to_tensor(crops))


def _tensorflow_step(head: Any, segments: Sequence[Any]) -> Step:
    import tensorflow as tf

    def follow(crops: Any, wanted: Any) -> tuple[list[Any], list[Any], Any]:
        x = crops if head is None else head(crops, training=False)
        points = []
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for segment in segments:
                tape.watch(x)
                points.append(x)
                x = segment(x, training=False)
            total = _followed(x, wanted)
        return points, tape.gradient(total, points), x

    compiled = tf.function(follow).get_concrete_function(
        _crops_spec(segments[0] if head is None else head), tf.TensorSpec([None], tf.int32)
    )
    return lambda crops, wanted: compiled(tf.convert_to_tensor(crops), tf.convert_to_tensor(wanted))


def _crops_spec(model: Any) -> Any:
    import tensorflow as tf

    return tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)


def _jax_forward(model: Any) -> Forward:
    import jax

    @jax.jit
    def compiled(weights: Any, crops: Any) -> list[Any]:
        return _listed(model.stateless_call(*weights, crops, training=False)[0])

    return lambda crops: compiled(_jax_weights(model), crops)


def _jax_weights(model: Any) -> tuple[list[Any], list[Any]]:
    learned, fixed = model.trainable_variables, model.non_trainable_variables
    return [variable.value for variable in learned], [variable.value for variable in fixed]


def _jax_step(head: Any, segments: Sequence[Any]) -> Step:
    import jax
    import jax.numpy as jnp

    parts = [*([] if head is None else [head]), *segments]

    def run(part: Any, weights: Any, x: Any) -> Any:
        return part.stateless_call(*weights, x, training=False)[0]

    @jax.jit
    def compiled(weights: list[Any], crops: Any, wanted: Any) -> tuple[Any, Any, Any]:
        first = crops if head is None else run(head, weights[0], crops)
        later = weights[len(parts) - len(segments) :]

        def total(added: list[Any]) -> tuple[Any, Any]:
            x, points = first, []
            for segment, given, extra in zip(segments, later, added, strict=True):
                x = x + extra  # of zeros: the gradient at them is the one of the output itself
                points.append(x)
                x = run(segment, given, x)
            return _followed(x, wanted), (points, x)

        shapes, x = [], first
        for segment, given in zip(segments, later, strict=True):
            shapes.append(jax.eval_shape(lambda value: value, x))
            x = jax.eval_shape(lambda value, s=segment, g=given: run(s, g, value), x)
        zeros = [jnp.zeros(shape.shape, shape.dtype) for shape in shapes]
        gradients, (points, logits) = jax.grad(total, has_aux=True)(zeros)
        return points, gradients, logits

    return lambda crops, wanted: compiled([_jax_weights(part) for part in parts], crops, wanted)


def _torch_forward(model: Any) -> Forward:
    import torch
    from keras import ops

    def run(crops: np.ndarray) -> list[Any]:
        with torch.no_grad():
            return _listed(model(ops.convert_to_tensor(crops), training=False))

    return run


def _torch_step(head: Any, segments: Sequence[Any]) -> Step:
    import torch
    from keras import ops

    def step(crops: np.ndarray, wanted: np.ndarray) -> tuple[list[Any], list[Any], Any]:
        x = ops.convert_to_tensor(crops)
        if head is not None:
            with torch.no_grad():
                x = head(x, training=False)
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            points = []
            for segment in segments:
                points.append(x)
                x = segment(x, training=False)
            total = _followed(x, ops.convert_to_tensor(wanted))
            gradients = torch.autograd.grad(total, points)
        return [point.detach() for point in points], list(gradients), x.detach()

    return step


BACKENDS: dict[
    str, tuple[Callable[[Any], Forward], Callable[[Any, Sequence[Any]], Step]]
] = {
    "tensorflow": (_tensorflow_forward, _tensorflow_step),
    "jax": (_jax_forward, _jax_step),
    "torch": (_torch_forward, _torch_step),
}
