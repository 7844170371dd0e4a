"""`stemcls explain`: which pixels of a crop a finished run looks at."""

from pathlib import Path
from typing import Annotated

import typer

from stemcls.commands.terminal import Backend, Device, Json, Workspace, print_json, say


def explain(
    run: Annotated[Path, typer.Argument(help="A finished run, by folder or name.")],
    store: Annotated[
        Path | None, typer.Argument(help="Another store (default: the run's test split).")
    ] = None,
    method: Annotated[str, typer.Option(help="Saliency method.")] = "gradcam",
    layer: Annotated[
        str | None, typer.Option(help="Layer to look at (default: the deepest that says where).")
    ] = None,
    rows: Annotated[
        str | None, typer.Option(help="Store rows, such as 3,17,20 (default: telling ones).")
    ] = None,
    per_class: Annotated[int, typer.Option(min=1, help="Sure hits per class without --rows.")] = 3,
    out: Annotated[
        Path | None, typer.Option(help="Folder (default: explanations/ in the run).")
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Draw heat maps of what the model looks at, with each crop's normalised pixel score."""
    from stemcls.errors import InputError
    from stemcls.models.backend import choose_backend, load_keras
    from stemcls.runs import Run

    try:
        chosen = [int(row) for row in rows.split(",")] if rows else None
    except ValueError:
        raise InputError(f"--rows takes numbers with commas between, found {rows!r}") from None
    opened = Run.open(run, workspace)
    choose_backend(backend, device)
    load_keras()
    from stemcls.explain.examples import explain_run

    document = explain_run(
        opened, store, method=method, layer=layer, rows=chosen, per_class=per_class, out=out
    )
    if json:
        print_json(document)
        return
    for file in document["files"]:
        print(file)
    say(
        f"{len(document['rows'])} crops by {method} at layer {document['layer']}; "
        f"mean pixel score {document['pixel_score']:.3f}"
    )
