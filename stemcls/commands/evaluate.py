"""`stemcls evaluate`: score a finished run on its test split or on another store."""

from pathlib import Path
from typing import Annotated

import typer

from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    print_json,
    print_metrics,
    progress,
    say,
)


def evaluate(
    run: Annotated[Path, typer.Argument(help="A finished run, by folder or name.")],
    store: Annotated[
        Path | None, typer.Argument(help="Another labelled store (default: its test split).")
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(help="Flips and turns averaged (default: the run's)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for numbers and figures (default: in the run's evaluation/)."),
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Score a finished run: metrics with intervals, confusion matrix, ROC, every prediction."""
    from stemcls.models.backend import choose_backend, load_keras
    from stemcls.runs import Run

    opened = Run.open(run, workspace)
    choose_backend(backend, device, shares_batches=True)
    load_keras(device)
    from stemcls.training.score import score_run

    with progress("evaluate") as update:
        evaluation, folder = score_run(opened, store, views=views, out=out, update=update)
    document = evaluation.to_document()
    if json:
        print_json({**document, "out": str(folder)})
        return
    print_metrics(opened.name, evaluation.metrics)
    say(f"numbers and figures: {folder}")
