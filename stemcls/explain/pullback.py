"""The one thing that differs from backend to backend: a value, and its gradient on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stemcls.errors import InputError, nearest

Pull = Callable[[Any], list[Any]]


def pullback(function: Callable[..., Any], points: list[Any]) -> tuple[Any, Pull]:
    """Evaluate `function(*points)` and return how a weight on its value travels back.

    Args:
        function: Made of Keras ops and layers; takes tensors, returns one tensor.
        points: Tensors of the backend, float32. They are held fixed: nothing further back learns.
    Returns: The value, and a function from d total / d value to the list of d total / d point,
        zeros where a point has no say. It may be called once.
    Raises:
        InputError: The backend that Keras runs on has no gradients here.
    """
    import keras

    backend = keras.backend.backend()
    if backend not in PULLBACKS:
        raise InputError(
            f"gradients are not available on Keras backend {backend!r}{nearest(backend, PULLBACKS)}"
        )
    return PULLBACKS[backend](function, points)


def _tensorflow(function: Callable[..., Any], points: list[Any]) -> tuple[Any, Pull]:
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


def _jax(function: Callable[..., Any], points: list[Any]) -> tuple[Any, Pull]:
    import jax

    value, pull = jax.vjp(function, *points)
    return value, lambda weight: list(pull(weight))


def _torch(function: Callable[..., Any], points: list[Any]) -> tuple[Any, Pull]:
    import torch

    watched = [point.detach().requires_grad_() for point in points]
    with torch.enable_grad():
        value = function(*watched)

    def pull(weight: Any) -> list[Any]:
        return list(
            torch.autograd.grad(value, watched, weight, allow_unused=True, materialize_grads=True)
        )

    return value.detach(), pull


PULLBACKS: dict[str, Callable[[Callable[..., Any], list[Any]], tuple[Any, Pull]]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
}
