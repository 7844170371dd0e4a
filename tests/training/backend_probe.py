"""Train small things on the backend that was chosen before; called by the tests."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np

from stemcls.config.experiment import AugmentConfig, ModelConfig, StageConfig
from stemcls.errors import CancelledError
from stemcls.interruption import Interruption
from stemcls.models.backend import describe_environment
from stemcls.models.build import POOLING, add_head, head_of
from stemcls.models.losses import make_loss
from stemcls.runs import Run, list_runs
from stemcls.training.batches import Batches, Samples
from stemcls.training.checkpoint import Checkpoint
from stemcls.training.journal import Journal
from stemcls.training.optimizer import make_optimizer
from stemcls.training.stages import Context, StageData, crop_data, fit_stage

RNG = np.random.default_rng(0)
TARGETS = np.arange(48) % 3 % 2
CROPS = RNG.integers(0, 256, (48, 16, 16, 1)).astype(np.uint8)
SAMPLES = Samples(np.arange(48), TARGETS, np.ones(48, np.float32))
FACTOR = 0.01
STAGE = StageConfig(name="s", epochs=4, learning_rate=1e-3, batch_size=16, patience=4)


def step_sizes(optimizer: str, factor: float) -> list[float]:
    """Return how far a backbone and a head of equal shape and gradients move in four steps.

    The loss is symmetric in both kernels, so only their rates can tell them apart.
    """
    inputs = keras.Input((4,))
    one = keras.layers.Dense(3, use_bias=False, kernel_initializer="ones", name="backbone")
    two = keras.layers.Dense(3, use_bias=False, kernel_initializer="ones", name="head")
    model = keras.Model(inputs, keras.layers.Add()([one(inputs), two(inputs)]))
    stage = replace(STAGE, optimizer=optimizer, backbone_factor=factor)
    chosen = make_optimizer(stage, one.trainable_variables)
    model.compile(optimizer=chosen, loss="mse")
    x = np.random.default_rng(1).normal(0, 1, (32, 4)).astype(np.float32)
    y = np.full((32, 3), 50, np.float32)
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    return [float(np.abs(layer.get_weights()[0] - 1.0).mean()) for layer in (one, two)]


def small_network() -> keras.Model:
    """Return a network with the parts that a stage looks for, quick to compile."""
    inputs = keras.Input((16, 16, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    x = keras.layers.Dropout(0.3, seed=0)(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))


def stream(folder: Path) -> tuple[str, list[np.ndarray]]:
    """Train two epochs; return a digest of every batch that was served, and the weights."""
    served: dict[tuple[int, int], str] = {}
    made = Batches._made

    def noted(self, index, epoch, order):
        batch = made(self, index, epoch, order)
        if self._seed is not None:
            content = b"".join(np.ascontiguousarray(part).tobytes() for part in batch)
            served[epoch, index] = hashlib.sha256(content).hexdigest()
        return batch

    keras.utils.set_random_seed(0)
    model = small_network()
    run = Run.create(folder, "stream")
    context = Context(
        Journal(run), Interruption(), Checkpoint(run.path / "checkpoint"), seed=5,
        balance="oversample", pretrained=False,
    )
    augmentation = AugmentConfig(contrast=0.2, noise=0.05, blur_px=1.0)
    data = crop_data(CROPS.__getitem__, SAMPLES, SAMPLES, augmentation)
    with patch.object(Batches, "_made", noted):
        fit_stage(model, replace(STAGE, epochs=2, backbone_factor=0.1), 0, data, context)
    epochs = {key: value for key, value in served.items() if key[0] < 2}
    assert len(epochs) == 2 * 4, sorted(epochs)  # 32 of one class, oversampled to 64 crops
    digest = hashlib.sha256("".join(epochs[key] for key in sorted(epochs)).encode())
    return digest.hexdigest(), [row["val_loss"] for row in context.journal.history]


def small_extractor() -> keras.Model:
    """Return a backbone of one convolution: JAX compiles every training anew."""
    inputs = keras.Input((16, 16, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(4, 3, use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name=POOLING)(x))


class StopsInTheMiddle(Journal):
    """Ends the stage within the epoch after the given one, as a signal does."""

    def __init__(self, run: Run, epochs: int) -> None:
        super().__init__(run)
        self._epochs = epochs

    def progress(self, done: int, total: int, note: str) -> None:
        """Raise at the second step of that epoch."""
        if len(self.history) == self._epochs and done == 2 and " epoch " in note:
            raise CancelledError("in the middle of an epoch")


def resumed_alike(folder: Path) -> dict[str, bool]:
    """Train whole, and from the checkpoint that a run has left which was ended in an epoch.

    A run that goes on begins like a new process: another network of other weights, and other states
    of all generators. What was written to disk is all that it has, so this is as good as a kill.
    Returns: for the head on features and for the whole network, whether all weights and losses of
        both ways are bitwise the same.
    """
    stages = (
        replace(STAGE, epochs=3, schedule="cosine", optimizer="adamw", weight_decay=0.01,
                backbone_factor=0.1, batch_norm="learn"),
        replace(STAGE, epochs=3, trainable="none", schedule="plateau"),
    )
    features = RNG.normal(0, 1, (48, 4)).astype(np.float32)
    return {
        stage.trainable: _same_after_resume(
            folder / stage.trainable, stage, features if stage.trainable == "none" else CROPS
        )
        for stage in stages
    }


def _same_after_resume(folder: Path, stage: StageConfig, inputs: np.ndarray) -> bool:
    augmentation = AugmentConfig() if inputs is CROPS else None
    data = StageData(inputs.__getitem__, SAMPLES, inputs.__getitem__, SAMPLES, augmentation)

    def trained(journal: Journal, seed: int) -> list[np.ndarray]:
        keras.utils.set_random_seed(seed)
        model = add_head(small_extractor(), ModelConfig(dense=(8,)), 2, None, seed)
        context = Context(
            journal, Interruption(), Checkpoint(journal.run.path / "checkpoint"), seed=5
        )
        kept = context.checkpoint.read()
        journal.restore(kept["history"] if kept else [])
        fit_stage(model, stage, 0, data, context)
        learned = head_of(model) if stage.trainable == "none" else model
        return [*learned.get_weights(), *(row["val_loss"] for row in journal.history)]

    whole = trained(Journal(Run.create(folder, "whole")), 1)
    run = Run.create(folder, "broken")
    try:
        trained(StopsInTheMiddle(run, 1), 1)
    except CancelledError:
        pass
    else:
        raise AssertionError("the stage was never stopped")
    again = trained(Journal(run), 2)
    return all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))


def route(store: str, config: str, folder: Path) -> str:
    """Train, evaluate, explain and predict by the commands; return the folder of the run."""
    from stemcls.cli import app

    def call(*words: object) -> None:
        app([str(word) for word in words], standalone_mode=False)

    call("train", store, "--config", config, "--workspace", folder)
    run = list_runs(folder)[0].path
    call("evaluate", run)
    call("explain", run, "--per-class", "1")
    call("predict", run, store, "--out", folder / "cells.csv")
    return str(run)


def answers(folder: Path) -> dict[str, Any]:
    """Return what this backend makes of the small things of this module."""
    digest, losses = stream(folder)
    return {
        "backend": describe_environment()["backend"],
        "focal_loss": focal_loss(),
        "stream": digest,
        "losses": losses,
        "steps": {name: step_sizes(name, FACTOR) for name in ("adam", "sgd")},
        "plain": step_sizes("adam", 1.0),
        "decay": decays(),
        "resumed": resumed_alike(folder),
    }


def decays() -> list[float]:
    """Return what one step of pure decay, without any gradient, takes off backbone and head."""
    inputs = keras.Input((4,))
    one = keras.layers.Dense(3, use_bias=False, kernel_initializer="ones")
    two = keras.layers.Dense(3, use_bias=False, kernel_initializer="ones")
    model = keras.Model(inputs, keras.layers.Add()([one(inputs), two(inputs)]))
    stage = replace(
        STAGE, optimizer="adamw", backbone_factor=FACTOR, weight_decay=0.5, learning_rate=0.1
    )
    model.compile(optimizer=make_optimizer(stage, one.trainable_variables), loss="mse")
    model.fit(np.zeros((8, 4)), np.zeros((8, 3)), batch_size=8, verbose=0)
    return [float(1.0 - layer.get_weights()[0].mean()) for layer in (one, two)]


def focal_loss() -> float:
    """Return the loss of two weighted answers, labels smoothed, as Keras evaluates it."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Softmax()])
    model.compile("sgd", make_loss(ModelConfig(focal_gamma=2.0, label_smoothing=0.3), 3))
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], dtype="float32"))
    weights = np.array([1.0, 3.0])
    return float(model.evaluate(logits, np.array([0, 1]), sample_weight=weights, verbose=0))


if __name__ == "__main__":
    place, with_store, by_config = sys.argv[1:]
    found = answers(Path(place))
    found["route"] = route(with_store, by_config, Path(place) / "route")
    print(json.dumps(found))
