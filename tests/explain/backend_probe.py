"""Explain the saved models on the backend that Keras runs on; called by the tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from stemcls.config.explain import MethodSettings
from stemcls.explain.cams import (
    activation_map,
    gradcam_weights,
    gradcampp_weights,
    layercam_weights,
)
from stemcls.explain.explain import explain
from stemcls.explain.graph import INPUT
from stemcls.explain.methods import METHODS
from stemcls.explain.probe import open_probe
from stemcls.explain.scorecam import scorecam

WEIGHTS = {
    "gradcam": gradcam_weights, "gradcam++": gradcampp_weights, "layercam": layercam_weights,
}
POINTS = (INPUT, "joined", "middle")
FOLLOWED = [0, 1, 2, 0, 1]


def main(folder: Path, out: Path) -> None:
    """Write what each saved model gives on this backend to `out`."""
    arrays: dict[str, Any] = {"backend": keras.backend.backend()}
    arrays |= every_method(folder)
    arrays |= gradients(folder)
    arrays |= references(folder)
    np.savez(out, **arrays)


def every_method(folder: Path) -> dict[str, Any]:
    """Run every method of the table on the corner model and on the pooled one."""
    grey, colour = crops(1), crops(3)
    # Steps of as many crops as there are, so that JAX compiles each part once.
    corner = open_probe(keras.saving.load_model(folder / "corner.keras"), "seen", len(grey))
    pooled = open_probe(keras.saving.load_model(folder / "pooled.keras"), "maps", len(grey))
    found: dict[str, Any] = {}
    for name in METHODS:
        found[f"corner:{name}"] = explain(corner, grey, 1, method=name).heatmaps
        found[f"pooled:{name}"] = explain(pooled, colour, np.array(FOLLOWED), name).heatmaps
    return found


def gradients(folder: Path) -> dict[str, Any]:
    """Follow the winding model's logits to several points, and see that nothing moved."""
    winding = keras.saving.load_model(folder / "winding.keras")
    before = [weight.copy() for weight in winding.get_weights()]
    probe = open_probe(winding)
    found = probe.gradients(crops(3), np.array(FOLLOWED), POINTS)
    moved = max(np.abs(a - b).max() for a, b in zip(before, winding.get_weights(), strict=True))
    arrays = {"moved": moved, "logits": found.logits, "alone": probe.logits(crops(3))}
    for name, activation, gradient in zip(
        POINTS, found.activations, found.gradients, strict=True
    ):
        arrays |= {f"activation:{name}": activation, f"gradient:{name}": gradient}
    arrays["predicted"] = winding.predict(crops(3), verbose=0)
    return arrays


def references(folder: Path) -> dict[str, Any]:
    """Return our raw maps and those of the library that exists for this backend."""
    library = _beside("references")
    by = {
        "tensorflow": library.by_tf_keras_vis, "torch": library.by_pytorch_grad_cam,
    }.get(keras.backend.backend())
    arrays: dict[str, Any] = {}
    if by is None:
        return arrays
    for name in ("pooled", "fine") if "torch" in keras.backend.backend() else ("pooled",):
        model = keras.saving.load_model(folder / f"{name}.keras")
        colour = crops(3).astype(np.float32)
        colour -= colour.mean(axis=(1, 2), keepdims=True)  # the black of those libraries is 0
        theirs = by(model, colour, FOLLOWED)
        probe = open_probe(model, "maps")
        found = probe.gradients(colour, np.array(FOLLOWED), ("maps",))
        for method, maps in theirs.items():
            if method == "scorecam":
                ours = scorecam(probe, colour, np.array(FOLLOWED), MethodSettings())
            else:
                ours = activation_map(WEIGHTS[method], found.activations[0], found.gradients[0])
            arrays |= {f"theirs:{name}:{method}": maps, f"ours:{name}:{method}": ours}
    if keras.backend.backend() == "torch":
        arrays |= _beside("zennit_reference").compare()
    return arrays


def _beside(name: str) -> Any:
    """Import a module of this folder, which is no package for a script."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def crops(channels: int) -> np.ndarray:
    """Return (5, 32, 32, channels) uint8 noise, the same on every backend."""
    random = np.random.default_rng(channels)
    return random.integers(1, 256, (5, 32, 32, channels), dtype=np.uint8)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
