"""Finished runs in a moment: real folders and models, but of networks that were never trained."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from stemcls import atomic
from stemcls.config.experiment import Experiment, ModelConfig, SplitConfig
from stemcls.evaluation.evaluation import Evaluation, evaluate_predictions
from stemcls.evaluation.folds import summarise_folds
from stemcls.evaluation.predictions import pool, read_predictions, write_predictions
from stemcls.evaluation.runfiles import predictions_of, read_split
from stemcls.models.inference import predict
from stemcls.models.saved import save_model
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.training.folds import prepare_folds
from stemcls.training.train import card_of, headline, prepare_run


def experiment(store: Path, name: str, seed: int = 0, **changes: object) -> Experiment:
    """Return settings of a tiny network."""
    model = ModelConfig(backbone="TinyCNN", weights="none")
    return Experiment(store=str(store), name=name, seed=seed, model=model, **changes)


def network(shape: tuple[int, ...], n_classes: int, seed: int) -> keras.Model:
    """Return a network that tells stripes along x from stripes along y, with noise from `seed`."""
    inputs = keras.Input(shape, name="crops")
    x = keras.layers.Rescaling(1 / 255, -0.5)(inputs)
    start = keras.initializers.RandomNormal(stddev=0.3, seed=seed)
    x = keras.layers.Conv2D(8, 5, activation="relu", kernel_initializer=start, name="c")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    x = keras.layers.Dropout(0.3, seed=seed)(x)
    x = keras.layers.BatchNormalization(name="scaling")(x)
    start = keras.initializers.RandomNormal(seed=seed, stddev=5.0)
    x = keras.layers.Dense(n_classes, kernel_initializer=start, name="logits")(x)
    outputs = keras.layers.Softmax(name="probabilities", dtype="float32")(x)
    return keras.Model(inputs, outputs, name="stemcls")


def finish(run: Run, settings: Experiment, weights_seed: int, skill: float = 0.0) -> None:
    """Give a prepared run a model and its scores; it knows a share `skill` of the truth."""
    store, split = CropStore.open(settings.store), read_split(run)
    model = network(store.shape[1:], len(split.classes), weights_seed)
    run.append("started", kind="train", store=settings.store, seed=settings.seed)
    atomic.write_json(run.path / "environment.json", {"backend": "tensorflow"})
    save_model(model, run.model_path, card_of(store, split, settings, run))
    probabilities = predict(model, store.read, split.test)
    truth = np.eye(len(split.classes), dtype=np.float32)[split.targets(store, split.test)]
    told = np.random.default_rng(weights_seed).random(len(truth)) < skill
    probabilities = np.where(told[:, None], 0.9 * truth + 0.05, probabilities)
    evaluation = evaluate_predictions(
        predictions_of(store, split, split.test, probabilities), resamples=50
    )
    evaluation.metrics["evaluated_on"] = "test"
    _write(run, evaluation)
    run.append("finished", metrics=headline(evaluation.metrics), evaluated_on="test")


def _write(run: Run, evaluation: Evaluation) -> None:
    """Write the scores as a finished run has them, but without figures, which take time."""
    folder = run.path / "evaluation"
    folder.mkdir()
    atomic.write_json(folder / "metrics.json", evaluation.to_document())
    write_predictions(folder / "predictions.csv", evaluation.predictions)


def single_run(
    workspace: Path, store: Path, name: str, weights_seed: int, skill: float = 0.0,
    **changes: object,
) -> Run:
    """Return a finished run of its own."""
    settings = experiment(store, name, **changes)
    run = prepare_run(settings, workspace)
    finish(run, settings, weights_seed, skill)
    return run


def folds_run(
    workspace: Path, store: Path, name: str, weights_seed: int, folds: int = 3,
    skill: float = 0.0, seed: int = 0, validation: float = 0.2,
) -> Run:
    """Return a finished cross-validation."""
    settings = experiment(store, name, seed, split=SplitConfig(validation=validation))
    parent = prepare_folds(settings, workspace, folds)
    parent.append("started", kind="folds", folds=folds)
    for number, run in enumerate(parent.folds()):
        finish(run, settings, weights_seed + number, skill)
    tables = [read_predictions(r.path / "evaluation/predictions.csv") for r in parent.folds()]
    evaluation = evaluate_predictions(pool(tables), resamples=0)
    _write(parent, evaluation)
    each = [run.read_json("evaluation/metrics.json")["metrics"] for run in parent.folds()]
    atomic.write_json(parent.path / "evaluation/folds.json", summarise_folds(each))
    parent.append("finished", metrics=headline(evaluation.metrics), evaluated_on="folds")
    return parent
