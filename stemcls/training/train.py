"""Train one experiment into one run folder: split, stages, saved model, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from stemcls import atomic
from stemcls.config.experiment import (
    FINAL,
    Experiment,
    with_absolute_paths,
    with_views_learned,
)
from stemcls.config.options import to_mapping, to_toml
from stemcls.errors import InputError, explained_disk_errors
from stemcls.evaluation.predictions import write_predictions
from stemcls.evaluation.runfiles import UNSEEN, model_named, open_split, read_experiment
from stemcls.interruption import Interruption, interruptible
from stemcls.models.backend import describe_environment
from stemcls.models.build import channels_note
from stemcls.models.inference import predict
from stemcls.models.losses import make_loss
from stemcls.models.precision import computing_in, in_float32, jit_compile, policy_for
from stemcls.models.saved import ModelCard, load_model, save_model
from stemcls.models.seen import seen_in_store
from stemcls.models.storecheck import check_store
from stemcls.progress import Update
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import Split, make_split
from stemcls.store.verify import open_verified
from stemcls.training.checkpoint import Checkpoint
from stemcls.training.checks import check_plan
from stemcls.training.exact import linear_baseline
from stemcls.training.journal import Journal, reported
from stemcls.training.lock import locked
from stemcls.training.memory import crop_reader
from stemcls.training.plan import Job, run_stages
from stemcls.training.stages import Context


def prepare_run(
    experiment: Experiment, workspace: Path, split: Split | None = None, run: Run | None = None
) -> Run:
    """Make a run folder that holds all that training needs: config, split, environment.

    Args:
        experiment: In the kept config its `store` is absolute, and `test_views` at most those that
            its stages learn from.
        workspace: Where saved_models/ is.
        split: A split made elsewhere (a fold); None makes the experiment's own.
        run: A folder that is already there (a fold's).
    Raises:
        InputError: The store or a split of it cannot be used, or a batch is larger than it.
    """
    store = open_verified(Path(experiment.store))
    split = split or make_split(store, experiment.split, experiment.seed)
    check_plan(experiment, store, split)
    experiment = with_views_learned(with_absolute_paths(experiment))
    run = run or Run.create(workspace, experiment.name or store.path.stem)
    with explained_disk_errors(run.path, "nothing was trained yet"):
        atomic.write_text(run.path / "config.toml", to_toml(experiment))
        atomic.write_json(run.path / "split.json", split.to_mapping())
    return run


def train(
    run: Run, update: Update | None = None, interruption: Interruption | None = None,
    extractor: Any = None,
) -> dict[str, Any]:
    """Train a prepared run to its end; an interrupted one goes on where it stopped.

    Args:
        run: From `prepare_run`; a finished run is left alone.
        update: Called as update(done, total, note).
        interruption: What asks it to stop; by default SIGTERM and Ctrl-C do.
        extractor: From `extractor_for`, where other runs have built the same; None builds one.
    Returns: the metrics of its test split (of its validation split where it has no test split).
    Raises:
        InputError: The store is not the one the run was made for, or settings do not fit it.
        CancelledError: It was asked to stop; `--resume` goes on.
    """
    if interruption is None:
        with interruptible() as interruption:
            return train(run, update, interruption, extractor)
    with locked(run):
        finished = run.read_json("evaluation/metrics.json")
        if run.summary()["state"] == "finished" and finished:
            return finished["metrics"]
        experiment = read_experiment(run)
        kept = "the last checkpoint is kept; free some space and `--resume` goes on"
        with (
            reported(
                run, update, kind="train", store=experiment.store, seed=experiment.seed
            ) as journal,
            explained_disk_errors(run.path, kept),
        ):
            return _train(run, experiment, journal, interruption, extractor)


def _train(
    run: Run, experiment: Experiment, journal: Journal, interruption: Interruption,
    extractor: Any,
) -> dict[str, Any]:
    _note_environment(run, experiment, journal)
    store, split = open_split(run)
    check_plan(experiment, store, split)
    checkpoint = Checkpoint(run.path / "checkpoint")
    job = make_job(experiment, store, split, journal, interruption, checkpoint)
    keras.utils.set_random_seed(experiment.seed)
    with computing_in(policy_for(experiment.precision)):
        trained = run_stages(job, extractor, _start(experiment, store, split))
    # A copy that was never compiled: without our optimiser Keras alone can load it.
    found, stages = trained.model, trained.stages
    model = in_float32(keras.Model(found.input, found.output, name=found.name))
    save_model(model, run.model_path, card_of(store, split, experiment, run))
    if trained.unseen is not None:
        (run.path / "evaluation").mkdir(exist_ok=True)
        write_predictions(run.path / "evaluation" / UNSEEN, trained.unseen)
    evaluation = trained.evaluation
    if evaluation is None:
        evaluation = job.evaluate(predict(
            model, job.read, split.scored_rows, views=experiment.test_views,
            update=journal.progress,
        ))
    baseline = evaluation.metrics["baseline"] = linear_baseline(job)
    part = evaluation.metrics["evaluated_on"] = split.scored_on
    evaluation.write(run.path / "evaluation", store)
    stages[FINAL] = evaluation.metrics
    atomic.write_json(run.path / "evaluation" / "stages.json", stages)
    checkpoint.clear()
    run.append("finished", metrics=headline(evaluation.metrics), evaluated_on=part)
    journal.log(f"finished: mean recall {evaluation.metrics['mean_recall']:.3f} on {part}")
    note = baseline_note(evaluation.metrics["mean_recall"], baseline["mean_recall"])
    journal.log(note)
    return evaluation.metrics


def _start(experiment: Experiment, store: CropStore, split: Split) -> Any:
    """Return the model that training goes on from, None for a new head."""
    if not experiment.start_from:
        return None
    path = model_named(Path(experiment.start_from), Path())
    model, card = load_model(path)
    check_store(card, store)
    if card.classes != split.classes:
        raise InputError(
            f"training cannot go on from {path}: it tells {', '.join(card.classes)} apart, and "
            f"here the classes are {', '.join(split.classes)}; give them as --classes, in that "
            "order, or name the labels of the store as the model does"
        )
    return model


def make_job(
    experiment: Experiment, store: CropStore, split: Split, journal: Journal,
    interruption: Interruption, checkpoint: Checkpoint, **options: Any,
) -> Job:
    """Return what the stages of `experiment` need to run on `split`; `options` are the Job's."""
    context = Context(
        journal, interruption, checkpoint, experiment.seed,
        loss=make_loss(experiment.model, len(split.classes)),
        balance=experiment.balance, pretrained=experiment.pretrained,
        jit_compile=jit_compile(experiment.xla),
    )
    return Job(experiment, store, split, context, crop_reader(store), **options)


def _note_environment(run: Run, experiment: Experiment, journal: Journal) -> None:
    """Keep versions, backend, devices and seed; say what changed since the run began."""
    now = {
        **describe_environment(),
        "seed": experiment.seed,
        "precision": policy_for(experiment.precision),
    }
    before = run.read_json("environment.json") or now
    for key in ("backend", "devices", "versions", "python", "precision"):
        if now[key] != before.get(key):
            journal.warn(
                f"{key} changed since this run began: {before.get(key)} then, {now[key]} now; it "
                "goes on, but not to exactly the result of an undisturbed run"
            )
    atomic.write_json(run.path / "environment.json", now)


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
            "channels_enter": channels_note(experiment.model, store.channels),
            "environment": run.read_json("environment.json"),
        },
        seen=seen_in_store(store, split.train),
    )


def baseline_note(found: float, baseline: float) -> str:
    """Say how a mean recall compares with that of the linear baseline."""
    said = f"without a network, logistic regression on simple features gets {baseline:.3f}"
    if found <= baseline:
        return f"{said}: the network adds nothing to it on these crops"
    return said


def headline(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers that a list of runs shows."""
    keys = ("accuracy", "balanced_accuracy", "mean_recall", "auroc", "f1_macro")
    return {key: metrics.get(key) for key in keys}
