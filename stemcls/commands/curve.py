"""`stemcls curve`: what more cells or more donors would be worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    config_options,
    print_json,
    print_table,
    progress,
    resolved,
    say,
)
from stemcls.config.probes import HEAD_FLAGS, CurveConfig
from stemcls.evaluation.numbertext import interval_text


@config_options(CurveConfig, skip=HEAD_FLAGS)
def curve(
    store: Annotated[Path, typer.Argument(help="Labelled crop store (.h5).")],
    given: dict[str, Any],
    out: Annotated[
        Path | None, typer.Option(help="New folder for curve.json and the figure.")
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Measure a learning curve by cells and by groups, and what twice as many would bring.

    A linear classifier is fitted to frozen features of ever larger parts of the training groups,
    and always scored on the same held-out ones.
    """
    from stemcls.atomic import check_new
    from stemcls.interruption import interruptible
    from stemcls.store.find import find_store
    from stemcls.store.verify import open_verified

    config = resolved(CurveConfig, given)
    opened = open_verified(find_store(store, workspace))
    if config.features == "backbone":
        from stemcls.models.backend import start_keras

        start_keras(backend, device)
    from stemcls.probes.learning import learning_curve, write_curve

    if out is not None:
        check_new(out)
    with progress("curve") as update, interruptible() as interruption:
        document, found = learning_curve(opened, config, workspace, interruption, update)
    files = write_curve(out, document, found) if out is not None else []
    document |= {"out": None if out is None else str(out), "files": [path.name for path in files]}
    for by, why in document["missing"].items():
        say(f"no curve by {by}: {why}")
    if json:
        print_json(document)
        return
    _show(document)
    if out is not None:
        say(f"figure and numbers: {out}")


def _show(document: dict[str, Any]) -> None:
    held = document["validation"]
    print_table(
        f"{document['metric']} on {held['cells']} held-out cells of {held['groups']} "
        f"{document['groups']}",
        ("drawn by", "cells", document["groups"], "score", "95 % interval"),
        (
            (point["by"], f"{point['cells']:.0f}", f"{point['groups']:.0f}", point["score"],
             interval_text(point["interval"]))
            for point in document["points"]
        ),
    )  # fmt: skip
    print_table(
        "at twice the size, by the fitted curve",
        ("doubled", "now", "then", "95 % interval", "ceiling", "95 % interval"),
        (
            (by, found["now"], found["value"], interval_text(found["interval"]),
             document["fit"][by]["ceiling"], interval_text(document["fit"][by]["ceiling_interval"]))
            for by, found in document["at_double"].items()
        ),
    )  # fmt: skip
    print(document["advice"])
