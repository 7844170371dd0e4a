"""`stemcls detect`: the cells of fields."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemcls.commands.detect_correct import exporting, show_trained, train_on
from stemcls.commands.detect_report import document_of, score_of, show, show_grid
from stemcls.commands.terminal import (
    Json,
    Workspace,
    config_options,
    print_json,
    progress,
    resolved,
    say,
)
from stemcls.config.imaging import DetectConfig, GivenConfig, ReadConfig
from stemcls.config.options import MOST_SEED
from stemcls.errors import InputError, SkippedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stemcls.imaging.detection.survey import Look
    from stemcls.imaging.field import Detections, Field
    from stemcls.imaging.listing.fields import FieldList
    from stemcls.imaging.listing.positions import Position
    from stemcls.imaging.tuning.scoring import KnownCells

_SHEET = Path("detect-grid.png")


@dataclass(frozen=True, kw_only=True)
class FindConfig:
    """Which files and planes are read, and how cells are found in them."""

    files: GivenConfig = field(
        default_factory=GivenConfig, metadata={"panel": "Images and groups"}
    )
    read: ReadConfig = field(default_factory=ReadConfig, metadata={"panel": "Planes of a file"})
    detect: DetectConfig = field(default_factory=DetectConfig, metadata={"panel": "Finding cells"})


@config_options(FindConfig)
def detect(
    fields: Annotated[
        list[Path], typer.Argument(metavar="FIELD...", help="Image files, or folders of them.")
    ],
    given: dict[str, Any],
    overlay: Annotated[
        Path | None,
        typer.Option(help="Draw the cells: a PNG file for one field, a folder for several."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV to write: field, x_px, y_px, radius_px, score.")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="CSV of known cells (field, x_px, y_px[, radius_px]) to score the finding against."
        ),
    ] = None,
    within_px: Annotated[
        float,
        typer.Option(min=0.1, max=100_000.0, help="Largest distance from a known cell, pixels."),
    ] = 10.0,
    sample: Annotated[
        int | None, typer.Option(
            min=1, max=10_000_000, help="Look at this many of the fields, drawn at random."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Seed of --sample.")] = 0,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=V1,V2",
            help="Try every combination of these settings and draw all on one sheet; repeatable.",
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            help=f"PNG to write with --grid (default: {_SHEET}); without --grid it shows the two "
            "usual diameters that explain the fields best."
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write the circles to, one file a field, for correcting them; "
            "`build --cells FOLDER` takes them back."
        ),
    ] = None,
    export_as: Annotated[
        str,
        typer.Option(
            "--export-as",
            help="imagej: zip of regions; qupath: GeoJSON; labels: TIFF of numbered cells.",
        ),
    ] = "imagej",
    train: Annotated[
        Path | None,
        typer.Option(
            metavar="TRUTH",
            help="Go on training the detector on these fields, all of whose cells TRUTH knows "
            "(CSV, or outlines as --export writes them), and keep it for --detector.",
        ),
    ] = None,
    train_steps: Annotated[
        int, typer.Option(
            min=1, max=1_000_000, help="Steps of --train, batches of 16 patches."
        ),
    ] = 400,
    detector_out: Annotated[
        Path | None,
        typer.Option(
            help="ONNX file that --train makes (default: saved_models/detectors/TRUTH.onnx)."
        ),
    ] = None,
    workspace: Workspace = Path(),
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if a file could not be read.")
    ] = False,
    json: Json = False,
) -> None:
    """Find the cells of microscope fields."""
    from stemcls.imaging.detection.survey import sample_paths
    from stemcls.imaging.listing.fields import list_fields
    from stemcls.store.truth import read_truth

    config = resolved(FindConfig, given)
    listed = list_fields(
        fields, config.read, config.files.exclude, config.files.one_file_per_channel
    )
    names = listed.names
    if not names:
        raise InputError("--exclude leaves no field to look at")
    paths = list(names) if sample is None else sample_paths(list(names), sample, seed)
    known: dict[Position, KnownCells] | None = None
    if truth is not None:
        known = _known(listed, read_truth(truth, say), truth)
        if not known.keys() & set(paths):
            raise InputError(
                f"{truth} knows none of the {len(paths)} fields drawn by --sample; draw more, or "
                "try another --seed"
            )
    if train is not None:
        made = detector_out or workspace / "saved_models" / "detectors" / f"{train.stem}.onnx"
        cells = _known(listed, read_truth(train, say), train)
        trained = train_on(config, paths, cells, made, train_steps, seed)
        if json:
            print_json(trained)
        else:
            show_trained(trained)
        return
    if grid or sheet:
        if overlay or out or export:
            raise InputError(
                "--grid and --sheet draw one sheet; leave out --overlay, --out and --export, or "
                "those"
            )
        grid = grid or _two_sizes(config, paths)
        document = _try(grid, given, config.read, paths, names, sheet, known, within_px)
    else:
        exported = (export, export_as) if export else None
        document = _find(config, paths, names, overlay, out, exported, known, within_px)
    document["skipped"] = [*listed.skipped, *document["skipped"]]
    document["ignored"] = listed.ignored
    document["warnings"] = [
        *(
            {**notice.document(), "path": "", "warning": notice.message}
            for notice in listed.notices
        ),
        *document.get("warnings", ()),
    ]
    if json:
        print_json(document)
    else:
        (show_grid if grid else show)(document)
    skipped = document["skipped"]
    if skipped and strict:
        total = len(document["fields"]) + len(skipped)
        raise SkippedError(f"{len(skipped)} of {total} files were skipped (--strict)")


def _known(
    listed: FieldList, cells: Mapping[str, KnownCells], truth: Path
) -> dict[Position, KnownCells]:
    """Find the known cells of each field; a position of a file is known by its name."""
    from stemcls.imaging.tuning.scoring import known_by_path

    places = {Path(str(position)): position for position in listed.names}
    return {places[path]: known for path, known in known_by_path(places, cells, truth).items()}


def _two_sizes(config: FindConfig, paths: list[Position]) -> list[str]:
    """Return the grid of the two usual diameters that explain the fields best."""
    from dataclasses import replace

    from stemcls.imaging.detection.survey import settle_paths

    open_size = replace(config.detect, diameter_px=0.0, min_sigma=0.0, max_sigma=0.0)
    settled, _ = settle_paths(paths, open_size, config.read)
    sizes = [f"{one.diameter_px:.1f}" for one in settled.hypotheses[:2]]
    if not sizes:
        raise InputError(
            "nothing in these fields looks like a cell, so there is no size to show; say one by "
            "--grid diameter-px=20,40"
        )
    return [f"diameter-px={','.join(sizes)}"]


def _find(
    config: FindConfig, paths: list[Position], names: Mapping[Position, str],
    overlay: Path | None, out: Path | None, exported: tuple[Path, str] | None,
    known: Mapping[Position, KnownCells] | None, within_px: float,
) -> dict[str, Any]:
    from stemcls.imaging.detection.celltable import write_cells
    from stemcls.imaging.detection.survey import survey

    _check_new(out, "--out", ".csv")
    look = _drawing(_overlay_paths(overlay, paths))
    if exported is not None:
        look = exporting(*exported, names, look)
    with progress("detect") as update:
        result = survey(paths, config.detect, config.read, update, look)
    document = document_of(result, names)
    if known is not None:
        document["score"] = score_of(result, known, within_px)
    if out is not None:
        write_cells(out, result.found, names)
        document["out"] = str(out)
    if overlay is not None:
        document["overlay"] = str(overlay)
    if exported is not None:
        document["export"] = str(exported[0])
    return document


def _try(
    grid: list[str], given: dict[str, Any], read: ReadConfig, paths: list[Position],
    names: Mapping[Position, str], sheet: Path | None,
    known: Mapping[Position, KnownCells] | None, within_px: float,
) -> dict[str, Any]:
    from stemcls.imaging.tuning.combinations import combinations_of
    from stemcls.imaging.tuning.grid import try_settings

    sheet = sheet or _SHEET
    _check_new(sheet, "--sheet", ".png")
    combinations = combinations_of(grid, given.get("detect", {}))
    with progress("detect") as update:
        return try_settings(
            paths, names, combinations, read, sheet, known, within_px, update
        )


def _check_new(path: Path | None, flag: str, suffix: str) -> None:
    from stemcls.atomic import check_new

    if path is None:
        return
    if path.suffix.lower() != suffix:
        raise InputError(f"{flag} {path}: expected a {suffix} file; name it {path.stem}{suffix}")
    check_new(path, flag)
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to write {path.name} to; make it first")


def _overlay_paths(overlay: Path | None, paths: list[Position]) -> dict[Position, Path]:
    """Return where to draw each field; a folder of drawings is laid out as the fields are."""
    if overlay is None:
        return {}
    if overlay.suffix and not overlay.is_dir():
        if len(paths) > 1:
            raise InputError(
                f"--overlay {overlay}: expected a folder to draw {len(paths)} fields in; a .png "
                "file holds one"
            )
        _check_new(overlay, "--overlay", ".png")
        return {paths[0]: overlay}
    if overlay.is_file():
        raise InputError(f"--overlay {overlay} is a file, expected a .png file or a folder")
    from stemcls.atomic import check_new

    whole = [Path(os.path.normpath(Path(str(path)).absolute())) for path in paths]
    above = os.path.commonpath([path.parent for path in whole])
    drawings = {
        path: overlay / place.relative_to(above).with_name(f"{place.name}.png")
        for path, place in zip(paths, whole, strict=True)
    }
    for drawing in drawings.values():
        check_new(drawing, "--overlay")
    return drawings


def _drawing(drawings: Mapping[Position, Path]) -> Look | None:
    if not drawings:
        return None
    from stemcls.imaging.overlay import draw_overlay
    from stemcls.imaging.tuning.viewable import viewable

    def draw(path: Position, one: Field, cells: Detections) -> None:
        drawings[path].parent.mkdir(parents=True, exist_ok=True)
        draw_overlay(viewable(one), cells.centers_px, cells.radius_px, drawings[path])

    return draw
