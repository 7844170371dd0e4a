"""Heat maps of what in a crop speaks for a class, and how much of the crop that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.errors import InputError, nearest
from stemcls.explain.gradients import layer_gradients
from stemcls.explain.graph import saliency_layer
from stemcls.explain.methods import METHODS, activation_map

SALIENT = 0.5


@dataclass(frozen=True, eq=False)
class Explanation:
    """Heat maps of N crops.

    Attributes:
        heatmaps: (N, H, W) float32 in [0, 1]; the largest value of each is 1, or all are 0.
        targets: (N,) int64, the class that each map speaks for.
        probabilities: (N, K) float32, what the model says of each crop.
        layer: Where the map was taken.
        method: Its name in `METHODS`.
    """

    heatmaps: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray
    layer: str
    method: str

    def __len__(self) -> int:
        return len(self.heatmaps)

    @property
    def pixel_score(self) -> np.ndarray:
        """(N,) float32 in [0, 1]; see `pixel_score`."""
        return pixel_score(self.heatmaps)


def explain(
    model: Any,
    images: np.ndarray,
    targets: np.ndarray | None = None,
    method: str = "gradcam",
    layer: str | None = None,
    batch_size: int = 32,
) -> Explanation:
    """Say where in each crop the model sees a class.

    Args:
        model: Flat functional keras.Model of (N, H, W, C) raw pixels with a layer `logits`.
        images: (N, H, W, C) as stored.
        targets: (N,) class indices; None means each crop's predicted class.
        method: A name in `METHODS`.
        layer: Where to look; None takes `saliency_layer(model)`.
        batch_size: Crops per step.
    Raises:
        InputError: Unknown method or layer, a layer that a shortcut passes by, or crops and
            targets that do not fit the model.
    """
    if method not in METHODS:
        raise InputError(f"there is no method {method!r} of explaining{nearest(method, METHODS)}")
    if not len(images):
        raise InputError("there are no crops to explain; choose some rows")
    layer = layer or saliency_layer(model)
    heatmaps, followed, logits = [], [], []
    for batch in layer_gradients(model, layer, images, targets, batch_size):
        small = activation_map(METHODS[method], batch.activations, batch.gradients)
        heatmaps.append(normalised(upsampled(small, images.shape[1], images.shape[2])))
        followed.append(batch.targets)
        logits.append(batch.logits)
    return Explanation(
        heatmaps=np.concatenate(heatmaps),
        targets=np.concatenate(followed),
        probabilities=_softmax(np.concatenate(logits)),
        layer=layer,
        method=method,
    )


def upsampled(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Enlarge (N, h, w) maps to (N, height, width) bilinearly, edges aligned, borders repeated."""
    rows = _interpolation(height, maps.shape[1])
    columns = _interpolation(width, maps.shape[2])
    return np.asarray(rows @ maps @ columns.T, dtype=np.float32)


def normalised(maps: np.ndarray) -> np.ndarray:
    """Divide each of (N, H, W) non-negative maps by its own maximum; a map of zeros stays so."""
    largest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, largest, out=np.zeros_like(maps), where=largest > 0)


def pixel_score(heatmaps: np.ndarray) -> np.ndarray:
    """Return how much of each crop is salient: saliency below 0.5 set to 0, mean of ALL pixels.

    Args:
        heatmaps: (N, H, W) in [0, 1].
    Returns: (N,) float32 in [0, 1].
    Source: the normalised pixel score of Kim et al. 2022.
    """
    kept = np.where(heatmaps >= SALIENT, heatmaps, 0)
    return kept.mean(axis=(1, 2), dtype=np.float64).astype(np.float32)


def _interpolation(size: int, source: int) -> np.ndarray:
    """Return (size, source) weights of linear interpolation between pixel centres."""
    centres = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    distance = np.abs(centres[:, None] - np.arange(source)[None, :])
    return np.maximum(1 - distance, 0).astype(np.float32)


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
