"""`stemcls export`: a finished run in the format of another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stemcls.commands.terminal import Backend, Json, Workspace, print_json, progress, say


def export(
    run: Annotated[Path, typer.Argument(help="A finished run, by folder or name.")],
    to: Annotated[
        str, typer.Option(help="onnx, saved_model (TensorFlow), litert, or bioimageio.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="New folder (default: exports/FORMAT in the run).")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Whose crops to compare with (default: the run's own store)."),
    ] = None,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="Export the model of `stemcls calibrate`.")
    ] = False,
    author: Annotated[
        list[str] | None, typer.Option(help="Who made it, for the card; may be repeated.")
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", "--license", help="SPDX name, as in CC-BY-4.0.")
    ] = "",
    use: Annotated[str, typer.Option(help="What it is meant for, a sentence for the card.")] = "",
    backend: Backend = None,
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Export a run to another format, with a model card; compared with the run before it is done.

    Needs the extra `export`: pip install 'stemcls[export]'.
    """
    from stemcls.export.targets import check_packages, target_named
    from stemcls.models.backend import choose_backend, load_keras
    from stemcls.runs import Run
    from stemcls.store.find import find_store

    target = target_named(to)
    opened = Run.open(run, workspace)
    store = None if store is None else find_store(store, workspace)
    check_packages(target, choose_backend(backend))
    load_keras()
    from stemcls.export.card import Credits
    from stemcls.export.export import export_run

    credits = Credits(tuple(author or ()), licence, use)
    with progress("export") as update:
        document = export_run(opened, target, out, store, calibrated, credits, update)
    if json:
        print_json(document)
        return
    print(document["out"])
    say(
        f"{document['n']} {document['side']} crops: no probability differs from the run's by more "
        f"than {document['largest_difference']:.1g} (limit {document['tolerance']:g})"
    )
    if to == "bioimageio":
        say(
            f"passed the test of {document['tested_by']}" if document["tested_by"] else
            "not tested by bioimageio.core, which is not installed; docs/export.md says how"
        )
    say(f"model card: {document['card']}")
