"""`stemcls detect`: the cells of fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemcls.commands.terminal import (
    Json,
    config_options,
    print_json,
    print_table,
    progress,
    resolved,
    say,
)
from stemcls.config.imaging import DetectConfig
from stemcls.errors import InputError, SkippedError, nearest

if TYPE_CHECKING:
    import numpy as np

    from stemcls.imaging.field import Detections

_TRUTH_COLUMNS = ("field", "x_px", "y_px")


@config_options(DetectConfig)
def detect(
    fields: Annotated[
        list[Path], typer.Argument(metavar="FIELD...", help="Image files, or folders of them.")
    ],
    given: dict[str, Any],
    overlay: Annotated[
        Path | None,
        typer.Option(help="Draw the cells: a PNG file for one field, a folder for several."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="CSV of known cells (field, x_px, y_px) to score the finding against."),
    ] = None,
    within_px: Annotated[
        float, typer.Option(min=0.1, help="Largest distance from a known cell, pixels.")
    ] = 10.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 if a file could not be read.")
    ] = False,
    json: Json = False,
) -> None:
    """Find the cells of microscope fields."""
    from stemcls.imaging import detect as detection
    from stemcls.imaging.composite import compose
    from stemcls.imaging.overlay import draw_overlay
    from stemcls.imaging.readers import read_field

    config = resolved(DetectConfig, given)
    paths = _files_of(fields)
    drawings = _overlay_paths(overlay, paths)
    known = _read_truth(truth) if truth is not None else {}
    found: dict[Path, Detections] = {}
    skipped: list[dict[str, str]] = []
    with progress("detect") as update:
        for number, path in enumerate(paths, 1):
            try:
                field = read_field(path)
                found[path] = detection.detect(field, config)
            except InputError as error:
                if not path.exists() or len(paths) == 1:
                    raise
                skipped.append({"path": str(path), "reason": str(error)})
            else:
                if path in drawings:
                    image = compose(field, "grey" if len(field.pixels) > 4 else "auto")
                    cells = found[path]
                    draw_overlay(image, cells.centers_px, cells.radius_px, drawings[path])
            update(number, len(paths), path.name)
    if not found:
        raise InputError(
            f"none of {len(paths)} files could be read; the first: {skipped[0]['reason']}"
        )
    document: dict[str, Any] = {
        "fields": [{"path": str(path), "cells": _rows(cells)} for path, cells in found.items()],
        "skipped": skipped,
    }
    if truth is not None:
        document["score"] = _score(found, known, truth, within_px)
    if json:
        print_json(document)
    else:
        _show(document)
    if skipped and strict:
        raise SkippedError(f"{len(skipped)} of {len(paths)} files were skipped (--strict)")


def _files_of(fields: list[Path]) -> list[Path]:
    """Return the files named, with folders replaced by the images below them."""
    from stemcls.imaging.readers import list_images

    paths: list[Path] = []
    for path in fields:
        inside = list_images(path) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path} holds no image files")
        paths += inside
    return list(dict.fromkeys(paths))


def _overlay_paths(overlay: Path | None, paths: list[Path]) -> dict[Path, Path]:
    """Return where to draw each field; folders are made, and same names get a number."""
    if overlay is None:
        return {}
    if len(paths) == 1 and overlay.suffix.lower() == ".png":
        return _unused({paths[0]: overlay})
    if overlay.suffix:
        raise InputError(
            f"--overlay {overlay}: expected a .png file for one field, a folder for several "
            f"({len(paths)} fields were given)"
        )
    overlay.mkdir(parents=True, exist_ok=True)
    drawings: dict[Path, Path] = {}
    used: dict[str, int] = {}
    for path in paths:
        count = used[path.name] = used.get(path.name, 0) + 1
        suffix = f"-{count}" if count > 1 else ""
        drawings[path] = overlay / f"{path.name}{suffix}.png"
    return _unused(drawings)


def _unused(drawings: dict[Path, Path]) -> dict[Path, Path]:
    for drawing in drawings.values():
        if drawing.exists():
            raise InputError(f"{drawing} exists and is not overwritten; choose another --overlay")
    return drawings


def _read_truth(path: Path) -> dict[str, np.ndarray]:
    """Return field -> (M, 2) y, x of known cells."""
    import csv

    import numpy as np

    known: dict[str, list[tuple[float, float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            for column in _TRUTH_COLUMNS:
                if column not in (reader.fieldnames or ()):
                    hint = nearest(column, reader.fieldnames or ())
                    raise InputError(f"{path} has no column {column!r}{hint}")
            for line, row in enumerate(reader, 2):
                try:
                    place = float(row["y_px"]), float(row["x_px"])
                except (TypeError, ValueError):
                    raise InputError(
                        f"{path}, line {line}: x_px and y_px must be numbers, found "
                        f"{row['x_px']!r} and {row['y_px']!r}"
                    ) from None
                known.setdefault(row["field"], []).append(place)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    return {field: np.array(places) for field, places in known.items()}


def _score(
    found: dict[Path, Detections], known: dict[str, np.ndarray], truth: Path, within_px: float
) -> dict[str, Any]:
    """Score every field that the truth knows by its path below the truth file, or by its name."""
    import numpy as np

    from stemcls.imaging.matching import match_centers

    hits = n_found = n_truth = scored = 0
    errors: list[float] = []
    for path, cells in found.items():
        keys = [str(path), path.as_posix(), path.name]
        if path.resolve().is_relative_to(truth.resolve().parent):
            keys.insert(0, path.resolve().relative_to(truth.resolve().parent).as_posix())
        key = next((key for key in keys if key in known), None)
        if key is None:
            continue
        matching = match_centers(cells.centers_px, known[key], within_px)
        scored += 1
        hits += len(matching.pairs)
        n_found += matching.n_found
        n_truth += matching.n_truth
        errors += [matching.mean_error_px] * len(matching.pairs)
    if not scored:
        raise InputError(
            f"{truth} knows none of the fields given; its first field is {next(iter(known), '')!r}"
        )
    return {
        "fields": scored,
        "within_px": within_px,
        "precision": hits / max(n_found, 1),
        "recall": hits / max(n_truth, 1),
        "f1": 2 * hits / max(n_found + n_truth, 1),
        "mean_error_px": float(np.mean(errors)) if errors else None,
    }


def _rows(cells: Detections) -> list[dict[str, float]]:
    table = zip(cells.centers_px, cells.radius_px, cells.score, strict=True)
    return [
        {
            "y_px": round(float(y), 3), "x_px": round(float(x), 3),
            "radius_px": round(float(radius), 3), "score": round(float(score), 4),
        }
        for (y, x), radius, score in table
    ]  # fmt: skip


def _show(document: dict[str, Any]) -> None:
    total = sum(len(field["cells"]) for field in document["fields"])
    print_table(
        f"{total} cells in {len(document['fields'])} fields", ("field", "cells"),
        ((field["path"], len(field["cells"])) for field in document["fields"]),
    )  # fmt: skip
    if "score" in document:
        print_table("Against the truth", ("measure", "value"), document["score"].items())
    for entry in document["skipped"]:
        say(f"skipped {entry['path']}: {entry['reason']}")
