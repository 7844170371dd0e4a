"""`stemcls calibrate`: make a finished run's scores mean what they say, and let it abstain."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    print_json,
    print_table,
    progress,
    say,
)
from stemcls.evaluation.numbertext import interval_text


def calibrate(
    run: Annotated[Path, typer.Argument(help="A finished run, by folder or name.")],
    alpha: Annotated[
        float, typer.Option(
            min=0.001, max=0.999,
            help="Share of crops of each class whose set of classes may miss the truth.",
        ),
    ] = 0.1,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Fit temperature, sets of classes and novelty on the validation groups of a run.

    The calibrated model is saved in the run's calibrated/ folder, as plain Keras; the run's own
    model stays as it is.
    """
    from stemcls.models.backend import start_keras
    from stemcls.runs import Run

    opened = Run.open(run, workspace)
    start_keras(backend, device)
    from stemcls.evaluation.calibration.calibrate import FOLDER, calibrate_run

    with progress("calibrate") as update:
        document = calibrate_run(opened, alpha, update)
    folder = opened.path / FOLDER
    if json:
        print_json({**document, "model": str(folder / "model.keras")})
        return
    _print(document)
    say(f"calibrated model, numbers and figure: {folder}")
    say(f"next: stemcls predict {folder / 'model.keras'} FIELDS")


def _print(document: dict[str, Any]) -> None:
    from stemcls.evaluation.calibration.caveats import caveats

    found = document["temperature"]
    ends = f" ({interval_text(found['ci'], '.2f')})" if found["ci"] else ""
    say(
        f"temperature {found['value']:.3f}{ends}, from {found['n']} validation crops of "
        f"{found['n_groups']} groups"
    )
    test = document["test"]
    if test is None:
        say("no test split: nothing says how well the calibration holds")
    else:
        rows = [
            [name, *(cell for when in ("before", "after")
                     for cell in (test[when][key], interval_text(test[when][f"{key}_ci"])))]
            for key, name in (("ece", "ECE"), ("brier", "Brier score"), ("log_loss", "log loss"))
        ]
        print_table(
            f"calibration on {test['before']['n']} test crops",
            ("", "before", "95 % interval", "after", "95 % interval"), rows,
        )
    _print_sets(document)
    for caveat in caveats(document):
        say(f"warning: {caveat}")
    if test is not None:
        say(f"{test['novel']:.1%} of test crops look unlike the training crops (5 % expected)")


def _print_sets(document: dict[str, Any]) -> None:
    test = document["test"]
    coverage = test["sets"]["coverage_of_class"] if test else {}
    rows = []
    for row in document["sets"]:
        covered = coverage.get(row["name"], math.nan)
        rows.append([
            row["name"], row["n_groups"], row["least"], row["by_crop"],
            "-" if covered != covered else f"{covered:.1%}",
        ])
    print_table(
        f"a class joins the set from this probability on (promised: {1 - document['alpha']:.0%})",
        ("class", "groups", "new groups", "new cells of known groups", "truth in set, test"),
        rows,
    )
