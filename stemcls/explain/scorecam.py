"""Score-CAM: how much of the logit is left when a crop is seen through one channel at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from stemcls.config.explain import MethodSettings
from stemcls.explain.cams import map_layers
from stemcls.explain.maps import baseline, fused, normalised, upsampled
from stemcls.explain.probe import Probe

CHECKED = 2


def scorecam(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> np.ndarray:
    """Weigh each channel by the logit of the crop seen through it; the masks go in batches.

    What a mask covers becomes the crop's mean colour, which is the black image of the paper, whose
    crops have mean 0. The score of that image is the same for all channels and drops out of the
    softmax; channels that are alike everywhere leave nothing else to see.

    Args:
        settings: `top_channels` takes only the channels that vary most, per crop.
    Source: Wang et al. 2020, algorithm 1 (arXiv:1910.01279).
    """
    height, width = crops.shape[1:3]
    names = map_layers(probe)
    maps = []
    for activations in probe.outputs(crops, names):
        weights = _weights(probe, crops, targets, activations, settings.top_channels)
        weighted = (weights[:, None, None, :] * activations).sum(axis=-1)
        maps.append(upsampled(np.maximum(weighted, 0), height, width))
    return fused(maps)


def top_channels_error(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> dict[str, Any]:
    """Measure on a few crops what leaving channels out changes in the normalised map.

    Returns: `top_channels`, `of_channels` of the first layer, `measured_on` (crops), and
        `mean_error` and `largest_error` of a pixel on the map's scale of 0 to 1. Nothing where
        all channels are taken.
    """
    layers = probe.outputs(crops, map_layers(probe))
    most = max(activations.shape[-1] for activations in layers)
    if not 0 < settings.top_channels < most:
        return {}
    crops, targets = crops[:CHECKED], targets[:CHECKED]
    some, whole = (
        normalised(scorecam(probe, crops, targets, chosen))
        for chosen in (settings, MethodSettings(top_channels=0))
    )
    return {
        "top_channels": settings.top_channels,
        "of_channels": most,
        "measured_on": len(crops),
        "mean_error": float(np.abs(some - whole).mean()),
        "largest_error": float(np.abs(some - whole).max()),
    }


def _weights(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, activations: np.ndarray, top: int
) -> np.ndarray:
    """Return (N, C) weights that sum to 1 over the channels that take part."""
    taken = _taken(activations, top)
    scores = np.full(taken.shape, -np.inf, dtype=np.float64)
    seen = np.ptp(activations, axis=(1, 2)) > 0
    nothing = baseline(crops)
    blank = np.broadcast_to(nothing, crops.shape)
    hidden = probe.logits(blank)[np.arange(len(crops)), targets]
    scores[taken & ~seen] = np.broadcast_to(hidden[:, None], taken.shape)[taken & ~seen]
    pairs = np.argwhere(taken & seen)
    for start in range(0, len(pairs), probe.batch_size):
        of, channel = pairs[start : start + probe.batch_size].T
        masks = upsampled(activations[of, :, :, channel], *crops.shape[1:3])
        low, high = masks.min(axis=(1, 2), keepdims=True), masks.max(axis=(1, 2), keepdims=True)
        masks = ((masks - low) / (high - low))[..., None]
        masked = nothing[of] + (crops[of] - nothing[of]) * masks
        scores[of, channel] = probe.logits(masked)[np.arange(len(of)), targets[of]]
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def _taken(activations: np.ndarray, top: int) -> np.ndarray:
    """Return (N, C): which channels take part, all or those that vary most."""
    n, channels = len(activations), activations.shape[-1]
    if not 0 < top < channels:
        return np.ones((n, channels), dtype=bool)
    spread = activations.std(axis=(1, 2))
    taken = np.zeros((n, channels), dtype=bool)
    np.put_along_axis(taken, np.argsort(-spread, axis=1, kind="stable")[:, :top], True, axis=1)
    return taken
