"""What `stemcls detect` says: its document, and tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stemcls.commands.terminal import print_table, say, say_skipped
from stemcls.errors import InputError

if TYPE_CHECKING:
    from stemcls.imaging.detection.survey import Survey
    from stemcls.imaging.tuning.scoring import KnownCells

_MOST_ROWS = 40


def document_of(result: Survey) -> dict[str, Any]:
    """Return what was found in every field, as plain values."""
    from stemcls.imaging.detection.celltable import cell_rows, radius_spread
    from stemcls.imaging.detection.survey import common_pixel_size

    pixel_size_um = common_pixel_size([one.pixel_size_um for one in result.found])
    rejected: Counter[str] = Counter()
    for one in result.found:
        rejected.update(one.cells.rejected)
    diameter_um = None
    if result.diameter_px and pixel_size_um:
        diameter_um = result.diameter_px * pixel_size_um
    return {
        "fields": [
            {
                "path": str(one.path),
                "cells": cell_rows(one.cells),
                "rejected": dict(one.cells.rejected),
                "radius_px": radius_spread(one.cells),
                "pixel_size_um": one.pixel_size_um,
            }
            for one in result.found
        ],
        "skipped": list(result.skipped),
        "diameter_px": result.diameter_px,
        "diameter_um": diameter_um,
        "diameter_estimated_from": result.estimated_from,
        "rejected": dict(rejected.most_common()),
        "warnings": [
            {"path": str(one.path), "warning": "blank: all pixels of every slice are alike"}
            for one in result.found if one.blank
        ],
    }  # fmt: skip


def score_of(
    result: Survey, known: Mapping[Path, KnownCells], within_px: float
) -> dict[str, Any]:
    """Return the scores of each field and of all together.

    Raises:
        InputError: No field that the truth knows could be read.
    """
    from stemcls.imaging.tuning.scoring import score_field, summarise

    scores = {
        one.path: score_field(one.cells, known[one.path], within_px)
        for one in result.found if one.path in known
    }  # fmt: skip
    if not scores:
        raise InputError("no field that the truth knows could be read")
    return {
        "fields": len(scores),
        "not_in_truth": len(result.found) - len(scores),
        "within_px": within_px,
        **summarise(list(scores.values())),
        "per_field": [
            {"path": str(path), **summarise([score])} for path, score in scores.items()
        ],
    }


def show(document: dict[str, Any]) -> None:
    """Print the cells of each field, what was left out and why, and the scores."""
    fields = document["fields"]
    total = sum(len(one["cells"]) for one in fields)
    print_table(
        f"{total} cells in {len(fields)} fields", ("field", "cells", "diameter", "left out"),
        (
            (
                one["path"], len(one["cells"]), _diameter(one), sum(one["rejected"].values())
            )
            for one in fields[:_MOST_ROWS]
        ),
    )  # fmt: skip
    if len(fields) > _MOST_ROWS:
        say(f"and {len(fields) - _MOST_ROWS} more fields; --out and --json give all")
    say(_sizes(document))
    for reason, count in document["rejected"].items():
        say(f"{count} left out: {reason}")
    if not total:
        say(
            "nothing looks like a cell; --overlay shows the field, --modality and --diameter-px "
            "say what to look for, a lower --threshold takes fainter ones"
        )
    if "score" in document:
        rows = [(key, _cell(value)) for key, value in document["score"].items()
                if key != "per_field"]  # fmt: skip
        print_table("Against the truth", ("measure", "value"), rows)
    for entry in document["warnings"]:
        say(f"warning: {entry['path']}: {entry['warning']}")
    say_skipped(document["skipped"])
    if "out" in document:
        say(f"table: {document['out']}")


def show_grid(document: dict[str, Any]) -> None:
    """Print one row per combination of settings, best F1 first."""
    scored = "best" in document
    grid = document["grid"]
    columns = ["settings", "cells", "diameter px", "left out"]
    if scored:
        grid = sorted(grid, key=lambda entry: -(entry["score"]["f1"] or 0.0))
        columns += ["F1", "precision", "recall", "mean error px"]
    rows = []
    for entry in grid:
        row = [
            entry["flags"], entry["cells"], _cell(entry["diameter_px"], 1),
            sum(entry["rejected"].values()),
        ]
        if scored:
            keys = ("f1", "precision", "recall", "mean_error_px")
            row += [_cell(entry["score"][key]) for key in keys]
        rows.append(row)
    print_table(f"{len(grid)} combinations, {len(document['rows'])} fields", columns, rows)
    say_skipped(document["skipped"])
    if scored:
        say(f"best F1: {document['best']}")
    say(f"sheet: {document['sheet']}")


def _sizes(document: dict[str, Any]) -> str:
    diameter_px = document["diameter_px"]
    if diameter_px is None:
        return "sizes as given by the sigmas or by skimage's defaults"
    in_um = document["diameter_um"]
    text = f"usual diameter {diameter_px:g} px" + (f" = {in_um:.3g} um" if in_um else "")
    count = document["diameter_estimated_from"]
    return text + (f", estimated from {count} field(s); --diameter-px sets it" if count else "")


def _diameter(one: dict[str, Any]) -> str:
    if one["radius_px"] is None:
        return "-"
    median_px = 2 * one["radius_px"]["median"]
    size_um = one["pixel_size_um"]
    return f"{median_px:.1f} px" + (f" = {median_px * size_um:.1f} um" if size_um else "")


def _cell(value: Any, digits: int = 3) -> str:
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
