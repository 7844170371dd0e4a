"""`stemcls predict`: a finished model on new fields, crops or stores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    say_ignored,
    say_skipped,
    say_warnings,
)
from stemcls.config.imaging import DetectConfig
from stemcls.errors import SkippedError, check_known

if TYPE_CHECKING:
    from stemcls.imaging.listing.positions import Position


@config_options(DetectConfig)
def predict(
    given: dict[str, Any],
    model: Annotated[Path, typer.Argument(help="A finished run, or a .keras file it saved.")],
    paths: Annotated[list[Path], typer.Argument(help="Fields, crops, folders of them, or stores.")],
    out: Annotated[
        Path, typer.Option(help="Table to write, one row per cell.")
    ] = Path("cells.csv"),
    overlay: Annotated[
        bool, typer.Option(help="Draw every field with its classed cells, beside the table.")
    ] = True,
    kind: Annotated[
        str, typer.Option(help="What an image is: cells to find, crops, or auto.")
    ] = "auto",
    pixel_size_um: Annotated[
        float,
        typer.Option(
            min=0.0, max=1000.0, help="Edge of a pixel, micrometres, where files do not say."
        ),
    ] = 0.0,
    views: Annotated[
        int | None,
        typer.Option(
            min=1, max=8, help="Flips and turns averaged (default: as the run was scored)."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="Leave out files and folders of this name, as in build; repeatable."),
    ] = None,
    scene: Annotated[
        str, typer.Option(help="Positions of files: all (the default), names or numbers.")
    ] = "",
    time: Annotated[
        str, typer.Option(help="Time points of files: all, or numbers (default: as trained).")
    ] = "",
    z: Annotated[
        str, typer.Option(help="Focal plane: a number, max or mean (default: as trained).")
    ] = "",
    one_file_per_channel: Annotated[
        str, typer.Option(help="Samples of several files: auto, no, or a pattern, as in build.")
    ] = "",
    strict: Annotated[bool, typer.Option(help="Exit with 3 if a file was skipped.")] = False,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Classify every cell of new images: one CSV row per cell, one overlay per field.

    Cells are found, cut and scaled as the model's training store was; detection options given
    here are laid over those.
    """
    from stemcls.models.backend import start_keras

    start_keras(backend, device, shares_batches=True)
    from stemcls.evaluation.runfiles import model_named
    from stemcls.imaging.listing.litter import OVERLAYS
    from stemcls.models.saved import load_model
    from stemcls.prediction.inputs import KINDS, expand, reading_of, recipe_of
    from stemcls.prediction.predict import predict_table
    from stemcls.store.find import find_input

    check_known(kind, KINDS, f"--kind {kind!r} is not a choice")
    network, card = load_model(model_named(model, workspace))
    read = reading_of(card, scene, time, z)
    channels = one_file_per_channel or recipe_of(card).files.one_file_per_channel
    paths = [find_input(path, workspace) for path in paths]
    given_files = expand(paths, read, exclude or (), channels)
    files: list[Path | Position] = [*given_files.names, *given_files.stores]
    built = card.build.get("detect", {})
    detection = resolved(DetectConfig, given, built) if given else None
    with progress("predict") as update:
        table = predict_table(
            network, card, files, out, detection=detection, kind=kind, update=update,
            pixel_size_um=pixel_size_um, read=read,
            views=card.views if views is None else views,
            overlays=out.with_name(out.stem + OVERLAYS) if overlay else None,
        )
    skipped = [*given_files.skipped, *table.skipped]
    document: dict[str, Any] = {
        "rows": table.rows,
        "composition": table.composition,
        "out": str(table.out),
        "skipped": skipped,
        "ignored": given_files.ignored,
        "overlays": table.overlays,
        "dropped": table.dropped,
        "warnings": [
            notice.document() for notice in (*given_files.notices, *table.warnings)
        ],
    }
    if json:
        print_json(document)
    else:
        total = max(table.rows, 1)
        rows = [[name, n, f"{n / total:.1%}"] for name, n in table.composition.items()]
        print_table(f"{table.rows} cells", ("class", "cells", "share"), rows)
        say(f"table: {table.out}" + (f"; overlays: {len(table.overlays)}" if overlay else ""))
        for reason, count in table.dropped.items():
            say(f"{count} left out: {reason}")
        say_warnings(document["warnings"], len(files))
        say_ignored(given_files.ignored)
        say_skipped(skipped)
    if strict and skipped:
        total = len(files) + len(given_files.skipped)
        raise SkippedError(f"{len(skipped)} of {total} files were skipped")
