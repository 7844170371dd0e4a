"""Train one experiment into one run folder: split, stages, saved model, evaluation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from stemcls import atomic
from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, read_toml, to_mapping, to_toml
from stemcls.errors import InputError, explained_disk_errors
from stemcls.evaluation.evaluation import Evaluation, evaluate_predictions
from stemcls.evaluation.predictions import Predictions
from stemcls.interruption import Interruption, interruptible
from stemcls.models.backend import describe_environment
from stemcls.models.build import add_head, build_extractor, head_of
from stemcls.models.inference import predict
from stemcls.models.saved import ModelCard, save_model
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import Split, make_split
from stemcls.training.checkpoint import Checkpoint
from stemcls.training.journal import Journal, Update, reported
from stemcls.training.stages import (
    Context,
    Samples,
    extract_features,
    fit_head,
    fit_network,
)


@dataclass(frozen=True, eq=False)
class _Job:
    """What the steps of one run share."""

    experiment: Experiment
    store: CropStore
    split: Split
    context: Context

    def samples(self, rows: np.ndarray) -> Samples:
        targets = self.split.targets(self.store, rows)
        return Samples(rows, targets, _weights(targets, self.experiment.class_weights))

    def evaluate(self, probabilities: np.ndarray, rows: np.ndarray) -> Evaluation:
        return evaluate_predictions(
            predictions_of(self.store, self.split, rows, probabilities), seed=self.experiment.seed
        )


def prepare_run(
    experiment: Experiment, workspace: Path, split: Split | None = None, run: Run | None = None
) -> Run:
    """Make a run folder that holds all that training needs: config, split, environment.

    Args:
        experiment: Its `store` is made absolute in the kept config.
        workspace: Where saved_models/ is.
        split: A split made elsewhere (a fold); None makes the experiment's own.
        run: A folder that is already there (a fold's).
    Raises:
        InputError: The store or a split of it cannot be used.
    """
    store = CropStore.open(Path(experiment.store))
    split = split or make_split(store, experiment.split, experiment.seed)
    experiment = with_absolute_paths(experiment)
    run = run or Run.create(workspace, experiment.name or store.path.stem)
    with explained_disk_errors(run.path, "nothing was trained yet"):
        atomic.write_text(run.path / "config.toml", to_toml(experiment))
        atomic.write_json(run.path / "split.json", split.to_mapping())
    return run


def with_absolute_paths(experiment: Experiment) -> Experiment:
    """Return the experiment as any folder can repeat it: store and weights file made absolute."""
    model = experiment.model
    if model.weights not in ("imagenet", "none"):
        model = dataclasses.replace(model, weights=str(Path(model.weights).resolve()))
    return dataclasses.replace(
        experiment, store=str(Path(experiment.store).resolve()), model=model
    )


def read_experiment(run: Run) -> Experiment:
    """Return the resolved experiment of a run."""
    return from_mapping(Experiment, read_toml(run.path / "config.toml"))


def read_split(run: Run) -> Split:
    """Return the split of a run.

    Raises:
        InputError: The run has none.
    """
    document = run.read_json("split.json")
    if document is None:
        raise InputError(f"{run.path} has no split.json: it is not a single training run")
    return Split.from_mapping(document)


def train(
    run: Run, update: Update | None = None, interruption: Interruption | None = None
) -> dict[str, Any]:
    """Train a prepared run to its end; an interrupted one goes on where it stopped.

    Args:
        run: From `prepare_run`; a finished run is left alone.
        update: Called as update(done, total, note).
        interruption: What asks it to stop; by default SIGTERM and Ctrl-C do.
    Returns: the metrics of its test split (of its validation split where it has no test split).
    Raises:
        InputError: The store is not the one the run was made for, or settings do not fit it.
        CancelledError: It was asked to stop; `--resume` goes on.
    """
    finished = run.read_json("evaluation/metrics.json")
    if run.summary()["state"] == "finished" and finished:
        return finished["metrics"]
    if interruption is None:
        with interruptible() as interruption:
            return train(run, update, interruption)
    experiment = read_experiment(run)
    kept = "the last checkpoint is kept; free some space and `--resume` goes on"
    with (
        reported(run, update, kind="train", store=experiment.store) as journal,
        explained_disk_errors(run.path, kept),
    ):
        return _train(run, experiment, journal, interruption)


def _train(
    run: Run, experiment: Experiment, journal: Journal, interruption: Interruption
) -> dict[str, Any]:
    atomic.write_json(run.path / "environment.json", describe_environment())
    store = CropStore.open(Path(experiment.store))
    split = read_split(run)
    split.check(store)
    checkpoint = Checkpoint(run.path / "checkpoint")
    context = Context(journal, interruption, checkpoint, experiment.seed)
    job = _Job(experiment, store, split, context)
    keras.utils.set_random_seed(experiment.seed)
    rows, part = (split.test, "test") if len(split.test) else (split.validation, "validation")

    model, stages = _fitted(job, rows)
    save_model(model, run.model_path, card_of(store, split, experiment, run))
    probabilities = predict(
        model, store.read, rows, views=experiment.test_views, update=journal.progress
    )
    evaluation = job.evaluate(probabilities, rows)
    evaluation.metrics["evaluated_on"] = part
    evaluation.write(run.path / "evaluation")
    stages["final"] = evaluation.metrics
    atomic.write_json(run.path / "evaluation" / "stages.json", stages)
    checkpoint.clear()
    run.append("finished", metrics=headline(evaluation.metrics), evaluated_on=part)
    journal.log(f"finished: mean recall {evaluation.metrics['mean_recall']:.3f} on {part}")
    return evaluation.metrics


def _fitted(job: _Job, test_rows: np.ndarray) -> tuple[Any, dict[str, Any]]:
    """Run the stages; return the model and the test metrics after each stage but the last."""
    experiment, store, split, context = job.experiment, job.store, job.split, job.context
    config = experiment.model
    white = float(np.iinfo(store.dtype).max)
    extractor = build_extractor(config, store.size_px, store.n_channels, white)
    n_classes = len(split.classes)
    train, validation = job.samples(split.train), job.samples(split.validation)
    kept = context.checkpoint.read()
    if kept:
        context.journal.restore(kept["history"])
    if config.weights == "none":
        model = add_head(extractor, config, n_classes, None, experiment.seed)
        fit_network(
            model, "scratch", store.read, train, validation, experiment.scratch, context,
            experiment.augment,
        )
        return model, {}

    stages: dict[str, Any] = {}
    if kept:
        # Its weights come from the checkpoint; only the shape of the head matters here.
        blank = np.zeros((1, extractor.output_shape[-1]), dtype=np.float32)
        model = add_head(extractor, config, n_classes, blank, experiment.seed)
        best = float("inf")
        stages = context.journal.run.read_json("evaluation/stages.json") or {}
    else:
        model, best = _fit_frozen(job, extractor, train, validation)
        frozen_only = head_of(model)
        test = extract_features(extractor, store.read, test_rows, experiment.test_views, context)
        views = [frozen_only.predict(features, verbose=0) for features in test]
        stages["frozen"] = job.evaluate(np.mean(views, axis=0), test_rows).metrics
        (context.journal.run.path / "evaluation").mkdir(exist_ok=True)
        atomic.write_json(context.journal.run.path / "evaluation" / "stages.json", stages)
    if experiment.finetune.epochs:
        fit_network(
            model, "finetune", store.read, train, validation, experiment.finetune, context,
            experiment.augment, loss_to_beat=best,
        )
    return model, stages


def _fit_frozen(
    job: _Job, extractor: Any, train: Samples, validation: Samples
) -> tuple[Any, float]:
    experiment, read, context = job.experiment, job.store.read, job.context
    bank = extract_features(extractor, read, train.rows, experiment.frozen.views, context)
    watched = extract_features(extractor, read, validation.rows, 1, context)[0]
    model = add_head(
        extractor, experiment.model, len(job.split.classes), bank.reshape(-1, bank.shape[-1]),
        experiment.seed,
    )
    best = fit_head(model, bank, train, watched, validation, experiment.frozen, context)
    return model, best


def predictions_of(
    store: CropStore, split: Split, rows: np.ndarray, probabilities: np.ndarray
) -> Predictions:
    """Pair probabilities with the truth and the units that are resampled for intervals."""
    return Predictions(
        rows=rows,
        labels=split.targets(store, rows),
        probabilities=probabilities,
        groups=_units(store, split.by)[rows],
        classes=split.classes,
    )


def card_of(store: CropStore, split: Split, experiment: Experiment, run: Run) -> ModelCard:
    """Describe what a model of this run takes and returns."""
    return ModelCard(
        classes=split.classes,
        size_px=store.size_px,
        channels=store.channels,
        dtype=str(store.dtype),
        pixel_size_um=store.pixel_size_um,
        kind=str(store.config.get("kind", "cells")),
        build=store.config,
        provenance={
            "run": run.name,
            "store": store.path.name,
            "store_hash": store.content_hash,
            "experiment": to_mapping(experiment),
            "environment": run.read_json("environment.json"),
        },
    )


def headline(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers that a list of runs shows."""
    keys = ("accuracy", "balanced_accuracy", "mean_recall", "auroc", "f1_macro")
    return {key: metrics.get(key) for key in keys}


def _units(store: CropStore, by: str) -> np.ndarray:
    if by == "crop":
        return np.arange(len(store))
    return store.group_index if by == "group" else store.field_index


def _weights(targets: np.ndarray, by_class: bool) -> np.ndarray:
    if not by_class:
        return np.ones(len(targets), dtype=np.float32)
    counts = np.bincount(targets)
    present = np.count_nonzero(counts)
    return (len(targets) / (present * counts[targets])).astype(np.float32)
