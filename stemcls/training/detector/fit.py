"""Fit the detector's network to patches of known fields."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stemcls.progress import Update
from stemcls.training.detector.network import build_network, detector_loss, read_onnx, write_onnx
from stemcls.training.detector.patches import KnownField, batches

BATCH = 16
_RATE, _DECAY = 3e-3, 1e-3
_TELL_EVERY = 100


def fit_detector(
    kinds: Sequence[tuple[float, Sequence[KnownField]]], out: Path, *, steps: int, seed: int,
    start: Path | None = None, rate: float = _RATE, drawn: float | None = None,
    update: Update | None = None,
) -> float:
    """Train the network and write it as ONNX.

    Args:
        kinds: Weight of each kind of field, and its fields.
        out: ONNX file to write.
        steps: Batches of 16 patches.
        seed: All chance follows from it.
        start: An ONNX file to go on from, instead of random weights.
        rate: Largest learning rate; it falls to 0 as a cosine after a warm-up.
        drawn: Share of drawn patches, where not the usual.
        update: Called as update(done, total, note).
    Returns: Mean loss of the last hundred steps.
    """
    import keras

    keras.utils.set_random_seed(seed)
    model = read_onnx(start) if start else build_network()
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 20, max(1, steps - steps // 20), warmup_target=rate, warmup_steps=steps // 20
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=_DECAY, clipnorm=1.0),
        loss=detector_loss,
    )
    share = {} if drawn is None else {"drawn": drawn}
    source = batches(kinds, BATCH, seed, **share)
    recent: list[float] = []
    for step, (given, wanted) in zip(range(1, steps + 1), source, strict=False):
        loss = model.train_on_batch(given, wanted)
        recent = [*recent[-99:], float(np.ravel(np.asarray(loss, np.float64))[0])]
        if update is not None and (step % _TELL_EVERY == 0 or step == steps):
            update(step, steps, f"loss {np.mean(recent):.4f}")
    write_onnx(model, out)
    return float(np.mean(recent))
