"""Tiny models with known answers, saved once so that every backend explains the same files."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EDGE = 32
PROBE = Path(__file__).with_name("backend_probe.py")
ROOT = PROBE.parents[2]


def corner_model() -> Any:
    """Build a model whose only class evidence is what it sees in the top right 8x8 pixels."""
    import keras

    inputs = keras.Input((EDGE, EDGE, 1), name="crops")
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(inputs)
    x = keras.layers.Conv2D(2, 2, strides=2, use_bias=False, name="stem")(x)
    x = keras.layers.Cropping2D(((0, 12), (12, 0)), name="corner")(x)
    x = keras.layers.ZeroPadding2D(((0, 12), (12, 0)), name="rest")(x)
    x = keras.layers.Conv2D(2, 1, use_bias=False, activation="relu", name="seen")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    x = keras.layers.Dense(2, name="logits")(x)
    model = keras.Model(inputs, keras.layers.Softmax(name="probabilities")(x))
    model.get_layer("stem").set_weights([np.full((2, 2, 1, 2), 0.25)])
    model.get_layer("seen").set_weights([np.eye(2)[None, None]])
    model.get_layer("logits").set_weights([np.array([[-1.0, 2.0], [-1.0, 1.0]]), np.zeros(2)])
    return model


def winding_model() -> Any:
    """Build a model with a shortcut, a concatenation, BatchNorm and dropout, smooth throughout."""
    import keras

    layers = keras.layers
    inputs = keras.Input((EDGE, EDGE, 3), name="crops")
    x = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="softplus", name="stem")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="around")(x)
    y = layers.BatchNormalization(name="scaled")(y)
    x = layers.Add(name="joined")([x, y])
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="softplus", name="middle")(x)
    y = layers.Conv2D(4, 3, padding="same", activation="tanh", name="branch")(x)
    x = layers.Concatenate(name="stacked")([x, y])
    x = layers.BatchNormalization(name="last")(x)
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Dense(3, name="logits")(x)
    model = keras.Model(inputs, layers.Softmax(name="probabilities")(x))
    random = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([random.uniform(0.1, 0.9, value.shape) if value.ndim == 1
                           else random.normal(0, 0.5, value.shape)
                           for value in layer.get_weights()])
    return model


def noise_crops(n: int, channels: int, seed: int = 0) -> np.ndarray:
    """Return (n, EDGE, EDGE, channels) uint8 noise."""
    random = np.random.default_rng(seed)
    return random.integers(1, 256, (n, EDGE, EDGE, channels), dtype=np.uint8)


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with corner.keras and winding.keras."""
    folder = tmp_path_factory.mktemp("models")
    corner_model().save(folder / "corner.keras")
    winding_model().save(folder / "winding.keras")
    return folder


@pytest.fixture(scope="session")
def probed(saved_models: Path) -> Any:
    """Return a function that explains the saved models in a process of its own, once a backend."""
    results: dict[str, dict[str, np.ndarray]] = {}

    def probe(backend: str) -> dict[str, np.ndarray]:
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"backend {backend} is not installed")
        if backend not in results:
            out = saved_models / f"{backend}.npz"
            environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                [sys.executable, str(PROBE), str(saved_models), str(out)],
                env=environment, capture_output=True, text=True, timeout=200, check=False,
            )
            assert done.returncode == 0, done.stderr[-3000:]
            with np.load(out) as arrays:
                results[backend] = dict(arrays)
        return results[backend]

    return probe
