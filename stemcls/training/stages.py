"""Fit one stage: the head on cached features, or more of the network on augmented crops."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import keras
import numpy as np

from stemcls.config.experiment import AugmentConfig, StageConfig
from stemcls.interruption import Interruption
from stemcls.models.build import head_of
from stemcls.training.acceptance import judge, validation_losses
from stemcls.training.batches import Batches, Samples
from stemcls.training.checkpoint import Checkpoint, Progress
from stemcls.training.compiling import compile_classifier
from stemcls.training.failures import check_loss, is_out_of_memory, out_of_memory
from stemcls.training.features import FeatureBank
from stemcls.training.journal import Journal
from stemcls.training.optimizer import make_optimizer
from stemcls.training.schedule import is_plateau, rate_of
from stemcls.training.trainable import set_trainable

Read = Callable[[np.ndarray], np.ndarray]
Logs = Mapping[str, Any] | None
LEAST_WATCHED = 64


@dataclass(frozen=True, eq=False)
class Context:
    """What every stage of one run shares.

    Attributes:
        journal, interruption, checkpoint: Of the run.
        seed: Of order and augmentation.
        loss: Keras loss of (class indices, probabilities).
        balance: As `Experiment.balance`.
        pretrained: The backbone's weights were learned elsewhere.
        jit_compile: As of `keras.Model.compile`.
    """

    journal: Journal
    interruption: Interruption
    checkpoint: Checkpoint
    seed: int
    loss: Any = field(default_factory=keras.losses.SparseCategoricalCrossentropy)
    balance: str = "none"
    pretrained: bool = True
    jit_compile: bool | str = "auto"


@dataclass(frozen=True, eq=False)
class StageData:
    """What one stage learns from, and what stops it."""

    read: Read
    train: Samples
    read_validation: Read
    validation: Samples
    augmentation: AugmentConfig | None = None


def crop_data(
    read: Read, train: Samples, validation: Samples, augmentation: AugmentConfig
) -> StageData:
    """Return augmented crops to train on, and crops as stored to watch."""
    return StageData(read, train, read, validation, augmentation)


def feature_data(
    bank: FeatureBank, train: Samples, validation: Samples, views: int, memory_bytes: float
) -> StageData:
    """Return features of `views` views of every training crop, and of one of those to watch."""
    positions = np.arange(views * len(train.rows))
    return StageData(
        bank.reader(train.rows, views, memory_bytes),
        Samples(positions, np.tile(train.targets, views), np.tile(train.weights, views)),
        bank.reader(validation.rows, 1, memory_bytes),
        replace(validation, rows=np.arange(len(validation.rows))),
    )


def fit_stage(
    model: Any,
    stage: StageConfig,
    number: int,
    data: StageData,
    context: Context,
    loss_to_beat: float = math.inf,
) -> float:
    """Train until patience or epochs run out; the weights of the best epoch are kept.

    After another stage the model keeps the weights it came with, unless its best epoch has a
    validation loss below `loss_to_beat`, and by more than chance (see `judge`). A stage that was
    interrupted goes on after its last finished epoch.

    Args:
        model: From `add_head`, trained in place.
        stage: What learns, how fast, how long.
        number: Its place in the plan, part of every seed.
        data: For a stage with trainable = none features, otherwise crops.
        context: Journal, interruption, checkpoint, seed, loss.
        loss_to_beat: Validation loss of the weights it came with; infinite for the first stage.
    Returns: the validation loss of the weights that were kept.
    Raises:
        CancelledError: Asked to stop; the checkpoint holds the last finished epoch.
        StemclsError: The loss is lost, or memory is too small.
    """
    backbone = set_trainable(model, stage, context.pretrained)
    network = head_of(model) if stage.trainable == "none" else model
    compile_classifier(
        network, make_optimizer(stage, backbone), context.loss, context.jit_compile
    )
    progress = context.checkpoint.restore(stage.name, network)
    if progress is None:
        found = network.get_weights()
        progress = Progress(stage.name, best_loss=loss_to_beat, best=found)
        if math.isfinite(loss_to_beat):
            progress = replace(progress, found_loss=loss_to_beat, found=found)
        # So that a crash in the first epoch does not cost the stage before.
        context.checkpoint.save(progress, network, context.journal.history)
    context.journal.stage(stage.name, stage.epochs)
    if progress.epoch < stage.epochs and progress.waited < stage.patience:
        size = stage.batch_size
        with loaders(
            (
                data.read, data.train, size, (context.seed, number), context.balance,
                data.augmentation, progress.epoch,
            ),
            (data.read_validation, data.validation, max(size, LEAST_WATCHED)),
        ) as (batches, watched):
            keeper = _Keeper(stage, context, progress)
            try:
                network.fit(
                    batches, steps_per_epoch=batches.steps_per_epoch, validation_data=watched,
                    initial_epoch=progress.epoch, epochs=stage.epochs, shuffle=False, verbose=0,
                    callbacks=[keeper],
                )
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                problem = out_of_memory(
                    network, batches[0], stage, context.journal.run.path
                )
                raise problem from None
            progress = keeper.progress
    network.set_weights(progress.best)
    if not progress.found:
        context.journal.log(f"{stage.name}: kept the weights of epoch {progress.best_epoch}")
        return progress.best_loss
    return _keep_or_reject(network, progress, data, context)


def _keep_or_reject(network: Any, progress: Progress, data: StageData, context: Context) -> float:
    """Leave the better weights in a network that comes with the best of a later stage."""
    stage, log = progress.stage, context.journal.log
    if not progress.best_epoch:
        log(f"{stage} rejected: no epoch had a lower validation loss than the stage before")
        return progress.found_loss
    after = validation_losses(network, data, context.loss)
    network.set_weights(progress.found)
    before = validation_losses(network, data, context.loss)
    samples = data.validation
    verdict = judge(before, after, samples.weights, samples.groups)
    log(f"{stage} {verdict}; epoch {progress.best_epoch} was its best")
    if not verdict.kept:
        return progress.found_loss
    network.set_weights(progress.best)
    return progress.best_loss


@contextmanager
def loaders(*settings: tuple[Any, ...]) -> Iterator[list[Batches]]:
    """Open one `Batches` for each tuple of its arguments, and end their threads in the end."""
    threads = cv2.getNumThreads()
    # Crops are small and the loaders are threads already; OpenCV's own would only get in the way.
    cv2.setNumThreads(1)
    opened: list[Batches] = []
    try:
        opened.extend(Batches(*arguments) for arguments in settings)
        yield opened
    finally:
        for batches in opened:
            batches.close()
        cv2.setNumThreads(threads)


class _Keeper(keras.callbacks.Callback):
    """Between steps: stop when asked to. Between epochs: set the rate, keep the state, judge."""

    def __init__(self, stage: StageConfig, context: Context, progress: Progress) -> None:
        super().__init__()
        self._stage, self._context = stage, context
        self.progress = progress
        self._begun = 0.0
        self._rate = 0.0
        self._note = ""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        self._context.interruption.check()
        self._begun = time.monotonic()
        self._note = f"{self._stage.name} epoch {epoch + 1}"
        self._rate = rate_of(self._stage, epoch, self.progress.drops)
        self.model.optimizer.learning_rate = self._rate

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._context.interruption.check()
        self._check(float((logs or {}).get("loss", 0.0)), self._note)
        total = (self.params or {}).get("steps") or 0
        self._context.journal.progress(batch + 1, total, self._note)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        self._context.interruption.check()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        stage, journal = self._stage, self._context.journal
        values = {key: float(value) for key, value in (logs or {}).items()}
        values["learning_rate"] = self._rate
        values["seconds"] = round(time.monotonic() - self._begun, 3)
        self._check(values["val_loss"], f"validation after {self._note}")
        journal.epoch(stage.name, epoch + 1, stage.epochs, values)
        progress = self.progress.after(epoch + 1, values["val_loss"], self.model)
        if is_plateau(stage, progress.waited):
            progress = replace(progress, drops=progress.drops + 1)
        self.progress = progress
        self._context.checkpoint.save(progress, self.model, journal.history)
        if progress.waited >= stage.patience:
            self.model.stop_training = True

    def _check(self, loss: float, where: str) -> None:
        check_loss(loss, self._stage, where, self._context.journal.run.path)
