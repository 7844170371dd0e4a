"""Published networks with random weights, made quickly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import pytest

from stemcls.models.backbones import BACKBONES


@contextmanager
def quick_weights() -> Iterator[None]:
    """Draw few random numbers for many weights: drawing all takes longer than the tests do."""
    few = np.random.default_rng(2).normal(size=99_991).astype("float32")

    def draw(self: Any, shape: tuple[int, ...], dtype: Any = None) -> np.ndarray:
        return np.resize(few, shape) * np.sqrt(2.0 / np.prod(shape[:-1]), dtype="float32")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.initializers.VarianceScaling, "__call__", draw)
        yield


def published(name: str, edge: int, seed: int = 0) -> keras.Model:
    """Build a network as its authors left it, with random weights that keep its maps finite."""
    source = keras.Input((edge, edge, 3))
    network = BACKBONES[name].construct(input_tensor=source, weights=None)
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.0, w.shape) for w in layer.get_weights()])
    return network
