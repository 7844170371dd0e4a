"""The table of class activation maps: each one is a way to weigh a layer's channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Weigh = Callable[[np.ndarray, np.ndarray], np.ndarray]


def gradcam_weights(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Weigh each channel by its mean gradient.

    Args:
        activations: (N, H, W, C) float32.
        gradients: (N, H, W, C), d logit / d activation.
    Returns: (N, 1, 1, C) weights, unbounded.
    Source: Selvaraju et al. 2017, eq. 1 (arXiv:1610.02391).
    """
    del activations  # other methods of the table look at them
    return gradients.mean(axis=(1, 2), keepdims=True)


def activation_map(weigh: Weigh, activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Sum the weighted channels and keep what speaks for the class.

    Args:
        weigh: A row of `METHODS`; its weights may also differ from pixel to pixel.
        activations: (N, H, W, C) float32.
        gradients: (N, H, W, C), d logit / d activation.
    Returns: (N, H, W) float32, 0 or more.
    Source: Selvaraju et al. 2017, eq. 2.
    """
    weighted = (weigh(activations, gradients) * activations).sum(axis=-1)
    return np.maximum(weighted, 0).astype(np.float32)


METHODS: dict[str, Weigh] = {
    "gradcam": gradcam_weights,
}
