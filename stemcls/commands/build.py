"""`stemcls build`: images to a crop store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import (
    Json,
    Workspace,
    config_options,
    print_json,
    print_table,
    progress,
    resolved,
    say,
    say_skipped,
)
from stemcls.config.imaging import BuildConfig
from stemcls.errors import SkippedError


@config_options(BuildConfig)
def build(
    source: Annotated[
        Path,
        typer.Argument(metavar="SRC", help="Folder of images; its first level names the classes."),
    ],
    given: dict[str, Any],
    out: Annotated[
        Path | None,
        typer.Option(help="Crop store to make (default: datasets/NAME-OF-SRC.h5)."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Table (CSV, Excel) with path, label and optionally group, scene, time, z; other "
            "columns are kept as metadata."
        ),
    ] = None,
    cells: Annotated[
        Path | None,
        typer.Option(
            help="Table with known centres: field, x_px, y_px and optionally label, radius_px, "
            "group."
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0, max=4096,
            help="Processes that read images; 1: none beside this one, 0: one per core.",
        ),
    ] = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with exit code 3 if anything was skipped.")
    ] = False,
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Build a crop store from fields, ready-made crops, whole fields or known cells."""
    from stemcls.store.build import build_store

    config = resolved(BuildConfig, given)
    if out is None:
        name = source.resolve().stem if source.is_file() else source.resolve().name
        out = workspace / "datasets" / f"{name}.h5"
    with progress("build") as update:
        document = build_store(source, out, config, manifest, cells, update, say, workers)
    if json:
        print_json(document)
    else:
        _show(document)
    skipped = document["skipped"]
    if skipped and strict:
        raise SkippedError(
            f"{len(skipped)} of {document['images']} images were skipped, and --strict was asked "
            f"for; {out} holds the others"
        )


def _show(document: dict[str, Any]) -> None:
    classes = dict(document["classes"])
    if document["unlabelled"]:
        classes["(unlabelled)"] = document["unlabelled"]
    groups = document["groups"]
    height, width = document["size_px"]
    print_table(
        f"{document['store']}: {document['crops']} crops of {height}x{width} px from "
        f"{document['fields']} images, {groups['count']} {groups['what']}(s)",
        ("class", "crops"), classes.items(),
    )
    for reason, count in document["dropped"].items():
        say(f"{count} left out: {reason}")
    for warning in document["warnings"]:
        say(f"warning: {warning['warning']}")
    if document["duplicates"]:
        say(
            f"{document['duplicates']} images are copies of another one, byte for byte; a copy in "
            "training and one in test flatter every score"
        )
    say_skipped(document["skipped"])
