"""Simple methods that better ones must beat: plain gradients, and covering parts of the crop."""

from __future__ import annotations

import numpy as np

from stemcls.config.explain import MethodSettings
from stemcls.explain.graph import INPUT
from stemcls.explain.maps import baseline
from stemcls.explain.probe import Probe

PATCHES_PER_EDGE = 8


def gradient_x_input(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> np.ndarray:
    """Multiply each stored pixel by the gradient of the logit there, and sum the channels.

    Source: Shrikumar et al. 2017, section 2.2 (arXiv:1605.01713).
    """
    del settings
    found = probe.gradients(crops, targets, (INPUT,))
    return (found.gradients[0] * found.activations[0]).sum(axis=-1)


def smoothgrad(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> np.ndarray:
    """Average the gradient over noisy copies of the crop; its largest size over the channels.

    Args:
        settings: `samples` copies with normal noise of `noise` times the crop's range.
    Source: Smilkov et al. 2017, eq. of section 3 (arXiv:1706.03825).
    """
    random = np.random.default_rng(settings.seed)
    values = crops.astype(np.float32)
    sigma = settings.noise * np.ptp(values, axis=(1, 2, 3), keepdims=True)
    total = np.zeros_like(values)
    for _ in range(settings.samples):
        # One crop's noise is every crop's, so that a map does not depend on the rest of the batch.
        noise = random.standard_normal(values.shape[1:], dtype=np.float32)
        total += probe.gradients(values + sigma * noise, targets, (INPUT,)).gradients[0]
    return np.abs(total / settings.samples).max(axis=-1)


def occlusion(
    probe: Probe, crops: np.ndarray, targets: np.ndarray, settings: MethodSettings
) -> np.ndarray:
    """Slide a patch of the crop's mean colour over it; a pixel's worth is the drop of the logit.

    The patch moves by half its edge; a pixel gets the mean of the drops of the patches on it.

    Args:
        settings: `patch_px`; 0 takes an eighth of the shorter edge.
    Source: Zeiler and Fergus 2014, section 4.2 (arXiv:1311.2901).
    """
    height, width = crops.shape[1:3]
    patch = min(settings.patch_px or max(1, min(height, width) // PATCHES_PER_EDGE), height, width)
    places = [(y, x) for y in _starts(height, patch) for x in _starts(width, patch)]
    whole = probe.logits(crops)[np.arange(len(crops)), targets]
    grey = baseline(crops)
    pairs = np.array([(n, p) for n in range(len(crops)) for p in range(len(places))])
    drops = np.empty((len(crops), len(places)), dtype=np.float32)
    for start in range(0, len(pairs), probe.batch_size):
        of, at = pairs[start : start + probe.batch_size].T
        covered = crops[of].astype(np.float32)
        for copy, crop, place in zip(covered, of, at, strict=True):
            y, x = places[place]
            copy[y : y + patch, x : x + patch] = grey[crop, 0, 0]
        drops[of, at] = whole[of] - probe.logits(covered)[np.arange(len(of)), targets[of]]
    total = np.zeros((len(crops), height, width), dtype=np.float32)
    times = np.zeros((height, width), dtype=np.float32)
    for (y, x), drop in zip(places, drops.T, strict=True):
        total[:, y : y + patch, x : x + patch] += drop[:, None, None]
        times[y : y + patch, x : x + patch] += 1
    return total / times


def _starts(edge: int, patch: int) -> list[int]:
    """Return where patches begin so that every pixel is covered and none sticks out."""
    return sorted({*range(0, edge - patch + 1, max(1, patch // 2)), edge - patch})
