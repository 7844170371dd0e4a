"""`stemcls populations`: what an unlabelled sample is made of, as a finished model sees it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemcls.commands.morphometry import show_summary
from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    numbers_of,
    print_json,
    print_table,
    progress,
    say,
    say_warnings,
)
from stemcls.evaluation.numbertext import interval_text

if TYPE_CHECKING:
    from stemcls.evaluation.populations import Population


def populations(
    model: Annotated[Path, typer.Argument(help="A finished run, or a .keras file it saved.")],
    store: Annotated[Path, typer.Argument(help="Crop store of the sample; labels play no part.")],
    cut: Annotated[
        list[str] | None, typer.Option(
            metavar="SCORE",
            help="Least prediction score (default: 0.34,0.5,0.7,0.9). Several: with commas "
            "between, or repeated.",
        ),
    ] = None,
    top: Annotated[
        float,
        typer.Option(
            min=0.001, max=100.0, help="Percent of cells in the gate of each channel's brightest."
        ),
    ] = 5.0,
    test: Annotated[
        str, typer.Option(help="t test of every two predicted classes: welch or student.")
    ] = "welch",
    views: Annotated[
        int | None,
        typer.Option(
            min=1, max=8, help="Flips and turns averaged (default: as the run was scored)."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for cells.csv, figures and populations.json."),
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Predict a sample: its composition, what score cuts keep, intensity per predicted class.

    Intervals resample donors. A gate holds the brightest cells of a channel, and says which classes
    they were given.
    """
    from stemcls.atomic import check_free
    from stemcls.errors import check_known
    from stemcls.evaluation.metrics import SCORE_CUTS
    from stemcls.evaluation.statistics import TESTS
    from stemcls.models.backend import start_keras
    from stemcls.store.find import find_store

    check_known(test, TESTS, f"--test {test!r} is not a choice")
    store = find_store(store, workspace)
    if out is not None:
        check_free(out)
    start_keras(backend, device)
    import numpy as np

    from stemcls.evaluation.populations import describe_population
    from stemcls.evaluation.runfiles import model_named
    from stemcls.models.inference import predict
    from stemcls.models.saved import load_model
    from stemcls.models.storecheck import fit_store
    from stemcls.store.verify import open_verified

    network, card = load_model(model_named(model, workspace))
    opened = open_verified(store)
    read, notices = fit_store(card, opened)
    with progress("predict") as update:
        probabilities = predict(
            network, read, np.arange(len(opened)),
            views=card.views if views is None else views, update=update,
        )
    found = describe_population(
        opened, probabilities, card.classes, top_percent=top, test=test,
        cuts=sorted(numbers_of(cut or (), float, "--cut", 0.0, 1.0) or SCORE_CUTS),
    )
    files = found.write(out) if out is not None else []
    document = {**found.to_document(), "files": [str(file) for file in files]}
    measured = [{"kind": "measures", "message": said, "paths": []} for said in document["warnings"]]
    document["warnings"] = [*(notice.document() for notice in notices), *measured]
    if json:
        print_json(document)
        return
    _print(found, document)
    say_warnings(document["warnings"])
    if out is not None:
        say(f"table, figures and numbers: {out}")


def _print(found: Population, document: dict[str, Any]) -> None:
    from stemcls.evaluation.boxplots import anova_text

    rows = [
        [name, row["n"], f"{row['share']:.1%}", interval_text(row["share_ci"], ".1%")]
        for name, row in document["composition"].items()
    ]
    print_table(
        f"{document['n']} cells ({found.said_of_intervals})",
        ("class", "cells", "share", "95 % interval"), rows,
    )
    print_table(
        "where only surer predictions count",
        ("score from", "kept", "lost", *(f"share of {name}" for name in found.classes)),
        (
            [f"{cut['cut']:g}", cut["kept"], cut["lost"],
             *(f"{row['share']:.1%}" if cut["kept"] else "-"
               for row in cut["composition"].values())]
            for cut in document["cuts"]
        ),
    )
    if found.measures is None:
        say(f"no diameters or intensities: {found.why_not}")
        return
    for result in found.measures.results:
        show_summary(result)
        say(f"one-way ANOVA, {anova_text(result.units)}; {anova_text(result.cells)}")
    say("every two classes, effect sizes and quartiles: --json, or morphometry/ in --out")
    for gate in document["gates"]:
        shares = ", ".join(
            f"{name} {row['share']:.1%} (rest: {gate['outside'][name]['share']:.1%})"
            for name, row in gate["composition"].items()
        )
        say(
            f"top {gate['top_percent']:g} % of {gate['measure']}, from {gate['threshold']:.4g} on: "
            f"{gate['n']} cells; {shares}"
        )
