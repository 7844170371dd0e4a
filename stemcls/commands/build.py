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
    say_ignored,
    say_skipped,
    say_warnings,
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
            help="Known cells: table of field, x_px, y_px and optionally label, radius_px, group; "
            "or outlines of ImageJ (.zip), QuPath (.geojson), label images (.tif), or a folder of "
            "them."
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0, max=4096,
            help="Processes that read images; 1: none beside this one, 0: one per core.",
            rich_help_panel="Running",
        ),
    ] = 0,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Build all the same where most images are skipped, files give the classes away, "
            "or crops cut the cells.",
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict", help="End with exit code 3 if anything was skipped.",
            rich_help_panel="Running",
        ),
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
    said: list[str] = []

    def tell(sentence: str) -> None:
        said.append(sentence)
        say(sentence)

    with progress("build") as update:
        document = build_store(
            source, out, config, manifest, cells, update, tell, workers, force, look=True
        )
    if json:
        print_json(document)
    else:
        _show(document, said)
    skipped = document["skipped"]
    if skipped and strict:
        raise SkippedError(
            f"{len(skipped)} of {document['fields'] + len(skipped)} images were skipped, and "
            f"--strict was asked for; {out} holds the others"
        )


def _show(document: dict[str, Any], said: list[str]) -> None:
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
    if document["diameter_px"]:
        size_um = f" ({document['diameter_um']:.3g} um)" if document["diameter_um"] else ""
        say(f"cells are {document['diameter_px']:.0f} px{size_um}, crops {document['crop_px']} px")
    if document["at_border"]:
        say(
            f"{document['at_border']} crops reach over the edge of their field: filled by "
            "reflection and flagged (--edge drop leaves them out)"
        )
    for reason, count in document["dropped"].items():
        say(f"{count} left out: {reason}")
    begun = "\n".join(said)  # what was said before the build began is not said again
    new = [entry for entry in document["warnings"] if entry["message"] not in begun]
    say_warnings(new, document["images"])
    say_ignored(document["ignored"])
    say_skipped(document["skipped"])
    if document["look"]:
        say(f"look at what is in it: {document['look']}")
