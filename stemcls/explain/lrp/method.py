"""Relevance propagation as a row of the table of methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from stemcls.config.explain import MethodSettings
from stemcls.explain.lrp.relevance import Relevance, relevance
from stemcls.explain.probe import Probe


def lrp(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> np.ndarray:
    """Return the relevance of each pixel, its channels summed: (N, H, W) float32, signed.

    Args:
        settings: `lrp`, the preset, and `lrp_epsilon`.
    Source: Bach et al. 2015 (doi:10.1371/journal.pone.0130140); see `relevance`.
    """
    return _propagated(probe, crops, targets, settings).pixels.sum(axis=-1)


def conservation(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> dict[str, Any]:
    """Say where the logits went, as means over crops, and the largest gap relative to its logit."""
    found = _propagated(probe, crops, targets, settings)
    relative = np.abs(found.gap) / np.maximum(np.abs(found.logits), np.finfo(np.float32).eps)
    return {
        "preset": settings.lrp,
        "logit": float(found.logits.mean()),
        "relevance_of_pixels": float((found.logits - found.gap - found.bias).mean()),
        "share_of_biases": float(found.bias.mean()),
        "absorbed": float(found.absorbed.mean()),
        "largest_gap": float(relative.max()),
    }


def _propagated(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> Relevance:
    return relevance(probe, crops, targets, settings.lrp, settings.lrp_epsilon)
