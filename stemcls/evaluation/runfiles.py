"""Read what a run was made of, without Keras: its settings, its split, and where its model is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemcls.config.experiment import MEMBERS, Experiment
from stemcls.config.options import from_mapping, read_toml
from stemcls.errors import InputError
from stemcls.evaluation.predictions import Predictions
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.find import open_same
from stemcls.store.splits import Split

# In evaluation/ of a run: what heads that had not seen them said of the crops it was trained on.
UNSEEN = "unseen.csv"


def read_experiment(run: Run) -> Experiment:
    """Return the resolved experiment of a run; of an ensemble, what evaluating it needs."""
    settings = read_toml(run.path / "config.toml")
    settings.pop(MEMBERS, None)
    return from_mapping(Experiment, settings)


def read_split(run: Run) -> Split:
    """Return the split of a run.

    Raises:
        InputError: The run has none, or has no model either.
    """
    document = run.read_json("split.json")
    if document is None:
        finished_model(run)  # says what a study, a cross-validation or an unfinished run needs
        raise InputError(f"{run.path} has no split.json: it is not a single training run")
    return Split.from_mapping(document)


def open_split(run: Run) -> tuple[CropStore, Split]:
    """Return the store that a run comes from, and its split.

    Raises:
        InputError: As `read_split`; or the store is nowhere to be found, or has changed.
    """
    split = read_split(run)
    return store_of(run, split), split


def store_of(run: Run, split: Split, verified: bool = True) -> CropStore:
    """Open the store that a run comes from, wherever it lies now; see `open_same`.

    Raises:
        InputError: It is nowhere to be found, or has changed.
    """
    recorded = read_experiment(run).store
    store = open_same(recorded, split.store_hash, run.path, run.workspace, verified)
    split.check(store)
    return store


def check_finished(run: Run, what: str) -> None:
    """Refuse a run that is not finished; `what` says why only a finished one will do.

    Raises:
        InputError: It is not.
    """
    state = run.summary()["state"]
    if state != "finished":
        raise InputError(
            f"{run.path} is {state}, and {what}; wait for it, or go on with `stemcls train "
            f"--resume {run.path}`"
        )


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


def model_named(path: Path, workspace: Path) -> Path:
    """Return the .keras file that a user means: the file itself, or that of a finished run.

    Raises:
        InputError: There is no such run, or it has no model.
    """
    if path.suffix == ".keras":
        below = workspace / "saved_models" / path
        return path if path.is_file() or not below.is_file() else below
    return finished_model(Run.open(path, workspace))


def folder_of(store: CropStore) -> str:
    """Return a folder name for results on a store other than the run's own."""
    return f"{store.path.stem}-{store.content_hash[:8]}"


def predictions_of(
    store: CropStore, split: Split, rows: np.ndarray, probabilities: np.ndarray
) -> Predictions:
    """Pair probabilities with the truth and the units that are resampled for intervals."""
    return Predictions(
        rows=rows,
        labels=split.targets(store, rows),
        probabilities=probabilities,
        groups=split.units_of(store, rows),
        classes=split.classes,
    )
