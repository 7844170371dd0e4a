"""What differs from backend to backend, in one table: to compile, and to take gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from stemcls.errors import check_known

# crops (n, H, W, C) float32 -> outputs
Forward = Callable[[np.ndarray], list[Any]]
# (crops (n, H, W, C) float32, targets (n,) int32) -> outputs, gradients (a list each), logits
Step = Callable[[np.ndarray, np.ndarray], tuple[list[Any], list[Any], Any]]
# d total / d value -> d total / d point, one for each point
Pull = Callable[[Any], list[Any]]
# (model, tensor) -> what the model predicts
Run = Callable[[Any, Any], Any]


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


def make_forward(model: Any) -> Forward:
    """Return a function that runs a model as it predicts: dropout off, BatchNorm at rest.

    Weights are read at each call.

    Args:
        model: keras.Model of crops to one output or a list of them.
    Raises:
        InputError: Keras runs on a backend that is not known here.
    """

    def forward(run: Run, crops: Any) -> list[Any]:
        outputs = run(model, crops)
        return list(outputs) if isinstance(outputs, list | tuple) else [outputs]

    return _backend().compiled(forward, [model], [_crops_of(model)])


def make_step(head: Any | None, segments: Sequence[Any]) -> Step:
    """Return a function that follows logits back to where the segments of a model meet.

    The model runs as by `make_forward`.

    Args:
        head: keras.Model from the crops to the first point; None: the first point is the crops.
        segments: keras.Models, from each point to the next and from the last to the logits.
    Raises:
        InputError: Keras runs on a backend without gradients.
    """
    from keras import ops

    def follow(run: Run, crops: Any, wanted: Any) -> tuple[list[Any], list[Any], Any]:
        x = crops if head is None else run(head, crops)
        points, pulls, gradients = [], [], []
        for segment in segments:
            points.append(x)
            x, pull = pullback(partial(run, segment), [x])
            pulls.append(pull)
        arrived = ops.one_hot(wanted, x.shape[-1], dtype=x.dtype)
        for pull in reversed(pulls):
            (arrived,) = pull(arrived)
            gradients.append(arrived)
        return points, gradients[::-1], x

    models = [*([] if head is None else [head]), *segments]
    return _backend().compiled(follow, models, [_crops_of(models[0]), ((None,), "int32")])


def pullback(function: Callable[..., Any], points: list[Any]) -> tuple[Any, Pull]:
    """Evaluate `function(*points)` and return how a weight on its value travels back.

    Args:
        function: Made of Keras ops and layers; takes tensors, returns one tensor.
        points: Tensors of the backend, floats. They are held fixed: nothing further back learns.
    Returns: The value, and a function from d total / d value to the list of d total / d point,
        zeros where a point has no say. It may be called once.
    Raises:
        InputError: The backend that Keras runs on has no gradients here.
    """
    return _backend().pullback(function, points)


def floats(values: Any) -> np.ndarray:
    """Return a tensor of any backend as a float32 array."""
    from keras import ops

    return np.asarray(ops.convert_to_numpy(values), dtype=np.float32)


# Shape, None where any size will do, and dtype of an argument.
Argument = tuple[tuple[int | None, ...], str]


def _crops_of(model: Any) -> Argument:
    return (None, *model.input_shape[1:]), "float32"


def _tensorflow_compiled(
    function: Callable[..., Any], models: Sequence[Any], arguments: Sequence[Argument]
) -> Callable[..., Any]:
    import tensorflow as tf

    del models

    def run(model: Any, x: Any) -> Any:
        return model(x, training=False)

    # A concrete function takes any number of crops, so nothing is traced again.
    specs = [tf.TensorSpec(shape, dtype) for shape, dtype in arguments]
    compiled = tf.function(partial(function, run)).get_concrete_function(*specs)
    return lambda *arrays: compiled(*map(tf.convert_to_tensor, arrays))


def _tensorflow_pullback(function: Callable[..., Any], points: list[Any]) -> tuple[Any, Pull]:
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for point in points:
            tape.watch(point)
        value = function(*points)

    def pull(weight: Any) -> list[Any]:
        zero = tf.UnconnectedGradients.ZERO
        found: list[Any] = tape.gradient(value, points, weight, unconnected_gradients=zero)
        return found

    return value, pull


def _jax_compiled(
    function: Callable[..., Any], models: Sequence[Any], arguments: Sequence[Argument]
) -> Callable[..., Any]:
    import jax

    del arguments

    @jax.jit
    def compiled(weights: list[Any], *arrays: Any) -> Any:
        given = {id(model): values for model, values in zip(models, weights, strict=True)}

        def run(model: Any, x: Any) -> Any:
            return model.stateless_call(*given[id(model)], x, training=False)[0]

        return function(run, *arrays)

    def weights_of(model: Any) -> tuple[list[Any], list[Any]]:
        learned, fixed = model.trainable_variables, model.non_trainable_variables
        return [variable.value for variable in learned], [variable.value for variable in fixed]

    return lambda *arrays: compiled([weights_of(model) for model in models], *arrays)


def _jax_pullback(function: Callable[..., Any], points: list[Any]) -> tuple[Any, Pull]:
    import jax

    value, pull = jax.vjp(function, *points)
    return value, lambda weight: list(pull(weight))


def _torch_compiled(
    function: Callable[..., Any], models: Sequence[Any], arguments: Sequence[Argument]
) -> Callable[..., Any]:
    import torch
    from keras import ops

    del models, arguments

    def run(model: Any, x: Any) -> Any:
        return model(x, training=False)

    def step(*arrays: np.ndarray) -> Any:
        with torch.no_grad():
            return function(run, *map(ops.convert_to_tensor, arrays))

    return step


def _torch_pullback(function: Callable[..., Any], points: list[Any]) -> tuple[Any, Pull]:
    import torch

    watched = [point.detach().requires_grad_() for point in points]
    with torch.enable_grad():
        value = function(*watched)

    def pull(weight: Any) -> list[Any]:
        return list(
            torch.autograd.grad(value, watched, weight, allow_unused=True, materialize_grads=True)
        )

    return value.detach(), pull


@dataclass(frozen=True)
class Backend:
    """What a backend of Keras has to do here.

    Attributes:
        compiled: (function(run, *tensors), the models it runs, its arguments) -> the same as a
            function of arrays, fast when called again. `run(model, x)` predicts.
        pullback: See `pullback`.
    """

    compiled: Callable[
        [Callable[..., Any], Sequence[Any], Sequence[Argument]], Callable[..., Any]
    ]
    pullback: Callable[[Callable[..., Any], list[Any]], tuple[Any, Pull]]


BACKENDS = {
    "tensorflow": Backend(_tensorflow_compiled, _tensorflow_pullback),
    "jax": Backend(_jax_compiled, _jax_pullback),
    "torch": Backend(_torch_compiled, _torch_pullback),
}


def _backend() -> Backend:
    import keras

    name = keras.backend.backend()
    check_known(name, BACKENDS, f"gradients are not available on Keras backend {name!r}")
    return BACKENDS[name]
