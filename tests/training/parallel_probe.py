"""Train a small thing on one device, then on two, on JAX; called by the tests."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from stemcls.config.experiment import AugmentConfig, StageConfig
from stemcls.interruption import Interruption
from stemcls.models.inference import predict
from stemcls.models.parallel import n_shares, spread
from stemcls.runs import Run
from stemcls.training.batches import Samples
from stemcls.training.checkpoint import Checkpoint
from stemcls.training.journal import Journal
from stemcls.training.stages import Context, crop_data, fit_stage

COUNT = 47
CROPS = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16, 1)).astype(np.uint8)
SAMPLES = Samples(
    np.arange(COUNT), np.arange(COUNT) % 2, np.linspace(0.5, 1.5, COUNT).astype(np.float32)
)
STAGE = StageConfig(name="s", epochs=3, learning_rate=1e-2, batch_size=16, optimizer="sgd")


def train(folder: Path) -> dict[str, object]:
    """Return losses and predictions of the same training."""
    inputs = keras.Input((16, 16, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=_glorot(1))(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    x = keras.layers.Dropout(0.3, seed=0)(x)
    outputs = keras.layers.Dense(2, activation="softmax", kernel_initializer=_glorot(2))(x)
    model = keras.Model(inputs, outputs)
    journal = Journal(Run.create(folder, "shared"))
    context = Context(
        journal, Interruption(), Checkpoint(folder / "checkpoint"), seed=5, pretrained=False
    )
    data = crop_data(CROPS.__getitem__, SAMPLES, SAMPLES, AugmentConfig())
    fit_stage(model, replace(STAGE, patience=3), 0, data, context)
    return {
        "shares": n_shares(),
        "devices": len(model.weights[0].value.sharding.device_set),
        "losses": [row["loss"] for row in journal.history],
        "probabilities": predict(model, CROPS.__getitem__, np.arange(COUNT)).tolist(),
    }


def _glorot(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=seed)


if __name__ == "__main__":
    alone = train(Path(sys.argv[1]) / "alone")
    spread(2)
    print(json.dumps([alone, train(Path(sys.argv[1]) / "shared")]))
