"""Score a finished run again: on its own test split, or on a store it has never seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.evaluation.calibration.calibrate import calibrated_model, describe_abstention
from stemcls.evaluation.evaluation import Evaluation, evaluate_predictions
from stemcls.evaluation.external import beside_internal, match_labels, read_label_map
from stemcls.evaluation.fewgroups import FOLDS, MORE_GROUPS
from stemcls.evaluation.finished import read_finished
from stemcls.evaluation.naming import CONSISTENCY
from stemcls.evaluation.predictions import Predictions, pool, read_predictions
from stemcls.evaluation.runfiles import (
    finished_model,
    folder_of,
    open_split,
    predictions_of,
    read_experiment,
    store_of,
)
from stemcls.models.ensemble import check_unlearned
from stemcls.models.inference import predict
from stemcls.models.saved import load_model
from stemcls.models.storecheck import fit_store
from stemcls.progress import Update
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.verify import open_verified


def score_run(
    run: Run,
    store_path: Path | None = None,
    *,
    views: int | None = None,
    out: Path | None = None,
    label_map: Path | None = None,
    calibrated: bool = False,
    consistency: bool = False,
    update: Update | None = None,
) -> tuple[Evaluation, Path]:
    """Evaluate a finished run and write numbers and figures.

    Args:
        run: A finished run.
        store_path: Another labelled store; None takes the run's own test split.
        views: Dihedral views averaged; None: as the run's config says.
        out: Folder to write to; None chooses one below the run's evaluation/.
        label_map: File of labels that the store calls otherwise; see `read_label_map`.
        calibrated: Take the model that `calibrate_run` saved, and say when it abstains.
        consistency: Call scores rates of consistency with the labels.
        update: Called as update(done, total, note).
    Returns: the evaluation, and where it was written.
    Raises:
        InputError: No model, a store that cannot be made to fit it, or no labelled crop of its
            classes.
    """
    model, card = load_model(calibrated_model(run) if calibrated else finished_model(run))
    experiment = read_experiment(run)
    views = views or experiment.test_views
    about: dict[str, Any] = {}
    if store_path is None:
        if label_map is not None:
            raise InputError("--label-map is for another store; the run's own needs none")
        check_unlearned(card, run.path)
        store, split = open_split(run)
        read: Callable[[np.ndarray], np.ndarray] = store.read
        rows, part = split.scored_rows, split.scored_on
        probabilities = predict(model, read, rows, views=views, update=update)
        predictions = predictions_of(store, split, rows, probabilities)
        folder = part
    else:
        store, part = open_verified(store_path), str(store_path)
        check_unlearned(card, run.path, store.content_hash)
        read, notices = fit_store(card, store)
        matched = match_labels(
            store, card.classes, read_label_map(label_map) if label_map else None
        )
        predictions = Predictions(
            rows=matched.rows, labels=matched.labels, groups=store.group_index[matched.rows],
            probabilities=predict(model, read, matched.rows, views=views, update=update),
            classes=card.classes,
        )
        folder = folder_of(store)
        about = {"left_out": matched.left_out, "missing_classes": list(matched.missing)}
        about["warnings"] = [notice.document() for notice in notices]
        about["internal"] = _internal(run, matched.missing, experiment.seed)
        learned = (run.read_json("split.json") or {}).get("store_hash")
        about["own_store"] = store.content_hash == learned
    if calibrated:
        about["abstention"] = describe_abstention(run, model, card, predictions, read, update)
        folder += "-calibrated"
    remedy = FOLDS if store_path is None else MORE_GROUPS
    evaluation = evaluate_predictions(predictions, seed=experiment.seed, remedy=remedy)
    evaluation.metrics.update(about, evaluated_on=part)
    return _written(evaluation, out or run.path / "evaluation" / folder, consistency, store)


def score_folds(
    run: Run, *, out: Path | None = None, consistency: bool = False
) -> tuple[Evaluation, Path]:
    """Evaluate a finished cross-validation by the kept predictions of its folds, without Keras.

    Args:
        run: A finished cross-validation.
        out, consistency: As `score_run`.
    Returns: the evaluation of all folds together, and where it was written.
    Raises:
        InputError: It is not finished.
    """
    finished = read_finished(run)
    evaluation = evaluate_predictions(
        pool(finished.predictions), seed=finished.experiment.seed, remedy=MORE_GROUPS
    )
    evaluation.metrics["evaluated_on"] = "folds"
    try:
        store = store_of(finished.parts[0], finished.splits[0])
    except InputError:  # the scores do not need it
        store = None
    return _written(evaluation, out or run.path / "evaluation" / "folds", consistency, store)


def _written(
    evaluation: Evaluation, out: Path, consistency: bool, store: CropStore | None
) -> tuple[Evaluation, Path]:
    if consistency:
        evaluation.metrics["naming"] = CONSISTENCY
    evaluation.write(out, store)
    return evaluation, out


def _internal(run: Run, missing: tuple[str, ...], seed: int) -> dict[str, Any] | None:
    """Return the run's own scores over the same classes, None where it was never scored."""
    kept = run.path / "evaluation" / "predictions.csv"
    if not kept.is_file():
        return None
    return beside_internal(read_predictions(kept), missing, seed) or None
