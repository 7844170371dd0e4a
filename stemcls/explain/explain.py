"""Heat maps of what in a crop speaks for a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stemcls.config.explain import MethodSettings
from stemcls.errors import InputError
from stemcls.explain.maps import normalised
from stemcls.explain.methods import method_named
from stemcls.explain.pixelscore import pixel_score
from stemcls.explain.probe import BATCH_SIZE, Probe, open_probe
from stemcls.progress import Update


@dataclass(frozen=True, eq=False)
class Explanation:
    """Heat maps of N crops.

    Attributes:
        heatmaps: (N, H, W) float32 in [0, 1], or in [-1, 1] where a method also tells what speaks
            against the class; the largest absolute value of each is 1, or all are 0.
        targets: (N,) int64, the class that each map speaks for.
        probabilities: (N, K) float32, what the model says of each crop.
        layer: Where the map was taken; several are joined by ", ". Empty for methods that look at
            no layer of their own.
        method: Its name in `METHODS`.
        report: What the method says of itself, such as an error it made.
    """

    heatmaps: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray
    layer: str
    method: str
    report: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.heatmaps)

    @property
    def pixel_score(self) -> np.ndarray:
        """(N,) float32 in [0, 1]; see `pixel_score`."""
        return pixel_score(self.heatmaps)


def explain(
    model: Any,
    images: np.ndarray,
    targets: Any = None,
    method: str = "gradcam",
    layer: str | Sequence[str] | None = None,
    batch_size: int = BATCH_SIZE,
    settings: MethodSettings | None = None,
    update: Update | None = None,
) -> Explanation:
    """Say where in each crop the model sees a class.

    Args:
        model: Plain keras.Model of (N, H, W, C) raw pixels to classes, or a `Probe` of one.
        images: (N, H, W, C) as stored.
        targets: (N,) class indices, or one for all; None means each crop's predicted class.
        method: A name in `METHODS`.
        layer: Where class activation maps look, one layer or several to be fused; None takes
            `saliency_layer`. A probe has chosen already.
        batch_size: Crops per step; a probe has its own.
        settings: Of single methods.
        update: Called as update(done, total, note).
    Raises:
        InputError: Unknown method or layer, a layer that a shortcut passes by, or crops and
            targets that do not fit the model.
    """
    row = method_named(method)
    if not len(images):
        raise InputError("there are no crops to explain; choose some rows")
    probe = model if isinstance(model, Probe) else open_probe(model, layer, batch_size)
    settings = settings or MethodSettings()
    followed = probe.checked_targets(images, targets)
    heatmaps = []
    for start in range(0, len(images), probe.batch_size):
        batch = slice(start, start + probe.batch_size)
        raw = row.compute(probe, images[batch], followed[batch], settings)
        heatmaps.append(normalised(raw.astype(np.float32)))
        if update is not None:
            update(min(batch.stop, len(images)), len(images), method)
    first = slice(0, probe.batch_size)
    report = row.report(probe, images[first], followed[first], settings) if row.report else {}
    return Explanation(
        heatmaps=np.concatenate(heatmaps),
        targets=followed,
        probabilities=softmax(probe.logits(images)),
        layer=", ".join(probe.layers) if row.looks_at_layers else "",
        method=method,
        report=report,
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return (N, K) probabilities of (N, K) logits."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
