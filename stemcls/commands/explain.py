"""`stemcls explain`: which pixels of a crop a model looks at."""

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
from stemcls.config.explain import ExplainConfig
from stemcls.evaluation.saliency import BACKGROUND


@config_options(ExplainConfig)
def explain(
    given: dict[str, Any],
    run: Annotated[
        Path | None, typer.Argument(help="A finished run, by folder or name, or a .keras file.")
    ] = None,
    store: Annotated[
        Path | None, typer.Argument(help="Another store (default: the run's test split).")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Say whether each method passes sanity checks on this model."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="New folder (default: explanations/ in the run).")
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Show what a model looks at: heat maps by several methods, pixel scores, a gallery.

    Without --rows: the surest and least sure cells of each entry of the confusion matrix.
    """
    from stemcls.errors import InputError
    from stemcls.models.backend import start_keras
    from stemcls.runs import Run
    from stemcls.store.find import find_store

    config = resolved(ExplainConfig, given)
    if config.methods == ("list",):
        start_keras(backend, device)
        _list_methods(json)
        return
    if run is None:
        raise InputError("name a finished run, or a .keras file and a store; `stemcls runs` lists")
    opened = None if run.suffix == ".keras" else Run.open(run, workspace)
    store = None if store is None else find_store(store, workspace)
    start_keras(backend, device)
    from stemcls.explain.report import explain_subject
    from stemcls.explain.subject import open_model, open_run

    subject = open_model(run, store) if opened is None else open_run(opened, store)
    with progress("explain") as update:
        document = explain_subject(subject, config, out=out, check=check, update=update)
    if json:
        print_json(document)
        return
    for file in document["files"]:
        print(file)
    _tell(document)


def _list_methods(json: bool) -> None:
    from stemcls.explain.methods import METHODS

    if json:
        print_json([
            {"method": row.name, "summary": row.summary, "source": row.source,
             "class_aware": row.class_aware}
            for row in METHODS.values()
        ])
        return
    print_table(
        "methods", ("method", "what it shows", "source"),
        ((row.name, row.summary, row.source) for row in METHODS.values()),
    )


def _tell(document: dict[str, Any]) -> None:
    for row in document["methods"]:
        at = f" at layer {row['layer']}" if row["layer"] else ""
        say(f"{row['method']}{at}: mean pixel score {row['pixel_score']:.3f}")
        warn = "warning: " if row["looks_at"] == BACKGROUND else "  "
        say(f"{warn}{row['conclusion']}")
        for hit in row["hits"]:
            if hit["p"] is not None:
                say(
                    f"  {hit['class']}: median {hit['median_tp']:.3f} of {hit['n_tp']} true "
                    f"positives, {hit['median_tn']:.3f} of {hit['n_tn']} true negatives, "
                    f"p = {hit['p']:.2g} (cells)"
                )
        for key, value in row["report"].items():
            say(f"  {key.replace('_', ' ')}: {_short(value)}")
        if row["check"]:
            say(f"  {row['check']['verdict']}")
    say(f"gallery: {document['gallery']}; arrays: {document['arrays']}")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
