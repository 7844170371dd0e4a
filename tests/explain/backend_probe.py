"""Explain the saved models on the backend that KERAS_BACKEND names; called by the tests."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from stemcls.explain.explain import explain
from stemcls.explain.gradients import layer_gradients


def main(folder: Path, out: Path) -> None:
    """Write heat maps of the corner model and gradients of the winding model to `out`."""
    random = np.random.default_rng(0)
    grey = random.integers(1, 256, (5, 32, 32, 1), dtype=np.uint8)
    colour = random.integers(1, 256, (5, 32, 32, 3), dtype=np.uint8)
    corner = explain(keras.saving.load_model(folder / "corner.keras"), grey, layer="seen")
    winding = keras.saving.load_model(folder / "winding.keras")
    before = [weight.copy() for weight in winding.get_weights()]
    batches = list(layer_gradients(winding, "middle", colour, np.array([0, 1, 2, -1, 1]), 2))
    moved = max(np.abs(a - b).max() for a, b in zip(before, winding.get_weights(), strict=True))
    np.savez(
        out,
        backend=keras.backend.backend(),
        corner=corner.heatmaps,
        corner_targets=corner.targets,
        activations=np.concatenate([batch.activations for batch in batches]),
        gradients=np.concatenate([batch.gradients for batch in batches]),
        targets=np.concatenate([batch.targets for batch in batches]),
        logits=np.concatenate([batch.logits for batch in batches]),
        predicted=winding.predict(colour, verbose=0),
        moved=moved,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
