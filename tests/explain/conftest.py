"""Tiny models with known answers, saved once so that every backend explains the same files."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
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


def pooled_model(strides: int = 2, steepness: float = 3000.0) -> Any:
    """Build convolutions, global average pooling and one Dense layer: CAM is defined for it.

    Args:
        strides: Of both convolutions.
        steepness: Size of the Dense weights. Where gradients are small, what pytorch-grad-cam adds
            to a denominator is not.
    """
    import keras

    layers = keras.layers
    inputs = keras.Input((EDGE, EDGE, 3), name="crops")
    x = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    x = layers.Conv2D(6, 3, strides=strides, padding="same", activation="relu", name="first")(x)
    x = layers.Conv2D(8, 3, strides=strides, padding="same", activation="relu", name="maps")(x)
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    x = layers.Dense(3, name="logits")(x)
    model = keras.Model(inputs, layers.Softmax(name="probabilities")(x))
    random = np.random.default_rng(4)
    model.set_weights([random.normal(0, 0.5, value.shape) for value in model.get_weights()])
    head = model.get_layer("logits")
    head.set_weights([steepness * value for value in head.get_weights()])
    return model


def planted_crops(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return n crops of simulated cells, half of them with a striped patch inside the cell.

    Returns: (n, 48, 48, 1) uint8 crops, (n,) labels, and (n, 48, 48) bool: where the patch is, or
        would be.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48]
    crops = np.empty((n, 48, 48, 1), dtype=np.uint8)
    patches = np.zeros((n, 48, 48), dtype=bool)
    labels = np.arange(n) % 2
    for index in range(n):
        cy, cx, radius = 24 + random.normal(0, 1), 24 + random.normal(0, 1), random.uniform(14, 18)
        depth = np.clip(1 - ((y - cy) ** 2 + (x - cx) ** 2) / radius**2, 0, None) ** 0.5
        grey = 128 + 35 * (np.roll(depth, 1, axis=1) - np.roll(depth, -1, axis=1)) * 4 + 15 * depth
        angle, far = random.uniform(0, 2 * np.pi), random.uniform(0, radius - 7)
        top, left = int(cy + far * np.sin(angle)) - 4, int(cx + far * np.cos(angle)) - 4
        patches[index, top : top + 8, left : left + 8] = True
        if labels[index]:
            grey = grey + np.where(patches[index] & (y % 4 < 2), 45, 0)
        grey = grey + random.normal(0, 6, grey.shape)
        crops[index, :, :, 0] = np.clip(grey, 0, 255)
    return crops, labels, patches


@pytest.fixture(scope="session")
def planted_model() -> Any:
    """Return a small convolutional network that has learned to tell planted patches, by 98 %."""
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((48, 48, 1), name="crops")
    x = layers.Rescaling(1 / 64, -2.0, name="rescaling")(inputs)
    for index, (filters, strides) in enumerate(((8, 1), (16, 2), (16, 2))):
        x = layers.Conv2D(
            filters, 3, strides=strides, padding="same", activation="relu", name=f"conv_{index}"
        )(x)
    x = layers.GlobalMaxPooling2D(name="pooling")(x)
    x = layers.Dense(2, name="logits")(x)
    model = keras.Model(inputs, layers.Softmax(name="probabilities")(x))
    crops, labels, _ = planted_crops(512, 1)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(crops, labels, batch_size=32, epochs=6, verbose=0)
    return model


def noise_crops(n: int, channels: int, seed: int = 0) -> np.ndarray:
    """Return (n, EDGE, EDGE, channels) uint8 noise."""
    random = np.random.default_rng(seed)
    return random.integers(1, 256, (n, EDGE, EDGE, channels), dtype=np.uint8)


@pytest.fixture(scope="session")
def saved_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with corner, winding, pooled and fine .keras files."""
    folder = tmp_path_factory.mktemp("models")
    pooled_model().save(folder / "pooled.keras")
    pooled_model(strides=1, steepness=1.0).save(folder / "fine.keras")
    corner_model().save(folder / "corner.keras")
    winding_model().save(folder / "winding.keras")
    return folder


@pytest.fixture(scope="session")
def probed(saved_models: Path) -> Any:
    """Return a function that explains the saved models, once a backend.

    The backend of the tests does so here, the others in a process of their own.
    """
    results: dict[str, dict[str, np.ndarray] | str] = {}

    def probe(backend: str) -> dict[str, np.ndarray]:
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"backend {backend} is not installed")
        if backend not in results:
            out = saved_models / f"{backend}.npz"
            complaint = _run_probe(backend, saved_models, out)
            results[backend] = complaint
            if not complaint:
                with np.load(out) as arrays:
                    results[backend] = dict(arrays)
        found = results[backend]
        assert not isinstance(found, str), found
        return found

    return probe


def _run_probe(backend: str, folder: Path, out: Path) -> str:
    """Write what the saved models give on a backend; return what went wrong, or nothing."""
    import keras

    if backend == keras.backend.backend():
        from . import backend_probe

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the reference libraries
            backend_probe.main(folder, out)
        return ""
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(PROBE), str(folder), str(out)],
        env=environment, capture_output=True, text=True, timeout=200, check=False,
    )
    return done.stderr[-3000:] if done.returncode else ""
