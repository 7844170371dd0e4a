"""`stemcls ensemble`: several finished runs as one saved model."""

from __future__ import annotations

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
    print_table,
    progress,
    say,
)
from stemcls.errors import InputError


def ensemble(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Finished runs, by folder or name; a cross-validation: its folds."),
    ],
    out: Annotated[str, typer.Option(metavar="NAME", help="Name of the new run.")],
    weights: Annotated[
        str | None,
        typer.Option(
            help="As 0.5,0.3,0.2; or validation: those with the least log loss on the validation "
            "crops (default: all the same)."
        ),
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Average the probabilities of finished runs, or of the folds of one, in one saved model.

    It is scored on the test split that all members share; folds of a cross-validation have none.
    """
    from stemcls.models.backend import start_keras
    from stemcls.runs import Run

    shares = _weights(weights)
    opened = [Run.open(run, workspace) for run in runs]
    start_keras(backend, device)
    from stemcls.training.ensemble import load_members, make_ensemble

    with progress("ensemble") as update:
        run, document = make_ensemble(load_members(opened), workspace, out, shares, update)
    if json:
        print_json({"run": str(run.path), **document})
        return
    losses = document.get("validation_log_loss", {})
    rows = [
        [name, weight, losses.get(name, "-")]
        for name, weight in zip(document["members"], document["weights"], strict=True)
    ]
    print_table(run.name, ("member", "weight", "log loss on validation crops"), rows)
    if document["metrics"]:
        print_metrics(run.name, document["metrics"])
    else:
        say(f"not scored: {document['note']}; stemcls evaluate {run.path} STORE takes another one")
    say(f"model: {run.model_path}")


def _weights(text: str | None) -> list[float] | str | None:
    if text is None or text == "validation":
        return text
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise InputError(
            f"--weights takes numbers with commas between, or validation; found {text!r}"
        ) from None
