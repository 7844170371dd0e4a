"""The stages of a run: the head on cached features, then the whole network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from stemcls.config.experiment import AugmentConfig
from stemcls.errors import StemclsError
from stemcls.interruption import Interruption
from stemcls.models.build import head_of
from stemcls.models.inference import dihedral, view_numbers
from stemcls.training.batches import CropBatches, epoch_rng
from stemcls.training.checkpoint import Checkpoint, Progress
from stemcls.training.journal import Journal


class StageSettings(Protocol):
    """What every stage's config section has."""

    @property
    def epochs(self) -> int:
        """Most epochs."""

    @property
    def learning_rate(self) -> float:
        """Adam's rate."""

    @property
    def batch_size(self) -> int:
        """Samples per step."""

    @property
    def patience(self) -> int:
        """Epochs without a better validation loss before the stage stops."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of a store with what is to be learned of them: (N,) each."""

    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Context:
    """What every stage of one run shares."""

    journal: Journal
    interruption: Interruption
    checkpoint: Checkpoint
    seed: int


class _StepCallback(keras.callbacks.Callback):
    """Stop at the next step when asked to, or when the loss is lost; move the progress bar."""

    def __init__(self, context: Context, stage: str, note: str) -> None:
        super().__init__()
        self._context, self._stage, self._note = context, stage, note

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._context.interruption.check()
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(float(loss)):
            raise StemclsError(
                f"the loss is {float(loss)} in {self._note}; try a lower learning rate, "
                f"--{self._stage}-learning-rate"
            )
        total = (self.params or {}).get("steps") or 0
        self._context.journal.progress(batch + 1, total, self._note)


def extract_features(
    extractor: Any,
    read: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    views: int,
    context: Context,
    batch_size: int = 64,
) -> np.ndarray:
    """Run the frozen backbone once over dihedral views of every crop.

    Returns: (V, N, F) float32, V being the views that crops of this shape have.
    """
    chunk = batch_size * max(1, 512 // batch_size)
    numbers = view_numbers(extractor.input_shape[1:3], views)
    bank = np.empty((len(numbers), len(rows), extractor.output_shape[-1]), dtype=np.float32)
    for start in range(0, len(rows), chunk):
        crops = read(rows[start : start + chunk])
        for place, view in enumerate(numbers):
            context.interruption.check()
            turned = np.ascontiguousarray(dihedral(crops, view))
            features = extractor.predict(turned, batch_size=batch_size, verbose=0)
            bank[place, start : start + len(crops)] = features
        context.journal.progress(min(start + chunk, len(rows)), len(rows), "features")
    return bank


def fit_head(
    model: Any,
    bank: np.ndarray,
    train: Samples,
    validation_features: np.ndarray,
    validation: Samples,
    settings: StageSettings,
    context: Context,
) -> float:
    """Frozen stage: train the head of `model` on cached features; best weights are kept.

    Args:
        model: Full model; its layers from `pooling` on are trained in place.
        bank: (V, N, F) features of V views of the training crops.
        train: N samples of the bank.
        validation_features: (M, F) of the M validation samples.
        validation: What early stopping watches.
        settings: Rate, epochs, batch size and patience.
        context: Journal, interruption, checkpoint, seed.
    Returns: the least validation loss.
    """
    head = head_of(model)
    flat = bank.reshape(-1, bank.shape[-1])
    targets = np.tile(train.targets, len(bank))
    weights = np.tile(train.weights, len(bank))

    def epoch_data(epoch: int) -> tuple[Any, ...]:
        order = epoch_rng(context.seed, 1, epoch).permutation(len(flat))
        return flat[order], targets[order], weights[order]

    watched = (validation_features, validation.targets, validation.weights)
    return _fit(head, "frozen", settings, context, epoch_data, watched)


def fit_network(
    model: Any,
    stage: str,
    read: Callable[[np.ndarray], np.ndarray],
    train: Samples,
    validation: Samples,
    settings: StageSettings,
    context: Context,
    augmentation: AugmentConfig,
    loss_to_beat: float = math.inf,
) -> float:
    """Train the whole network on augmented crops; best weights are kept.

    In stage `finetune` BatchNorm layers keep their statistics, scale and offset; in `scratch`
    they learn. The same epoch of the same seed sees the same crops on every backend. Where no
    epoch has a validation loss below `loss_to_beat` the network keeps the weights it came with.

    Returns: the least validation loss, `loss_to_beat` included.
    """
    for layer in model.layers:
        layer.trainable = layer.name != "feature_scaling" and not (
            stage == "finetune" and isinstance(layer, keras.layers.BatchNormalization)
        )
    size = settings.batch_size

    def epoch_data(epoch: int) -> tuple[Any, ...]:
        order = epoch_rng(context.seed, 2, epoch).permutation(len(train.rows))
        batches = CropBatches(
            read, train.rows[order], train.targets[order], train.weights[order], size,
            augmentation, seed=(context.seed, 3, epoch),
        )
        return (batches,)

    watched = CropBatches(
        read, validation.rows, validation.targets, validation.weights, max(size, 64)
    )
    return _fit(
        model, stage, settings, context, epoch_data, watched,
        loss_to_beat=loss_to_beat, resumable=True,
    )


def _fit(
    network: Any,
    stage: str,
    settings: StageSettings,
    context: Context,
    epoch_data: Callable[[int], tuple[Any, ...]],
    validation_data: Any,
    loss_to_beat: float = math.inf,
    resumable: bool = False,
) -> float:
    """Run epochs until patience runs out, then restore the best weights.

    One `fit` call an epoch: the data of an epoch depend on the seed and its number alone, so that
    a resumed stage sees what an undisturbed one would have seen.
    """
    network.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss="sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
    )
    progress = Progress(stage=stage, best_loss=loss_to_beat, best=network.get_weights())
    if resumable:
        restored = context.checkpoint.restore(stage, network)
        if restored is None:
            # So that a crash in the first epoch does not cost the stage before.
            context.checkpoint.save(progress, network, context.journal.history)
        progress = restored or progress
    context.journal.stage(stage, settings.epochs)
    for epoch in range(progress.epoch, settings.epochs):
        if progress.waited >= settings.patience:
            break
        context.interruption.check()
        begun = time.monotonic()
        x, *rest = epoch_data(epoch)
        y, weights = rest if rest else (None, None)
        fitted = network.fit(
            x, y, sample_weight=weights, batch_size=settings.batch_size if rest else None,
            initial_epoch=epoch, epochs=epoch + 1, validation_data=validation_data,
            shuffle=False, verbose=0,
            callbacks=[_StepCallback(context, stage, f"{stage} epoch {epoch + 1}")],
        )
        values = {key: float(series[-1]) for key, series in fitted.history.items()}
        values["learning_rate"] = settings.learning_rate
        values["seconds"] = round(time.monotonic() - begun, 3)
        context.journal.epoch(stage, epoch + 1, settings.epochs, values)
        progress = progress.after(epoch + 1, values["val_loss"], network)
        if resumable:
            context.checkpoint.save(progress, network, context.journal.history)
    network.set_weights(progress.best)
    context.journal.log(f"{stage}: kept the weights of epoch {progress.best_epoch}")
    return progress.best_loss
