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
from stemcls.evaluation.numbertext import interval_text

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
    channels: Annotated[
        str,
        typer.Option(
            help="Names or numbers (from 1) of the files' channels, in the order of those of "
            "training (default: matched by name).",
        ),
    ] = "",
    group: Annotated[
        str,
        typer.Option(
            help="Regular expression on paths whose first group, in parentheses, names the donor, "
            "mouse or experiment: for the summary (default: each file is one)."
        ),
    ] = "",
    table: Annotated[
        str, typer.Option(help="csv, or xlsx: an Excel workbook (default: by the suffix of --out).")
    ] = "",
    separator: Annotated[
        str, typer.Option(help="Between cells of CSV: , or ; or tab (default: , or with decimal "
                          "commas ;).")
    ] = "",
    decimal: Annotated[str, typer.Option(help="In numbers of CSV: . or ,")] = ".",
    bom: Annotated[
        bool, typer.Option(help="Begin CSV with a byte order mark, by which Excel knows UTF-8.")
    ] = False,
    strict: Annotated[bool, typer.Option(help="Exit with 3 if a file was skipped.")] = False,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Classify every cell of new images: one CSV row per cell, one overlay per field.

    Cells are found, cut and scaled as the model's training store was; detection options given
    here are laid over those. Files are compared with the images of training: what can be converted
    is, and is said; what cannot is skipped; what is unusual stands in the column notes. A summary
    per field, well, group and class is written beside the table.
    """
    from stemcls.prediction.tableformat import TableFormat

    form = TableFormat.of(table, separator, decimal, bom, out)
    out = form.named(out)
    from stemcls.models.backend import start_keras

    start_keras(backend, device, shares_batches=True)
    from stemcls.evaluation.runfiles import model_named
    from stemcls.imaging.listing.litter import OVERLAYS
    from stemcls.models.saved import load_model
    from stemcls.prediction.familiarity import Familiarity
    from stemcls.prediction.inputs import KINDS, expand, reading_of, recipe_of
    from stemcls.prediction.predict import predict_table
    from stemcls.store.find import find_input

    check_known(kind, KINDS, f"--kind {kind!r} is not a choice")
    file = model_named(model, workspace)
    network, card = load_model(file)
    read = reading_of(card, scene, time, z)
    patterns = one_file_per_channel or recipe_of(card).files.one_file_per_channel
    found = [find_input(path, workspace) for path in paths]
    given_files = expand(found, read, exclude or (), patterns)
    files: list[Path | Position] = [*given_files.names, *given_files.stores]
    built = card.build.get("detect", {})
    detection = resolved(DetectConfig, given, built) if given else None
    with progress("predict") as update:
        done = predict_table(
            network, card, files, out, detection=detection, kind=kind, update=update,
            pixel_size_um=pixel_size_um, read=read, channels=channels, group=group, form=form,
            novelty=Familiarity.beside(network, file),
            views=card.views if views is None else views,
            overlays=out.with_name(out.stem + OVERLAYS) if overlay else None,
        )
    skipped = [*given_files.skipped, *done.skipped]
    document: dict[str, Any] = {
        "rows": done.rows,
        "composition": done.composition,
        "out": str(done.out),
        "summary": done.summary,
        "skipped": skipped,
        "ignored": given_files.ignored,
        "overlays": done.overlays,
        "dropped": done.dropped,
        "warnings": [
            notice.document() for notice in (*given_files.notices, *done.warnings)
        ],
    }
    if json:
        print_json(document)
    else:
        rows = [
            [row["class"], row["n"], "-" if row["share"] is None else f"{row['share']:.1%}",
             interval_text(_ends(row), ".1%")]
            for row in done.summary if row["level"] == "class"
        ]
        lost = sum(done.dropped.values())
        left_out = f" ({lost} more were left out)" if lost else ""
        why = next((row["interval"] for row in done.summary if row["level"] == "class"), "")
        print_table(
            f"{done.rows} cells{left_out}", ("class", "cells", "share", "95 % interval"), rows
        )
        say(f"shares: {why}" + ("" if group else "; without --group every file counts as a group"))
        say(f"table: {done.out}" + (f"; overlays: {len(done.overlays)}" if overlay else ""))
        for reason, count in done.dropped.items():
            say(f"{count} left out: {reason}")
        say_warnings(document["warnings"], len(files))
        say_ignored(given_files.ignored)
        say_skipped(skipped)
    if strict and skipped:
        total = len(files) + len(given_files.skipped)
        raise SkippedError(f"{len(skipped)} of {total} files were skipped")


def _ends(row: dict[str, Any]) -> tuple[float, float] | None:
    """Return the interval of a share, None where there is none."""
    return None if row["share_low"] is None else (row["share_low"], row["share_high"])
