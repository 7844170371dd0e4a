"""Compile a classifier so that TensorFlow traces its training step once."""

from __future__ import annotations

from typing import Any

import keras


def compile_classifier(
    model: Any, optimizer: Any, loss: Any, jit_compile: bool | str = "auto"
) -> None:
    """Compile a model of probabilities or logits (N, K) for class indices (N,), with `accuracy`.

    TensorFlow traces a function once more if its first trace created variables, and Keras leaves
    those of the optimiser and of a metric that is given by its name to the first step. Tracing is
    most of what a short training costs, so both are made here.

    Args:
        model: Its trainable layers are set already.
        optimizer, loss, jit_compile: As of `keras.Model.compile`.
    """
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(
        optimizer=optimizer, loss=loss, weighted_metrics=[accuracy], jit_compile=jit_compile
    )
    model.optimizer.build(model.trainable_variables)
