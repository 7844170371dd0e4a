"""From maps to features: the mean of a map, and means over rings around its middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# The layer whose output is the features: all before it is the backbone, all after it the head.
POOLING = "pooling"
# Rings around the middle of a crop, in units of half its edge.
RINGS = ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0))
_FINER = 8


def pooled(maps: Sequence[Any], rings: bool) -> Any:
    """Return (N, F) features of maps (N, h, w, C), map by map, from built-in layers.

    Args:
        maps: Symbolic outputs of the taps.
        rings: Keep of each map its mean and those over `RINGS`, else its mean alone. In a crop of
            a cell, where something lies says much: in the nucleus, in the cytoplasm, beside it.
    """
    import keras

    parts: list[Any] = []
    for number, layer in enumerate(maps, start=1):
        alone = len(maps) == 1 and not rings
        name = POOLING if alone else f"{POOLING}_{number}"
        parts.append(keras.layers.GlobalAveragePooling2D(name=name)(layer))
        if rings:
            parts.append(_ring_means(layer, f"{name}_rings"))
    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name=POOLING)(parts)


def block_widths(extractor: Any) -> list[int]:
    """Return how many features of an extractor come from each of its taps, in their order."""
    pooling = extractor.get_layer(POOLING)
    if not isinstance(pooling.input, list):
        return [int(pooling.output.shape[-1])]
    widths: dict[str, int] = {}
    for tensor in pooling.input:
        tap = "_".join(tensor._keras_history.operation.name.split("_")[:2])
        widths[tap] = widths.get(tap, 0) + int(tensor.shape[-1])
    return list(widths.values())


def ring_weights(height: int, width: int) -> np.ndarray:
    """Return what each pixel of a map counts in the mean over each of `RINGS`.

    Args:
        height, width: Of the map. A pixel that the border of a ring cuts counts by its share in it.
    Returns: (height * width, rings) float32; columns sum to 1.
    """
    y, x = (
        np.abs((np.arange(n * _FINER) + 0.5) / (n * _FINER) * 2 - 1) for n in (height, width)
    )
    radius = np.hypot(y[:, None], x)
    columns = []
    for low, high in RINGS:
        inside = ((radius >= low) & (radius < high)).astype(np.float64)
        shares = inside.reshape(height, _FINER, width, _FINER).mean(axis=(1, 3)).ravel()
        columns.append(shares / shares.sum())
    return np.stack(columns, axis=1).astype(np.float32)


def _ring_means(layer: Any, name: str) -> Any:
    """Return (N, C * rings), by a layer that never learns."""
    import keras

    height, width, channels = layer.shape[1:]
    x = keras.layers.Reshape((height * width, channels), name=f"{name}_pixels")(layer)
    x = keras.layers.Permute((2, 1), name=f"{name}_turned")(x)
    means = keras.layers.Dense(len(RINGS), use_bias=False, trainable=False, name=name)
    x = means(x)
    means.set_weights([ring_weights(height, width)])
    return keras.layers.Flatten(name=f"{name}_flat")(x)
