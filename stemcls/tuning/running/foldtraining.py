"""Train what a search asks for: a fold that is scored and not kept, or a whole run at the end."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras

from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, read_toml
from stemcls.documents import read_object
from stemcls.evaluation.metrics import HEADLINE
from stemcls.interruption import Interruption
from stemcls.models.precision import computing_in, policy_for
from stemcls.runs import Run
from stemcls.store.find import open_same
from stemcls.store.splits import Split
from stemcls.training.checkpoint import Checkpoint, NoCheckpoint
from stemcls.training.checks import check_plan
from stemcls.training.features import HEAD_SETTINGS
from stemcls.training.journal import reported
from stemcls.training.plan import Job, extractor_for, run_stages
from stemcls.training.train import headline, make_job, prepare_run, train
from stemcls.tuning.study.journal import FoldResult
from stemcls.tuning.study.objective import objective_of

# The latest extractor, by its settings: building and loading one takes longer than a head to train.
_kept: dict[str, Any] = {}


def train_fold(
    config: Path, split_path: Path, outer_path: Path, folder: Path, objective: str,
    interruption: Interruption,
) -> FoldResult:
    """Train on the fold's training rows and score its test rows, those that the fold holds out.

    A fold that was interrupted goes on at its last epoch; one that trains a head alone takes
    seconds and begins again.

    Args:
        config: TOML of the trial's experiment.
        split_path: JSON of the fold's split.
        outer_path: JSON of the split that all folds are made of.
        folder: For its events, log and checkpoint.
        objective: See `objective_of`.
        interruption: What asks it to stop.
    Raises:
        StemclsError: It cannot be trained, or the objective is undefined.
        CancelledError: It was asked to stop.
    """
    begun = time.monotonic()
    experiment = from_mapping(Experiment, read_toml(config))
    split, outer = _read_split(split_path), _read_split(outer_path)
    store = open_same(experiment.store, split.store_hash, folder)
    split.check(store)
    check_plan(experiment, store, split)
    head_alone = all(stage.trainable == "none" for stage in experiment.plan)
    checkpoint = NoCheckpoint() if head_alone else Checkpoint(folder / "checkpoint")
    if not head_alone:
        _kept.clear()
        keras.utils.clear_session()
    run = Run(folder)
    with reported(run, None, kind="fold", store=experiment.store, seed=experiment.seed) as journal:
        keras.utils.set_random_seed(experiment.seed)
        job = make_job(
            experiment, store, split, journal, interruption, checkpoint, score_last=True,
            feature_rows=outer.rows,
        )
        with computing_in(policy_for(experiment.precision)):
            trained = run_stages(job, _extractor(job) if head_alone else None)
        metrics = trained.stages[experiment.plan[-1].name]
        result = FoldResult(
            score=objective_of(metrics, objective),
            metrics={key: metrics[key] for key in HEADLINE},
            parameters=trained.model.count_params(),
            epochs=len(journal.history),
            seconds=round(time.monotonic() - begun, 3),
        )
        run.append("finished", metrics=headline(metrics), evaluated_on="fold")
    checkpoint.clear()
    return result


def _extractor(job: Job) -> Any:
    """Return the extractor of the fold before where that is the same: nothing of it learns."""
    model = job.experiment.model
    settings = {
        **{key: value for key, value in asdict(model).items() if key not in HEAD_SETTINGS},
        "weights": model.weights,
        "seed": None if job.experiment.pretrained else job.experiment.seed,
        "crops": [*job.store.size_px, job.store.n_channels, str(job.store.dtype)],
        "precision": keras.config.dtype_policy().name,
    }
    key = json.dumps(settings, sort_keys=True)
    if key not in _kept:
        _kept.clear()
        keras.utils.clear_session()
        _kept[key] = extractor_for(job)
    return _kept[key]


def train_final(
    config: Path, split_path: Path, folder: Path, interruption: Interruption
) -> dict[str, Any]:
    """Train a run on all folds merged and score the rows that the search never saw.

    Args:
        config: TOML of its experiment.
        split_path: JSON of the split that held those rows out.
        folder: Of the run; one that was begun there goes on.
        interruption: What asks it to stop.
    Returns: its metrics.
    """
    _kept.clear()
    keras.utils.clear_session()
    run = Run(folder)
    if not (folder / "split.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        experiment = from_mapping(Experiment, read_toml(config))
        split = _read_split(split_path)
        store = open_same(experiment.store, split.store_hash, folder)
        prepare_run(replace(experiment, store=str(store.path)), folder, split, run)
    return train(run, interruption=interruption)


def _read_split(path: Path) -> Split:
    return Split.from_mapping(read_object(path, "begin a new study with the settings of this one"))
