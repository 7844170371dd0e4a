"""Measure explanations: batches of masks, the price of a gradient, memory, and every method."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.bench.backends import EDGE_PX, on_backend
from stemcls.bench.measure import interleave, result
from stemcls.bench.network import random_network
from stemcls.models.backend import choose_backend

BATCH, ROUNDS = 32, 3
SCORECAM_TARGET, FORWARD_PASSES, MEMORY_TARGET = 5.0, 3, 0.8
TOLERANCE = 1e-5
FEW, MANY = 64, 1000
RATED = ("MobileNetV2", "DenseNet121")
# What a method needs per crop decides how many crops are enough to time it.
RATED_CROPS = {"scorecam": 2, "occlusion": 4, "smoothgrad": BATCH}


def explain_scorecam(data: Path) -> dict[str, Any]:  # noqa: ARG001 - benchmarks take the folder
    """Score-CAM of one crop by MobileNetV2 beside a loop of `model.predict` over its masks."""
    found = on_backend(choose_backend(None), measure_scorecam)
    return result(
        "explain-scorecam", found["seconds"], found["loop_seconds"], "s/crop", SCORECAM_TARGET,
        found["largest_difference"] <= TOLERANCE, **_details(found),
    )


def explain_gradcam(data: Path) -> dict[str, Any]:  # noqa: ARG001 - benchmarks take the folder
    """Grad-CAM beside three forward passes, a batch of 32 crops by MobileNetV2."""
    found = on_backend(choose_backend(None), measure_gradcam)
    seconds, forward_seconds = found["seconds"], found["forward_seconds"]
    return result(
        "explain-gradcam", seconds / BATCH, FORWARD_PASSES * forward_seconds / BATCH,
        "s/crop | 3 forward passes", 1.0, True, forward_passes=seconds / forward_seconds,
    )


def explain_memory(data: Path) -> dict[str, Any]:  # noqa: ARG001 - benchmarks take the folder
    """Peak memory of Grad-CAM over 1,000 crops beside that over 64, MobileNetV2."""
    backend = choose_backend(None)
    few, many = (on_backend(backend, measure_memory, crops=crops) for crops in (FEW, MANY))
    return result(
        "explain-memory", many["bytes"] / 2**20, few["bytes"] / 2**20,
        f"MiB peak, {MANY} | {FEW} crops", MEMORY_TARGET, True,
    )


def explain_rates(data: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - benchmarks take the folder
    """Crops a second of every method, on two networks; nothing is asked of them."""
    backend = choose_backend(None)
    rows = []
    for backbone in RATED:
        found = on_backend(backend, measure_rates, backbone=backbone)
        rows += [
            {
                "name": f"explain-rates {backbone} {method}", "ours": rate, "baseline": None,
                "ratio": None, "unit": "crops/s", "target": None, "equal_outputs": None,
                "backend": backend,
            }
            for method, rate in found.items()
        ]
    return rows


def measure_scorecam(backbone: str = "MobileNetV2", rounds: int = ROUNDS) -> dict[str, Any]:
    """Time one crop in batches of masks, and in a loop that calls `model.predict` for each mask.

    Returns: Median `seconds` and `loop_seconds` after a pass of each that compiles, those of a loop
        over our own compiled step, `compiled_loop_seconds`, `masks`, and the `largest_difference`
        of any pixel of the normalised maps.
    """
    from stemcls.explain.explain import explain
    from stemcls.explain.maps import normalised
    from stemcls.explain.probe import open_probe

    model, crops = random_network(backbone, 1.0, EDGE_PX, 3), _crops(1)
    batched, single = (open_probe(model, batch_size=size) for size in (BATCH, 1))
    maps: dict[str, np.ndarray] = {}

    def ours() -> None:
        maps["ours"] = explain(batched, crops, 0, "scorecam").heatmaps

    def loop() -> None:
        maps["loop"] = normalised(_scorecam_by_mask(batched.model, batched.layers[0], crops[0]))

    for warm in (ours, loop, lambda: explain(single, crops, 0, "scorecam")):
        warm()
    seconds, loop_seconds = interleave(ours, loop, rounds)
    begun = time.perf_counter()
    explain(single, crops, 0, "scorecam")
    return {
        "seconds": seconds, "loop_seconds": loop_seconds,
        "compiled_loop_seconds": time.perf_counter() - begun,
        "masks": int(batched.model.get_layer(batched.layers[0]).output.shape[-1]),
        "largest_difference": float(np.abs(maps["ours"] - maps["loop"]).max()),
    }


def _scorecam_by_mask(model: Any, layer: str, crop: np.ndarray) -> np.ndarray:
    """Return the raw map (1, H, W) of class 0, one mask after the other, as one writes it first."""
    import keras

    from stemcls.explain.maps import upsampled

    look = keras.Model(model.inputs[0], model.get_layer(layer).output)
    channels = np.moveaxis(look.predict(crop[None], verbose=0)[0], -1, 0)
    grey, scores = crop.mean(axis=(0, 1)), []
    for channel in channels:
        mask = upsampled(channel[None], *crop.shape[:2])[0]
        span = np.ptp(mask)
        mask = (mask - mask.min()) / span if span else np.zeros_like(mask)
        seen = (grey + (crop - grey) * mask[..., None]).astype(np.float32)
        scores.append(model.predict(seen[None], verbose=0)[0, 0])
    weights = np.exp(np.array(scores) - max(scores))
    weighted = np.tensordot(weights / weights.sum(), channels, axes=1)
    return upsampled(np.maximum(weighted, 0)[None], *crop.shape[:2])


def measure_gradcam(backbone: str = "MobileNetV2", rounds: int = 5) -> dict[str, Any]:
    """Time Grad-CAM of a batch, and a forward pass of it; returns median seconds of both."""
    from stemcls.config.explain import MethodSettings
    from stemcls.explain.methods import METHODS
    from stemcls.explain.probe import open_probe

    probe, crops = open_probe(random_network(backbone, 1.0, EDGE_PX, 3)), _crops(BATCH)
    targets, settings = np.zeros(BATCH, dtype=np.int64), MethodSettings()

    def gradcam() -> None:
        METHODS["gradcam"].compute(probe, crops, targets, settings)

    def forward() -> None:
        probe.logits(crops)

    for warm in (gradcam, forward):
        warm()
    seconds, forward_seconds = interleave(gradcam, forward, rounds)
    return {"seconds": seconds, "forward_seconds": forward_seconds}


def measure_memory(crops: int, backbone: str = "MobileNetV2") -> dict[str, Any]:
    """Explain so many crops and return the process' peak of resident memory, `bytes`."""
    from stemcls.explain.explain import explain

    explain(random_network(backbone, 1.0, EDGE_PX, 3), _crops(crops), 0)
    return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def measure_rates(backbone: str) -> dict[str, float]:
    """Return crops a second of every method, after a pass that compiles."""
    from stemcls.config.explain import MethodSettings
    from stemcls.explain.methods import METHODS
    from stemcls.explain.probe import open_probe

    probe, settings = open_probe(random_network(backbone, 1.0, EDGE_PX, 3)), MethodSettings()
    rates = {}
    for name, row in METHODS.items():
        crops = _crops(RATED_CROPS.get(name, BATCH))
        targets = np.zeros(len(crops), dtype=np.int64)
        few = slice(1 if name in RATED_CROPS else None)  # masks make full batches of one crop
        row.compute(probe, crops[few], targets[few], settings)
        begun = time.perf_counter()
        row.compute(probe, crops, targets, settings)
        rates[name] = len(crops) / (time.perf_counter() - begun)
    return rates


def _crops(n: int) -> np.ndarray:
    shape = (n, EDGE_PX, EDGE_PX, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _details(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ("masks", "largest_difference", "compiled_loop_seconds")}
