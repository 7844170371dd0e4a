"""`stemcls adapt`: a finished model for a new site, with few labels."""

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
from stemcls.config.adapt import AdaptConfig
from stemcls.errors import InputError
from stemcls.evaluation.numbertext import with_interval


@config_options(AdaptConfig)
def adapt(
    given: dict[str, Any],
    run: Annotated[
        Path | None, typer.Argument(help="The finished run whose model is adapted.")
    ] = None,
    store: Annotated[
        Path | None, typer.Argument(help="Labelled crops of the new site (.h5).")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="ADAPTED", help="Go on with an interrupted adaptation.")
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Fine-tune a finished model on few labelled crops of a new site, and say if that helped.

    Compared with the model as it came and with training from scratch, on groups of the new site
    that no model has seen. The adapted model is a new run.
    """
    from stemcls.models.backend import start_keras
    from stemcls.runs import Run
    from stemcls.store.find import find_store

    if resume is None and (run is None or store is None):
        raise InputError("adapt needs both: stemcls adapt RUN STORE")
    if resume is not None and (run is not None or given):
        raise InputError("--resume repeats the adaptation's own settings; give no others")
    name = start_keras(backend, device)
    from stemcls.training.adapt import Adaptation, adapt, prepare_adaptation

    if resume is not None:
        adapted = Adaptation(Run.open(resume, workspace))
    else:
        assert run is not None
        assert store is not None
        adapted = prepare_adaptation(
            Run.open(run, workspace), find_store(store, workspace),
            resolved(AdaptConfig, given), workspace,
        )
    for note in adapted.plan["notes"]:
        say(f"note: {note}")
    say(f"run {adapted.run.path} on {name}")
    try:
        with progress("adapt") as update:
            document = adapt(adapted, update)
    except BaseException:
        say(f"go on with: stemcls adapt --resume {adapted.run.path}")
        raise
    if json:
        print_json(document)
        return
    _show(document)


def _show(document: dict[str, Any]) -> None:
    metric, test = document["metric"], document["test"]
    print_table(
        f"{metric.replace('_', ' ')} on {test['crops']} crops of {test['groups']} groups of the "
        "new site",
        ("labels a class", "adapted", "from scratch", "unadapted"),
        (
            (point["labels"], _scored(point["adapted"], metric), _scored(point["scratch"], metric),
             _scored(document["unadapted"], metric))
            for point in document["points"]
        ),
    )
    for point in document["points"]:
        for key in ("against_unadapted", "against_scratch"):
            print(f"{point['labels']} labels a class: {point[key]['why']}")
    say(f"verdict on the adapted model: {document['verdict'].upper()}")
    say(
        "intervals are paired over the groups that test; they do not hold the chance of which "
        "crops were labelled"
    )
    say(f"adapted model: {document['run']}")
    say(f"next: stemcls evaluate {document['run']}   or   stemcls predict {document['run']} FIELDS")


def _scored(metrics: dict[str, Any], key: str) -> str:
    return with_interval(metrics[key], metrics.get(f"{key}_ci"))
