"""`stemcls embed`: crops laid out in two dimensions, before and after training."""

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
from stemcls.config.probes import EmbedConfig
from stemcls.evaluation.numbertext import interval_text


@config_options(EmbedConfig)
def embed(
    run: Annotated[Path, typer.Argument(help="A finished run, by folder or name.")],
    given: dict[str, Any],
    store: Annotated[
        Path | None, typer.Argument(help="Another labelled store (default: its test split).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder (default: evaluation/embedding in the run).")
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Embed crops by raw pixels, pooled features and dense layers, before and after training.

    Writes an interactive page that needs no network, figures, coordinates and how well the classes
    separate.
    """
    from stemcls.interruption import interruptible
    from stemcls.models.backend import start_keras
    from stemcls.runs import Run
    from stemcls.store.find import find_store

    config = resolved(EmbedConfig, given)
    opened = Run.open(run, workspace)
    path = None if store is None else find_store(store, workspace)
    start_keras(backend, device)
    from stemcls.probes.embed import embed_run

    with progress("embed") as update, interruptible() as interruption:
        document = embed_run(opened, path, config, out, interruption, update)
    for stage, why in document["missing"].items():
        say(f"nothing from {stage} training: {why}")
    if json:
        print_json(document)
        return
    print_table(
        f"how well {len(document['classes'])} classes separate, {document['n']} crops of the "
        f"{document['part']}",
        ("space", "silhouette", "95 %", "purity", "95 %", "among other groups"),
        (
            (space["title"], space["silhouette"], interval_text(space["silhouette_ci"]),
             space["purity"], interval_text(space["purity_ci"]),
             "-" if space["purity_other_groups"] is None else space["purity_other_groups"])
            for space in document["spaces"]
        ),
    )  # fmt: skip
    say(f"page and figures: {document['out']}")
