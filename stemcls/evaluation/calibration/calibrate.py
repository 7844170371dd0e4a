"""Calibrate a finished run on its validation groups, and save the calibrated model beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.errors import InputError, explained_disk_errors
from stemcls.evaluation.calibration.conformal import (
    ALPHA,
    describe_sets,
    fit_thresholds,
    least_groups,
    least_probabilities,
)
from stemcls.evaluation.calibration.novelty import FLAGGED, Novelty, fit_novelty
from stemcls.evaluation.calibration.temperature import fit_temperature, softened
from stemcls.evaluation.metrics import CALIBRATION, compute_metrics
from stemcls.evaluation.predictions import Predictions, read_predictions
from stemcls.evaluation.runfiles import (
    UNSEEN,
    finished_model,
    open_split,
    predictions_of,
    read_experiment,
)
from stemcls.models.inference import SOLVED, dihedral, predict, view_numbers
from stemcls.models.saved import ModelCard, load_model, save_model
from stemcls.progress import Update
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore

FOLDER = "calibrated"
_LEAST = 1e-7


def calibrated_model(run: Run) -> Path:
    """Return the path of a run's calibrated model.

    Raises:
        InputError: There is none.
    """
    path = run.path / FOLDER / "model.keras"
    if not path.is_file():
        raise InputError(
            f"{run.path} has no calibrated model; `stemcls calibrate {run.path}` makes one"
        )
    return path


def calibrate_run(
    run: Run, alpha: float = ALPHA, update: Update | None = None
) -> dict[str, Any]:
    """Fit temperature, class-wise sets and novelty on validation groups; test them on test groups.

    Args:
        run: A finished run of one model.
        alpha: Share of crops of a class whose set may miss the truth.
        update: Called as update(done, total, note).
    Returns: the document of `calibration.json`: `temperature`, `sets`, `novelty`, and `test` (or
        None): calibration numbers `before` and `after`, sets and novelty on crops that neither
        training nor calibration has seen.
    Raises:
        InputError: No model, an ensemble, no validation crops, or it was calibrated before.
    """
    folder = run.path / FOLDER
    if (folder / "model.keras").exists():
        raise InputError(
            f"{folder} exists and is not overwritten; delete it to calibrate anew"
        )
    model, card = load_model(finished_model(run))
    _check_layers(model, run)
    experiment, (store, split) = read_experiment(run), open_split(run)
    rows = split.validation
    if (run.path / "evaluation" / UNSEEN).is_file():
        # The head was solved on the validation crops too; what heads that had not seen a crop said
        # of it is as honest, and says it of every crop.
        unseen = read_predictions(run.path / "evaluation" / UNSEEN)
        rows = unseen.rows
        logits = np.log(np.maximum(unseen.probabilities, _LEAST))[None]
    else:
        logits = _logits(model, store, rows, experiment.test_views, update)
    labels, groups = split.targets(store, rows), split.units_of(store, rows)
    temperature = fit_temperature(logits, labels, groups, experiment.seed)
    known = predictions_of(store, split, rows, softened(logits, temperature.value))
    thresholds = fit_thresholds(known, alpha)
    novelty = _fit_novelty(model, store, split, update)
    document: dict[str, Any] = {
        "temperature": asdict(temperature),
        "alpha": alpha,
        "sets": [asdict(threshold) for threshold in thresholds],
        "least_groups": least_groups(alpha),
        "views": experiment.test_views,
        "novelty": {"flagged_below": FLAGGED, "validation_crops": len(novelty.usual)},
        "test": None,
    }
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if len(split.test):
        logits = _logits(model, store, split.test, experiment.test_views, update)
        scored = [
            predictions_of(store, split, split.test, softened(logits, value))
            for value in (1.0, temperature.value)
        ]
        before, after = (compute_metrics(part, seed=experiment.seed) for part in scored)
        features = predict(_up_to(model, "pooling"), store.read, split.test, update=update)
        keys = ("n", "n_groups", *(k for key in CALIBRATION for k in (key, f"{key}_ci")))
        document["test"] = {
            "before": {key: before[key] for key in keys},
            "after": {key: after[key] for key in keys},
            **_abstention(scored[1], thresholds, novelty.tail(features)),
        }
    _write(folder, model, card, document, novelty, (before, after))
    return document


def describe_abstention(
    run: Run, model: Any, card: ModelCard, predictions: Predictions,
    read: Callable[[np.ndarray], np.ndarray], update: Update | None = None,
) -> dict[str, Any]:
    """Say how often the sets of a calibrated model hold the truth, and how much looks new.

    Args:
        run: That was calibrated.
        model, card: Its calibrated model.
        predictions: Of that model.
        read: Rows (n,) to crops, as the model takes them.
        update: Called as update(done, total, note).
    """
    features = predict(_up_to(model, "pooling"), read, predictions.rows, update=update)
    tails = Novelty.read(run.path / FOLDER / "novelty.npz").tail(features)
    return {"sets": describe_sets(predictions, least_probabilities(card)), **_flagged(tails)}


def _abstention(
    predictions: Predictions, thresholds: list[Any], tails: np.ndarray
) -> dict[str, Any]:
    return {
        "sets": describe_sets(predictions, [row.least for row in thresholds]),
        "sets_by_crop": describe_sets(predictions, [row.by_crop for row in thresholds]),
        **_flagged(tails),
    }


def _flagged(tails: np.ndarray) -> dict[str, Any]:
    return {"novel": float((tails < FLAGGED).mean()), "n_novel": int((tails < FLAGGED).sum())}


def _check_layers(model: Any, run: Run) -> None:
    names = {layer.name for layer in model.layers}
    if not {"logits", "pooling"} <= names:
        raise InputError(
            f"{run.path} has no layers `logits` and `pooling`: an ensemble averages probabilities "
            "and cannot be given one temperature; calibrate its members one by one"
        )


def _up_to(model: Any, layer: str) -> Any:
    import keras

    return keras.Model(model.inputs, model.get_layer(layer).output)


def _logits(
    model: Any, store: CropStore, rows: np.ndarray, views: int, update: Update | None
) -> np.ndarray:
    """Return (V, n, K), the logits of every view; (1, n, K) their mean of a solved head."""
    part = _up_to(model, "logits")

    def reading(view: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda wanted: dihedral(store.read(wanted), view)

    each = np.stack([
        predict(part, reading(view), rows, update=update)
        for view in view_numbers(store.size_px, views)
    ])
    return each.mean(axis=0, keepdims=True) if model.name == SOLVED else each


def _fit_novelty(model: Any, store: CropStore, split: Any, update: Update | None) -> Novelty:
    part = _up_to(model, "pooling")
    train, validation = (
        predict(part, store.read, rows, update=update) for rows in (split.train, split.validation)
    )
    return fit_novelty(train, split.targets(store, split.train), validation)


def _with_temperature(model: Any, temperature: float) -> Any:
    import keras

    scaled = keras.layers.Rescaling(1 / temperature, name="temperature", dtype="float32")(
        model.get_layer("logits").output
    )
    outputs = keras.layers.Softmax(name="probabilities", dtype="float32")(scaled)
    return keras.Model(model.inputs, outputs, name=model.name)


def _write(
    folder: Path, model: Any, card: ModelCard, document: dict[str, Any], novelty: Novelty,
    scores: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    from stemcls.evaluation.charts import draw_reliability
    from stemcls.evaluation.figures import write_figure

    kept = {key: document[key] for key in ("temperature", "alpha", "sets")}
    card = dataclasses.replace(card, provenance={**card.provenance, "calibration": kept})
    with (
        explained_disk_errors(folder, "the run is as it was; free some space and repeat"),
        atomic.replacing_folder(folder) as new,
    ):
        novelty.write(new / "novelty.npz")
        atomic.write_json(new / "calibration.json", document)
        if scores[0]:
            write_figure(draw_reliability(*scores), new / "reliability")
        save_model(
            _with_temperature(model, document["temperature"]["value"]), new / "model.keras", card
        )
