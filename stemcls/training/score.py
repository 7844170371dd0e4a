"""Score a finished run again: on its own test split, or on a store it has never seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemcls.errors import InputError
from stemcls.evaluation.evaluation import Evaluation, evaluate_predictions
from stemcls.evaluation.predictions import Predictions
from stemcls.models.ensemble import check_unlearned
from stemcls.models.inference import predict
from stemcls.models.saved import ModelCard, load_model
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.training.journal import Update
from stemcls.training.plan import predictions_of
from stemcls.training.train import read_experiment, read_split


def finished_model(run: Run) -> Path:
    """Return the path of a run's model.

    Raises:
        InputError: The run is a cross-validation (names its folds), a study (names its best run) or
            is not finished.
    """
    if run.model_path.is_file():
        return run.model_path
    if (run.path / "folds").is_dir():
        raise InputError(
            f"{run.path} is a cross-validation and holds one model per fold; give one of them, "
            f"for instance {run.path / 'folds' / 'fold-1'}, or train one model on all folds: "
            f"stemcls train --config {run.path / 'config.toml'}"
        )
    if run.is_study:
        found = run.read_json("report/study.json")
        raise InputError(
            f"{run.path} is a study; " + (
                f"its best model is the run {found['best']['run']}" if found
                else f"it has none yet: stemcls tune --resume {run.path}"
            )
        )
    state = run.summary()["state"]
    raise InputError(
        f"{run.path} has no model: it is {state}; go on with `stemcls train --resume {run.path}`"
    )


def folder_of(store: CropStore) -> str:
    """Return a folder name for results on a store other than the run's own."""
    return f"{store.path.stem}-{store.content_hash[:8]}"


def score_run(
    run: Run,
    store_path: Path | None = None,
    *,
    views: int | None = None,
    out: Path | None = None,
    update: Update | None = None,
) -> tuple[Evaluation, Path]:
    """Evaluate a finished run and write numbers and figures.

    Args:
        run: A finished run.
        store_path: Another labelled store; None takes the run's own test split.
        views: Dihedral views averaged; None: as the run's config says.
        out: Folder to write to; None chooses one below the run's evaluation/.
        update: Called as update(done, total, note).
    Returns: the evaluation, and where it was written.
    Raises:
        InputError: No model, a store that does not fit it, or no labelled crop of its classes.
    """
    model, card = load_model(finished_model(run))
    experiment = read_experiment(run)
    views = views or experiment.test_views
    if store_path is None:
        check_unlearned(card, run.path)
        store, split = CropStore.open(Path(experiment.store)), read_split(run)
        split.check(store)
        rows = split.test if len(split.test) else split.validation
        probabilities = predict(model, store.read, rows, views=views, update=update)
        predictions = predictions_of(store, split, rows, probabilities)
        part = "test" if len(split.test) else "validation"
        out = out or run.path / "evaluation" / part
    else:
        store, part = CropStore.open(store_path), str(store_path)
        check_unlearned(card, run.path, store.content_hash)
        card.check_crops(store_path, store.shape[1:], store.dtype)
        predictions = _of_another_store(model, card, store, views, update)
        out = out or run.path / "evaluation" / folder_of(store)
    evaluation = evaluate_predictions(predictions, seed=experiment.seed)
    evaluation.metrics["evaluated_on"] = part
    evaluation.write(out)
    return evaluation, out


def _of_another_store(
    model: object, card: ModelCard, store: CropStore, views: int, update: Update | None
) -> Predictions:
    position = {name: index for index, name in enumerate(card.classes)}
    to_model = np.array([position.get(name, -1) for name in store.classes] + [-1])
    labels = to_model[store.labels]
    rows = np.flatnonzero(labels >= 0)
    if not len(rows):
        raise InputError(
            f"{store.path} has no crop of the model's classes ({', '.join(card.classes)}); its "
            f"classes: {', '.join(store.classes) or 'none, it is unlabelled'}"
        )
    probabilities = predict(model, store.read, rows, views=views, update=update)
    return Predictions(
        rows=rows,
        labels=labels[rows],
        probabilities=probabilities,
        groups=store.group_index[rows],
        classes=card.classes,
    )
