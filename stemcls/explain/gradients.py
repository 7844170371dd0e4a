"""Activations of one layer and the gradients of a logit there, on whichever backend Keras runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.errors import InputError, nearest
from stemcls.explain.graph import LOGITS, check_layer

PREDICTED = -1

Step = Callable[[np.ndarray, np.ndarray], tuple[Any, Any, Any]]


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """What a class activation map is made of, for N crops.

    Attributes:
        activations: (N, H, W, C) float32, output of the layer.
        gradients: (N, H, W, C) float32, d logit[target] / d activation.
        targets: (N,) int64, the class whose logit was followed.
        logits: (N, K) float32.
    """

    activations: np.ndarray
    gradients: np.ndarray
    targets: np.ndarray
    logits: np.ndarray


def layer_gradients(
    model: Any,
    layer: str,
    images: np.ndarray,
    targets: np.ndarray | None = None,
    batch_size: int = 32,
) -> Iterator[LayerGradients]:
    """Yield the activations and gradients of `layer`, batch by batch, in order.

    The model runs as it predicts: dropout is off and BatchNorm keeps its statistics.

    Args:
        model: Flat functional keras.Model of (N, H, W, C) raw pixels with a layer `logits`.
        layer: A layer that every path crosses; see `stemcls.explain.graph.cut_layers`.
        images: (N, H, W, C) as stored.
        targets: (N,) class indices; None, or -1 for one crop, means the predicted class.
        batch_size: Crops per step.
    Raises:
        InputError: The layer, the crops' shape or a target does not fit the model.
    """
    import keras

    check_layer(model, layer)
    wanted = _checked_targets(model, images, targets)
    cut, logits = model.get_layer(layer).output, model.get_layer(LOGITS).output
    front, tail = keras.Model(model.input, cut), keras.Model(cut, logits)
    backend = keras.backend.backend()
    if backend not in STEPS:
        raise InputError(
            f"gradients are not available on Keras backend {backend!r}{nearest(backend, STEPS)}"
        )
    step = STEPS[backend](tail)
    for start in range(0, len(images), batch_size):
        batch, chosen = images[start : start + batch_size], wanted[start : start + batch_size]
        n = len(batch)
        if n < batch_size < len(images):  # one shape for all batches, so one compilation
            repeated = np.arange(batch_size) % n
            batch, chosen = batch[repeated], chosen[repeated]
        activations = np.asarray(front.predict_on_batch(batch))
        gradients, targeted, values = step(activations, chosen)
        yield LayerGradients(
            activations=_floats(activations)[:n],
            gradients=_floats(gradients)[:n],
            targets=np.asarray(keras.ops.convert_to_numpy(targeted), dtype=np.int64)[:n],
            logits=_floats(values)[:n],
        )


def _checked_targets(model: Any, images: np.ndarray, targets: np.ndarray | None) -> np.ndarray:
    shape, classes = tuple(model.input_shape[1:]), model.get_layer(LOGITS).output.shape[-1]
    if images.ndim != 4 or images.shape[1:] != shape:
        raise InputError(f"the model takes crops (N, *{shape}), found {images.shape}")
    if targets is None:
        return np.full(len(images), PREDICTED, dtype=np.int32)
    wanted = np.asarray(targets)
    if wanted.shape != (len(images),) or wanted.dtype.kind not in "iu":
        raise InputError(
            f"expected one class index for each of {len(images)} crops, found {wanted.dtype} "
            f"of shape {wanted.shape}"
        )
    if len(wanted) and not PREDICTED <= wanted.min() <= wanted.max() < classes:
        raise InputError(
            f"targets are class indices 0 to {classes - 1}, or {PREDICTED} for the predicted one; "
            f"found {wanted.min()} to {wanted.max()}"
        )
    return wanted.astype(np.int32)


def _followed(logits: Any, wanted: Any) -> tuple[Any, Any]:
    """Return the sum of the target logits of a batch, and the targets; Keras ops only."""
    from keras import ops

    logits = ops.cast(logits, "float32")
    largest = ops.cast(ops.argmax(logits, axis=-1), "int32")
    targets = ops.where(wanted < 0, largest, wanted)
    return ops.sum(logits * ops.one_hot(targets, logits.shape[-1], dtype="float32")), targets


def _tensorflow_step(tail: Any) -> Step:
    import tensorflow as tf

    def step(activations: np.ndarray, wanted: np.ndarray) -> tuple[Any, Any, Any]:
        point = tf.convert_to_tensor(activations)
        with tf.GradientTape() as tape:
            tape.watch(point)
            logits = tail(point, training=False)
            total, targets = _followed(logits, tf.convert_to_tensor(wanted))
        return tape.gradient(total, point), targets, logits

    return step


def _jax_step(tail: Any) -> Step:
    import jax

    learned = [variable.value for variable in tail.trainable_variables]
    fixed = [variable.value for variable in tail.non_trainable_variables]

    @jax.jit
    def compiled(
        learned: list[Any], fixed: list[Any], activations: Any, wanted: Any
    ) -> tuple[Any, Any, Any]:
        def total(point: Any) -> tuple[Any, Any]:
            logits, _ = tail.stateless_call(learned, fixed, point, training=False)
            summed, targets = _followed(logits, wanted)
            return summed, (targets, logits)

        gradients, (targets, logits) = jax.grad(total, has_aux=True)(activations)
        return gradients, targets, logits

    return lambda activations, wanted: compiled(learned, fixed, activations, wanted)


def _torch_step(tail: Any) -> Step:
    import torch
    from keras import ops

    def step(activations: np.ndarray, wanted: np.ndarray) -> tuple[Any, Any, Any]:
        with torch.enable_grad():
            point = ops.convert_to_tensor(activations).detach().requires_grad_(True)
            logits = tail(point, training=False)
            total, targets = _followed(logits, ops.convert_to_tensor(wanted))
            (gradients,) = torch.autograd.grad(total, point)
        return gradients, targets, logits.detach()

    return step


def _floats(values: Any) -> np.ndarray:
    from keras import ops

    return np.asarray(ops.convert_to_numpy(values), dtype=np.float32)


STEPS: dict[str, Callable[[Any], Step]] = {
    "tensorflow": _tensorflow_step,
    "jax": _jax_step,
    "torch": _torch_step,
}
