"""The parts of `stemcls detect` for correcting: export of circles, and training on corrections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemcls.commands.terminal import progress, say
from stemcls.errors import InputError, check_known

if TYPE_CHECKING:
    from stemcls.commands.detect import FindConfig
    from stemcls.imaging.detection.survey import Look
    from stemcls.imaging.field import Detections, Field
    from stemcls.imaging.listing.positions import Position
    from stemcls.imaging.tuning.scoring import KnownCells


def exporting(
    folder: Path, kind: str, names: Mapping[Position, str], also: Look | None
) -> Look:
    """Return what writes the circles of each field below `folder`, and does `also` besides.

    Raises:
        InputError: There is no such format, the folder is a file, or a file is there already.
    """
    from stemcls.atomic import check_new
    from stemcls.imaging.detection.exchange import WRITERS, circles_of

    check_known(kind, WRITERS, f"--export-as {kind!r} is no format of outlines")
    if folder.is_file():
        raise InputError(f"--export {folder} is a file, expected a folder")
    ending, write = WRITERS[kind]
    files = {path: folder / f"{name.lstrip('/')}{ending}" for path, name in names.items()}
    for file in files.values():
        check_new(file, "--export")

    def look(path: Position, field: Field, cells: Detections) -> None:
        files[path].parent.mkdir(parents=True, exist_ok=True)
        write(files[path], circles_of(cells), (field.pixels.shape[1], field.pixels.shape[2]))
        if also is not None:
            also(path, field, cells)

    return look


def train_on(
    config: FindConfig, paths: list[Position], known: Mapping[Position, KnownCells], out: Path,
    steps: int, seed: int,
) -> dict[str, Any]:
    """Fine-tune the detector on the fields whose cells are known.

    Returns: What `tune_detector` says, and warnings.

    Raises:
        InputError: Too little is known.
    """
    from stemcls.imaging.prepare import read_image
    from stemcls.training.detector.tune import tune_detector

    chosen = [path for path in paths if path in known]
    fields = [read_image(path, config.read) for path in chosen]
    out.parent.mkdir(parents=True, exist_ok=True)
    with progress("train the detector") as update:
        document = tune_detector(
            fields, [known[path] for path in chosen], config.detect, out, steps=steps, seed=seed,
            update=update,
        )
    return {**document, "warnings": _warnings(document)}


def show_trained(document: Mapping[str, Any]) -> None:
    """Say how well the detector does before and after."""
    say(
        f"trained on {document['fields']} fields; F1 on {document['kept_back']} kept back: "
        f"{document['f1_before']:.3f} before, {document['f1_after']:.3f} after"
    )
    for entry in document["warnings"]:
        say(f"warning: {entry['warning']}")
    say(f"use it: --detector {document['detector']}")


def _warnings(document: Mapping[str, Any]) -> list[dict[str, str]]:
    if document["f1_after"] >= document["f1_before"]:
        return []
    return [
        {
            "path": document["detector"],
            "warning": "it finds the cells of the fields kept back less well than before: correct "
            "more fields, or stay with the detector that comes with stemcls",
        }
    ]
