"""`stemcls evaluate`: score a finished run on its test split or on another store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    print_json,
    print_metrics,
    print_verdict,
    progress,
    say,
    say_warnings,
)
from stemcls.errors import InputError

if TYPE_CHECKING:
    from stemcls.evaluation.evaluation import Evaluation
    from stemcls.runs import Run
    from stemcls.store.cropstore import CropStore


def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run, by folder or name.")],
    store: Annotated[
        Path | None, typer.Argument(help="Another labelled store (default: its test split).")
    ] = None,
    label_map: Annotated[
        Path | None, typer.Option(
            help="TOML file of lines \"name in the store\" = \"class of the model\", or a table "
            "with columns label and class; an empty class leaves the label out."
        ),
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(min=1, max=8, help="Flips and turns averaged (default: the run's)."),
    ] = None,
    calibrated: Annotated[
        bool, typer.Option(
            "--calibrated", help="Take the model of `stemcls calibrate`, and say when it abstains."
        ),
    ] = False,
    consistency: Annotated[
        bool, typer.Option(
            "--consistency", help="Labels come from sorting: call scores consistency rates."
        ),
    ] = False,
    figures: Annotated[
        bool, typer.Option(help="Draw all figures, contact sheets and doubtful labels too.")
    ] = True,
    report: Annotated[
        bool, typer.Option("--report", help="Then write the run's report, as `stemcls report`.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for numbers and figures (default: in the run's evaluation/)."),
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Score a finished run: metrics with intervals, figures, every prediction.

    Labels of another store are matched with the run's classes by name; internal and external
    results are shown together. A cross-validation is scored by what its folds predicted.
    """
    from stemcls.runs import Run
    from stemcls.store.find import find_store

    opened = Run.open(run, workspace)
    store = None if store is None else find_store(store, workspace)
    if store is None and opened.folds():
        if views is not None or calibrated or label_map is not None:
            raise InputError(
                "a cross-validation is scored by the predictions that its folds kept; --views, "
                "--calibrated and --label-map are for single runs"
            )
        from stemcls.training.score import score_folds

        evaluation, folder = score_folds(opened, out=out, consistency=consistency)
    else:
        from stemcls.models.backend import start_keras

        start_keras(backend, device, shares_batches=True)
        from stemcls.training.score import score_run

        with progress("evaluate") as update:
            evaluation, folder = score_run(
                opened, store, views=views, out=out, label_map=label_map, calibrated=calibrated,
                consistency=consistency, update=update,
            )
    from stemcls.evaluation.report.summary import verdict_on

    scored, by = _scored(opened, store)
    if figures and scored is not None:
        _draw(scored, by, evaluation, folder)
    lines = verdict_on(opened, evaluation, scored, by)
    document = {
        **evaluation.to_document(), "out": str(folder), "verdict": [asdict(one) for one in lines],
        "warnings": evaluation.metrics.get("warnings", []),
    }
    if report:
        from stemcls.evaluation.report.write import write_report

        document["report"] = str(write_report(opened, consistency=consistency))
    if json:
        print_json(document)
        return
    metrics = evaluation.metrics
    print_verdict(lines)
    print_metrics(opened.name, metrics, beside=metrics.get("internal"))
    say_warnings(document["warnings"])
    _say_matching(metrics)
    if "abstention" in metrics:
        _say_abstention(metrics["abstention"])
    say(f"numbers and figures: {folder}")
    if report:
        say(f"report: {document['report']}")


def _scored(run: Run, store: Path | None) -> tuple[CropStore | None, str]:
    """Return the store whose crops were scored, and what its groups are; None where it is gone."""
    from stemcls.evaluation.runfiles import read_split, store_of
    from stemcls.store.verify import open_verified

    if store is not None:
        return open_verified(store), "group"
    part = (run.folds() or [run])[0]
    split = read_split(part)
    try:
        return store_of(part, split), split.by
    except InputError as error:  # folds are scored by what they kept
        say(f"warning: no figures of cells: {error}")
        return None, split.by


def _draw(scored: CropStore, by: str, evaluation: Evaluation, folder: Path) -> None:
    from stemcls.evaluation.details import write_details

    with progress("figures") as update:
        write_details(folder, evaluation, scored, by, update)


def _say_matching(metrics: dict[str, Any]) -> None:
    if metrics.get("own_store"):
        say(
            "warning: this is the store that the run comes from, so most of these crops were "
            "learned from and the scores are no external test; without STORE its test split is "
            "scored"
        )
    for reason, n in metrics.get("left_out", {}).items():
        say(f"left out: {n} crops, {reason}")
    missing = metrics.get("missing_classes")
    if missing:
        say(
            f"no crops of {', '.join(missing)}: averages are over the other classes, and so are "
            "the internal results beside them"
        )
    if metrics["ci_note"]:
        say(f"note: {metrics['ci_note']}")


def _say_abstention(found: dict[str, Any]) -> None:
    sets = found["sets"]
    right = f" (right in {sets['right_of_one']:.1%})" if sets["one"] else ""
    say(
        f"sets of classes hold the truth in {sets['coverage']:.1%} of crops and name one class in "
        f"{sets['one']:.1%}{right}; {found['novel']:.1%} of crops look unlike the training crops "
        "(5 % are expected)"
    )
