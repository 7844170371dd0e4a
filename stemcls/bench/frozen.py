"""Measure the frozen stage on cached features beside the same stage through the whole network."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.bench.backends import (
    EDGE_PX,
    backends_to_measure,
    make_store,
    on_backend,
    rows_and_targets,
)
from stemcls.bench.measure import result
from stemcls.config.experiment import ModelConfig, StageConfig
from stemcls.store.cropstore import CropStore

CROPS = 640
VALIDATION = 0.2
EPOCHS, ROUNDS = 20, 3
TARGET, BEST_TARGET = 7.0, 12.0
WEIGHTS = "weights/mobilenet_v2_1.0_224_no_top.weights.h5"
LOSS_TOLERANCE = 1e-3


def train_frozen(data: Path) -> list[dict[str, Any]]:
    """Time a frozen stage of 20 epochs with and without cached features, extraction included.

    Args:
        data: MobileNetV2 takes its weights from there, or random ones where there are none.
    Returns: `train-frozen-<backend>`, seconds, and `train-frozen-best`, the best of them. Of the
        baseline 4 epochs are run and scaled to 20; `*_start_seconds` is what compiling costs, which
        both times include. Outputs are equal where each epoch has the same validation loss.
    """
    weights = data / WEIGHTS
    named = str(weights) if weights.is_file() else "none"
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        store = make_store(Path(folder), CROPS)
        rows = [
            frozen_row(
                backend, on_backend(backend, measure_frozen, store=str(store), weights=named)
            )
            for backend in backends_to_measure()
        ]
    best = max(rows, key=lambda row: row["ratio"])
    return [*rows, {**best, "name": "train-frozen-best", "target": BEST_TARGET}]


def frozen_row(backend: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return the row of what `measure_frozen` found."""
    cached, uncached = found["cached"], found["uncached"]
    first, epoch = uncached["first_epoch_seconds"], uncached["epoch_seconds"]
    differences = np.abs(np.subtract(cached["losses"], uncached["losses"]))
    steady = cached["seconds"] - cached["start_seconds"]
    return result(
        f"train-frozen-{backend}", cached["seconds"], first + (EPOCHS - 1) * epoch,
        f"s for {EPOCHS} epochs", TARGET, bool((differences <= LOSS_TOLERANCE).all()),
        backend=backend, crops=found["crops"], weights=found["weights"],
        baseline_epochs_measured=len(uncached["losses"]),
        largest_loss_difference=float(differences.max()),
        start_seconds=cached["start_seconds"], baseline_start_seconds=max(0.0, first - epoch),
        ratio_without_start=EPOCHS * epoch / steady,
        extraction_seconds=cached["extraction_seconds"],
        head_epoch_seconds=cached["head_epoch_seconds"], baseline_epoch_seconds=epoch,
        extraction_crops_per_second=found["extraction_crops_per_second"],
    )


@dataclass(frozen=True, eq=False)
class _Setting:
    store: CropStore
    read: Any
    train: Any
    validation: Any
    model: ModelConfig
    stage: StageConfig

    @property
    def rows(self) -> np.ndarray:
        return np.concatenate([self.train.rows, self.validation.rows])


@dataclass(frozen=True, eq=False)
class _Cached:
    times: dict[str, float]
    losses: list[float]
    features: np.ndarray
    extractor: Any


def measure_frozen(
    store: str,
    weights: str,
    count: int = CROPS,
    backbone: str = "MobileNetV2",
    epochs: int = EPOCHS,
) -> dict[str, Any]:
    """Run the cached stage three times as `stemcls train` does, and uncached epochs between.

    Args:
        store: Crops.
        weights: Weights file of the backbone, or none.
        count: How many crops to take at most; a fifth of them validates.
        backbone: Its name.
        epochs: Of the cached stage.
    Returns: Of both: the validation `losses` of the first epochs and times, see `frozen_row`.
    """
    from stemcls.training.batches import Samples
    from stemcls.training.memory import crop_reader

    opened = CropStore.open(store)
    rows, targets = rows_and_targets(count, opened.labels)
    parts = np.split(np.arange(len(rows)), [int(len(rows) * (1 - VALIDATION))])
    train, validation = (
        Samples(rows[part], targets[part], np.ones(len(part), np.float32)) for part in parts
    )
    setting = _Setting(
        opened, crop_reader(opened), train, validation,
        ModelConfig(backbone=backbone, weights=weights, stride=(32,), input_px=0),
        StageConfig(
            name="frozen", trainable="none", epochs=epochs, learning_rate=1e-3, batch_size=64,
            patience=epochs, views=1,
        ),
    )
    cached = [_cached_stage(setting)]
    plain = _Uncached(setting, cached[0].features)
    # The first time also what is compiled, and one epoch to compare it with.
    plain.run(2)
    for _ in range(ROUNDS - 1):
        cached.append(_cached_stage(setting))
        plain.run(1)
    first, *others = plain.seconds
    times = {key: statistics.median(run.times[key] for run in cached) for key in cached[0].times}
    # Once more with the network compiled: the difference is what compiling costs.
    begun = time.perf_counter()
    cached[-1].extractor.predict(setting.read(setting.rows), batch_size=64, verbose=0)
    again = time.perf_counter() - begun
    start = times["head_start_seconds"] + max(0.0, times["extraction_seconds"] - again)
    return {
        "cached": {
            **times, "start_seconds": start, "losses": cached[0].losses[: len(plain.losses)],
        },
        "uncached": {
            "first_epoch_seconds": first, "epoch_seconds": statistics.median(others),
            "losses": plain.losses,
        },
        "crops": len(rows), "weights": Path(weights).name,
        "extraction_crops_per_second": len(rows) / again,
    }


def _extractor(setting: _Setting) -> Any:
    import keras

    from stemcls.models.build import build_extractor

    keras.utils.set_random_seed(0)
    return build_extractor(setting.model, (EDGE_PX, EDGE_PX), setting.store.n_channels, 255.0)


def _with_head(setting: _Setting, extractor: Any, features: np.ndarray) -> Any:
    from stemcls.models.build import add_head

    return add_head(extractor, setting.model, len(setting.store.classes), features, 0)


def _cached_stage(setting: _Setting) -> _Cached:
    """Run the stage as a run does, files included."""
    from stemcls.interruption import Interruption
    from stemcls.runs import Run
    from stemcls.training.checkpoint import Checkpoint
    from stemcls.training.featurecache import FeatureCache
    from stemcls.training.features import make_bank
    from stemcls.training.journal import Journal
    from stemcls.training.memory import spare_memory_bytes
    from stemcls.training.stages import Context, feature_data, fit_stage

    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        run = Run.create(Path(folder), "frozen")
        journal, interruption = Journal(run), Interruption()
        context = Context(journal, interruption, Checkpoint(run.path / "checkpoint"), seed=0)
        extractor = _extractor(setting)
        begun = time.perf_counter()
        bank = make_bank(
            extractor, setting.model, setting.store, setting.read, setting.rows, 1,
            FeatureCache(run.path / "features"), journal, interruption,
        )
        extraction = time.perf_counter() - begun
        features = bank.read(setting.train.rows, 0)
        model = _with_head(setting, extractor, features)
        data = feature_data(bank, setting.train, setting.validation, 1, spare_memory_bytes())
        fit_stage(model, setting.stage, 0, data, context)
        total = time.perf_counter() - begun
        history = journal.history
    epoch = statistics.median(row["seconds"] for row in history[1:])
    times = {
        "seconds": total, "extraction_seconds": extraction, "head_epoch_seconds": epoch,
        "head_start_seconds": max(0.0, total - extraction - len(history) * epoch),
    }
    losses = [row["val_loss"] for row in history]
    return _Cached(times, losses, features, extractor)


class _Uncached:
    """The same stage on crops: each step runs the whole network, whose backbone is frozen."""

    def __init__(self, setting: _Setting, features: np.ndarray) -> None:
        from stemcls.training.compiling import compile_classifier
        from stemcls.training.optimizer import make_optimizer
        from stemcls.training.trainable import set_trainable

        self._setting = setting
        # Scaled as in the cached stage, so that both heads learn from the same numbers.
        self._model = _with_head(setting, _extractor(setting), features)
        set_trainable(self._model, setting.stage, pretrained=True)
        optimizer = make_optimizer(setting.stage)
        compile_classifier(self._model, optimizer, "sparse_categorical_crossentropy")
        self.seconds: list[float] = []
        self.losses: list[float] = []

    def run(self, epochs: int) -> None:
        """Train some more epochs, on the batches that the cached stage has."""
        import keras

        from stemcls.training.stages import loaders

        setting = self._setting
        size, begun = setting.stage.batch_size, len(self.losses)
        with loaders(
            (setting.read, setting.train, size, (0, 0), "none", None, begun),
            (setting.read, setting.validation, size),
        ) as (batches, watched):
            start = time.perf_counter()

            def end(_epoch: int, _logs: Any) -> None:
                nonlocal start
                now = time.perf_counter()
                self.seconds.append(now - start)
                start = now

            kept = self._model.fit(
                batches, steps_per_epoch=batches.steps_per_epoch, validation_data=watched,
                shuffle=False, verbose=0, initial_epoch=begun, epochs=begun + epochs,
                callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=end)],
            )
            self.losses += map(float, kept.history["val_loss"])
