"""Class activation maps: a layer's channels, weighed by what their gradients say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stemcls.config.explain import MethodSettings
from stemcls.explain.graph import saliency_layer
from stemcls.explain.maps import fused, upsampled
from stemcls.explain.probe import Probe

# (activations, gradients), (N, H, W, C) each -> weights, broadcast over the activations
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


def gradcampp_weights(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Weigh each channel by its positive gradients, those most that stand for few pixels.

    The class score of the paper is exp(logit), whose derivatives are powers of the logit's
    gradient g times exp(logit); that common factor scales the map and is left out. So

        alpha = g^2 / (2 g^2 + g^3 sum(A)) = 1 / (2 + g sum(A)),  weight = sum(alpha max(g, 0)).

    Args:
        activations: (N, H, W, C) float32.
        gradients: (N, H, W, C), d logit / d activation.
    Returns: (N, 1, 1, C) weights.
    Source: Chattopadhay et al. 2018, eqs. 10 and 19 (arXiv:1710.11063).
    """
    rising = np.maximum(gradients, 0)
    share = 2 + rising * activations.sum(axis=(1, 2), keepdims=True)
    alpha = np.divide(1, share, out=np.zeros_like(rising), where=(rising > 0) & (share != 0))
    return (alpha * rising).sum(axis=(1, 2), keepdims=True)


def layercam_weights(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Weigh each pixel of each channel by its own positive gradient.

    Args:
        activations: (N, H, W, C) float32.
        gradients: (N, H, W, C), d logit / d activation.
    Returns: (N, H, W, C) weights, 0 or more.
    Source: Jiang et al. 2021, eqs. 5 and 6 (doi:10.1109/TIP.2021.3089943).
    """
    del activations
    return np.maximum(gradients, 0)


def activation_map(weigh: Weigh, activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Sum the weighted channels and keep what speaks for the class.

    Args:
        weigh: Its weights may also differ from pixel to pixel.
        activations: (N, H, W, C) float32.
        gradients: (N, H, W, C), d logit / d activation.
    Returns: (N, H, W) float32, 0 or more.
    Source: Selvaraju et al. 2017, eq. 2.
    """
    weighted = (weigh(activations, gradients) * activations).sum(axis=-1)
    return np.maximum(weighted, 0).astype(np.float32)


def cam_of(
    weigh: Weigh,
) -> Callable[[Probe, np.ndarray, np.ndarray, MethodSettings], np.ndarray]:
    """Return the method that weighs channels by `weigh`, at every layer that the probe names."""

    def compute(
        probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
    ) -> np.ndarray:
        del settings  # there is nothing to set
        found = probe.gradients(crops, targets, map_layers(probe))
        height, width = crops.shape[1:3]
        return fused([
            upsampled(activation_map(weigh, activations, gradients), height, width)
            for activations, gradients in zip(found.activations, found.gradients, strict=True)
        ])

    return compute


def map_layers(probe: Probe) -> tuple[str, ...]:
    """Return the layers whose maps are weighed.

    Raises:
        InputError: The model has none, because it has no convolution with a map that says where.
    """
    return probe.layers or (saliency_layer(probe.model),)
