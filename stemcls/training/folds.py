"""Cross-validate by group: one run per fold below one parent run, then mean and spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from stemcls import atomic
from stemcls.config.experiment import Experiment, with_absolute_paths, with_views_learned
from stemcls.config.options import to_toml
from stemcls.errors import InputError
from stemcls.evaluation.evaluation import evaluate_predictions
from stemcls.evaluation.fewgroups import MORE_GROUPS
from stemcls.evaluation.folds import summarise_folds
from stemcls.evaluation.predictions import pool, read_predictions
from stemcls.evaluation.runfiles import read_experiment, read_split, store_of
from stemcls.interruption import interruptible
from stemcls.models.precision import computing_in, policy_for
from stemcls.progress import Update, prefixed
from stemcls.runs import Run
from stemcls.store.splits import make_folds
from stemcls.store.verify import open_verified
from stemcls.training.checks import check_plan
from stemcls.training.journal import reported
from stemcls.training.lock import locked
from stemcls.training.plan import extractor_of_store
from stemcls.training.train import baseline_note, headline, prepare_run, train


def prepare_folds(experiment: Experiment, workspace: Path, folds: int) -> Run:
    """Make a parent run with one prepared run per fold in `folds/`.

    Raises:
        InputError: Fewer groups than folds, a class that cannot be on every side, or a batch larger
            than a fold's training part.
    """
    store = open_verified(Path(experiment.store))
    splits = make_folds(store, experiment.split, folds, experiment.seed)
    for split in splits:
        check_plan(experiment, store, split)
    experiment = with_views_learned(with_absolute_paths(experiment))
    parent = Run.create(workspace, experiment.name or store.path.stem)
    atomic.write_text(parent.path / "config.toml", to_toml(experiment))
    for number, split in enumerate(splits, start=1):
        path = parent.path / "folds" / f"fold-{number}"
        path.mkdir(parents=True)
        prepare_run(experiment, workspace, split, Run(path))
    return parent


def cross_validate(parent: Run, update: Update | None = None) -> dict[str, Any]:
    """Train every fold that is not finished, then pool the test sets.

    Returns: metrics of the pooled out-of-fold predictions, with `folds` (the test metrics of
        each), `mean_sd` (mean and sample standard deviation over the folds) and `baseline` (see
        `compare_with_baseline`).
    Raises:
        CancelledError: Asked to stop; finished folds are kept and `--resume` goes on.
    """
    runs = parent.folds()
    if not runs:
        raise InputError(f"{parent.path} is not a cross-validation: it has no folds/")
    with (
        locked(parent),
        interruptible() as interruption,
        reported(parent, update, kind="folds", folds=len(runs)) as journal,
    ):
        fold_metrics = []
        shared = _shared_extractor(runs[0])
        for number, run in enumerate(runs, start=1):
            journal.begin_fold(number, len(runs))
            if shared is None:
                keras.utils.clear_session()
            told = prefixed(update, f"fold {number}/{len(runs)}")
            metrics = train(run, told, interruption, shared)
            fold_metrics.append(metrics)
            parent.append("metric", fold=number, fold_metrics=headline(metrics))
        tables = [read_predictions(run.path / "evaluation" / "predictions.csv") for run in runs]
        evaluation = evaluate_predictions(pool(tables), remedy=MORE_GROUPS)
        evaluation.write(parent.path / "evaluation", store_of(runs[0], read_split(runs[0])))
        summary = summarise_folds(fold_metrics)
        document = {**evaluation.metrics, "folds": summary.pop("folds"), "mean_sd": summary}
        stages = [run.read_json("evaluation/stages.json") or {} for run in runs]
        frozen = [stage["frozen"] for stage in stages if "frozen" in stage]
        if len(frozen) == len(runs):
            document["frozen_mean_sd"] = summarise_folds(frozen)
        baselines = [fold["baseline"] for fold in fold_metrics if "baseline" in fold]
        if len(baselines) == len(runs):
            document["baseline"] = compare_with_baseline(fold_metrics, baselines)
            journal.log(document["baseline"]["verdict"])
        atomic.write_json(parent.path / "evaluation" / "folds.json", document)
        parent.append("finished", metrics=headline(evaluation.metrics), evaluated_on="folds")
    return document


def compare_with_baseline(
    folds: Sequence[Mapping[str, Any]], baselines: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Compare the mean recall of folds with that of the linear baseline on the same folds.

    Returns: `name`, `mean_recall`, `auroc` (means over the folds), `difference` of the mean
        recalls, ours less the baseline's, its standard error `difference_se` over the folds, and
        `verdict` in words.
    """
    gains = [
        fold["mean_recall"] - baseline["mean_recall"]
        for fold, baseline in zip(folds, baselines, strict=True)
    ]
    error = float(np.std(gains, ddof=1) / np.sqrt(len(gains)))
    ours, theirs = (
        float(np.mean([row["mean_recall"] for row in rows])) for rows in (folds, baselines)
    )
    return {
        "name": baselines[0]["name"], "mean_recall": theirs,
        "auroc": float(np.mean([row["auroc"] for row in baselines])),
        "difference": ours - theirs, "difference_se": error,
        "verdict": f"{baseline_note(ours, theirs)} ({ours - theirs:+.3f} +- {error:.3f})",
    }


def _shared_extractor(run: Run) -> Any:
    """Return a backbone for all folds where none of them trains it, else None."""
    experiment = read_experiment(run)
    frozen = all(stage.trainable == "none" for stage in experiment.plan)
    if not frozen or not experiment.pretrained or experiment.start_from:
        return None
    keras.utils.clear_session()
    keras.utils.set_random_seed(experiment.seed)
    with computing_in(policy_for(experiment.precision)):
        return extractor_of_store(experiment.model, open_verified(Path(experiment.store)))
