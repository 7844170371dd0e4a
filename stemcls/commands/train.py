"""`stemcls train`: fit a classifier to a crop store, or cross-validate one."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.experiments import Changes, ConfigFile, Recipe, base_of, experiment_of
from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    config_options,
    print_json,
    print_metrics,
    progress,
    say,
)
from stemcls.config.experiment import AUTO, Experiment, views_note
from stemcls.config.options import with_assignments
from stemcls.errors import InputError


@config_options(Experiment, skip=("store",))
def train(
    given: dict[str, Any],
    store: Annotated[
        Path | None, typer.Argument(help="Crop store; not needed with --config or --resume.")
    ] = None,
    config: ConfigFile = None,
    recipe: Recipe = None,
    changes: Changes = None,
    folds: Annotated[
        int | None,
        typer.Option(min=0, max=100, help="Cross-validate in this many grouped folds, 2 or more."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with an interrupted run (folder or name).")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Then write the run's report, as `stemcls report`.")
    ] = False,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Train a classifier on a crop store stage by stage (frozen, then fine-tuning); then score it.

    A store named without folder is looked for in the workspace's datasets/.
    """
    from stemcls.models.backend import start_keras

    if resume:
        own = (store, config, folds, given or None, recipe or None, changes or None)
        if any(value is not None for value in own):
            raise InputError(
                "--resume repeats the run's own config; give no store or other settings"
            )
        run = _resumed(resume, workspace)
        # What was begun on one backend does not change to another unless the user says so.
        name = start_keras(backend or _backend_of(run), device, shares_batches=True)
    else:
        experiment = experiment_of(
            store, base_of(recipe, config), with_assignments(given, changes), workspace
        )
        name = start_keras(backend, device, shares_batches=True)
        if experiment.model.backbone == AUTO:
            experiment = _with_best_backbone(experiment, workspace)
        experiment = _with_finetuning(experiment)
        run = _prepared(experiment, workspace, folds)
        if note := views_note(experiment):
            say(f"note: {note}")
        if not folds and (few := _few_groups(run)):
            say(f"note: {few}")
    say(f"run {run.path} on {name}")
    from stemcls.training.folds import cross_validate
    from stemcls.training.train import train as train_run

    try:
        with progress("train") as update:
            metrics = (cross_validate if run.folds() else train_run)(run, update)
    except BaseException:
        if run.summary()["state"] == "cancelled":
            say(f"stopped; go on with: stemcls train --resume {run.path}")
        raise
    document: dict[str, Any] = {"run": str(run.path), "metrics": metrics}
    if "folds" in metrics:
        document["folds"] = metrics.pop("folds")
        document["mean_sd"] = metrics.pop("mean_sd")
        if "frozen_mean_sd" in metrics:
            document["frozen_mean_sd"] = metrics.pop("frozen_mean_sd")
    if report:
        from stemcls.evaluation.report.write import write_report

        document["report"] = str(write_report(run))
    if json:
        print_json(document)
        return
    print_metrics(run.name, metrics, document.get("mean_sd"))
    if "baseline" in metrics:
        say(_beside_baseline(metrics))
    say(f"model, numbers and figures: {run.path}")
    if report:
        say(f"report: {document['report']}")
    if "folds" not in document:
        say(f"next: stemcls explain {run.path}   or   stemcls predict {run.path} FIELDS")


def _beside_baseline(metrics: dict[str, Any]) -> str:
    from stemcls.training.train import baseline_note

    baseline = metrics["baseline"]
    if "verdict" in baseline:
        return str(baseline["verdict"])
    return baseline_note(metrics["mean_recall"], baseline["mean_recall"])


def _prepared(experiment: Experiment, workspace: Path, folds: int | None) -> Any:
    if folds is not None and folds < 2:
        raise InputError("--folds needs 2 or more; leave it out for a single run")
    if folds is not None:
        from stemcls.training.folds import prepare_folds

        return prepare_folds(experiment, workspace, folds)
    from stemcls.training.train import prepare_run

    return prepare_run(experiment, workspace)


def _with_finetuning(experiment: Experiment) -> Experiment:
    """Turn the stage that trains the backbone on or off, as asked or as the device allows."""
    from stemcls.config.experiment import FINETUNE, with_finetuning
    from stemcls.models.precision import on_gpu

    wanted = experiment.finetune == "always" or (experiment.finetune == "auto" and on_gpu())
    found = with_finetuning(experiment, wanted and experiment.pretrained)
    left_out = any(
        stage.name == FINETUNE and not stage.epochs and stage.start != "random"
        for stage in found.stages
    )
    if experiment.finetune == "auto" and experiment.pretrained and left_out:
        say(
            "the backbone is left as it is: on a processor its training takes about 25 s per 1,000 "
            "crops and fold more; --finetune always trains it, and keeps what that gains"
        )
    return found


def _with_best_backbone(experiment: Experiment, workspace: Path) -> Experiment:
    """Rank the backbones whose weights are in the cache; take the fastest near the best."""
    from stemcls.interruption import interruptible
    from stemcls.probes.rank import candidates, fastest_of_the_best, rank
    from stemcls.store.verify import open_verified

    if experiment.model.weights != "imagenet":
        raise InputError(
            f"--backbone auto chooses among backbones whose ImageNet weights are in the cache, but "
            f"--weights is {experiment.model.weights}: leave it out, or name the backbone"
        )
    store = open_verified(Path(experiment.store))
    with progress("rank") as update, interruptible() as interruption:
        rows = list(rank(
            store, candidates(), experiment.split, experiment.seed, workspace, interruption, update
        ))
    chosen = fastest_of_the_best(rows)
    told = ", ".join(f"{row.name} {row.alpha:g}: {row.score:.3f}" for row in rows)
    say(f"backbone {chosen.name} {chosen.alpha:g}, the fastest near the best ({told})")
    model = replace(experiment.model, backbone=chosen.name, alpha=chosen.alpha)
    return replace(experiment, model=model)


def _few_groups(run: Any) -> str:
    from stemcls.evaluation.fewgroups import propose_folds
    from stemcls.evaluation.runfiles import open_split

    return propose_folds(*open_split(run))


def _resumed(resume: Path, workspace: Path) -> Any:
    from stemcls.runs import Run

    run = Run.open(resume, workspace)
    if run.is_study:
        raise InputError(f"{run.path} is a study: stemcls tune --resume {run.path}")
    if run.summary()["state"] in ("running", "stalled"):
        raise InputError(
            f"{run.path} is still running, or sleeps; two processes cannot train one run: stop "
            "the other first"
        )
    return run


def _backend_of(run: Any) -> str | None:
    for place in ("environment.json", "folds/fold-1/environment.json"):
        environment = run.read_json(place)
        if environment:
            return str(environment["backend"])
    return None
