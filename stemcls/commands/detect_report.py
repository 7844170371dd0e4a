"""What `stemcls detect` says: its document, and tables for people."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stemcls.commands.terminal import print_table, say, say_ignored, say_skipped
from stemcls.errors import InputError
from stemcls.evaluation.numbertext import number_text

if TYPE_CHECKING:
    from stemcls.imaging.detection.survey import FoundCells, Survey
    from stemcls.imaging.listing.positions import Position
    from stemcls.imaging.tuning.scoring import KnownCells

_MOST_ROWS = 40
_MOST_NAMES = 3
_OTHER_COLUMNS = 52  # characters that the table of fields needs beside the names
_CELL_UM = (2.0, 200.0)  # diameters of cells: platelets to oocytes
_HARMLESS = ("overlaps a surer blob", "cut by the field's edge")
_MANY_REJECTED, _FAR_MORE = 30, 2.0
_SAME_SCALE = 1.05  # pixel sizes within this factor count as one


def document_of(result: Survey, names: Mapping[Position, str]) -> dict[str, Any]:
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
                "name": names[one.path],
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
            *(
                {
                    "path": str(one.path),
                    "warning": "blank: all pixels of every slice are alike; take it out of the "
                    "input, or choose other planes",
                }
                for one in result.found if one.blank
            ),
            *_scale_warnings(result),
            *_size_warnings(result, diameter_um),
            *_open_warnings(result),
            *_doubt_warnings(result, rejected),
            *(
                {"path": str(result.found[0].path), "warning": notice}
                for notice in result.settled.notices
            ),
        ],
    }  # fmt: skip


def _scale_warnings(result: Survey) -> list[dict[str, str]]:
    """Warn of files without a pixel size among others, and of sizes that differ."""
    known = [one for one in result.found if one.pixel_size_um]
    silent = [one for one in result.found if not one.pixel_size_um]
    if not known:
        return []
    warnings = []
    if silent:
        warnings.append(
            {
                "path": str(silent[0].path),
                "warning": f"{len(silent)} of {len(result.found)} files do not say their pixel "
                "size, this is the first: their sizes are in pixels only; export them with it",
            }
        )

    def size_of(one: FoundCells) -> float:
        return one.pixel_size_um or 0.0

    finest, coarsest = min(known, key=size_of), max(known, key=size_of)
    if size_of(coarsest) > _SAME_SCALE * size_of(finest):
        warnings.append(
            {
                "path": str(coarsest.path),
                "warning": f"its pixels are {size_of(coarsest):.3g} um wide, those of "
                f"{finest.path} {size_of(finest):.3g} um, but one diameter in pixels was looked "
                "for in all; find the cells of each magnification apart",
            }
        )
    return warnings


def _size_warnings(result: Survey, diameter_um: float | None) -> list[dict[str, str]]:
    """Warn of an estimate that is no cell's size: the blobs may be parts of cells, or dirt."""
    least, most = _CELL_UM
    if not result.estimated_from or diameter_um is None or least <= diameter_um <= most:
        return []
    return [
        {
            "path": str(result.found[0].path),
            "warning": f"the estimated diameter of {diameter_um:.3g} um is not that of a cell "
            f"({least:g} to {most:g} um): look at --overlay, and say the size by --diameter-px",
        }
    ]


def _open_warnings(result: Survey) -> list[dict[str, str]]:
    """Warn where no cell was looked for, because nothing told its size."""
    from stemcls.imaging.detection.settle import no_size

    looked_for = not result.estimated_from or result.diameter_px is not None
    if looked_for or all(one.blank for one in result.found):
        return []
    said = no_size(result.estimated_from, len(result.found))
    return [{"path": str(result.found[0].path), "warning": said}]


def _doubt_warnings(result: Survey, rejected: Mapping[str, int]) -> list[dict[str, str]]:
    """Warn where far more candidates were left out than cells kept: the size may be wrong."""
    kept = sum(len(one.cells) for one in result.found)
    doubtful = sum(count for reason, count in rejected.items() if reason not in _HARMLESS)
    if doubtful < _MANY_REJECTED or doubtful <= _FAR_MORE * kept:
        return []
    worst = max(result.found, key=lambda one: sum(one.cells.rejected.values()))
    return [
        {
            "path": str(worst.path),
            "warning": f"{doubtful} candidates were left out and {kept} cells kept: the usual "
            "diameter may be wrong; look at --overlay, compare sizes by --sheet, and say the "
            "right one by --diameter-px",
        }
    ]


def score_of(
    result: Survey, known: Mapping[Position, KnownCells], within_px: float
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
        raise InputError(
            f"none of the {len(result.found)} fields that could be read is in the truth; the first "
            f"that could not: {result.skipped[0]['reason']}"
        )
    return {
        "fields": len(scores),
        "not_in_truth": [str(one.path) for one in result.found if one.path not in known],
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
    f1 = {one["path"]: one["f1"] for one in document.get("score", {}).get("per_field", ())}
    rows = [
        [
            _short(one["name"]), len(one["cells"]), _diameter(one),
            sum(one["rejected"].values()), *([number_text(f1.get(one["path"]))] if f1 else []),
        ]
        for one in fields[:_MOST_ROWS]
    ]  # fmt: skip
    columns = ["field", "cells", "diameter", "left out", *(["F1"] if f1 else [])]
    print_table(f"{_counted(total, 'cell')} in {_counted(len(fields), 'field')}", columns, rows)
    if len(fields) > _MOST_ROWS:
        say(f"and {len(fields) - _MOST_ROWS} more fields; --out and --json give all")
    say(_sizes(document, total))
    for reason, count in document["rejected"].items():
        say(f"{count} left out: {reason}")
    if not total:
        say(
            "nothing looks like a cell; --overlay shows the field, --modality and --diameter-px "
            "say what to look for, a lower --threshold takes fainter ones"
        )
    else:
        _name_some("no cells in", [one["path"] for one in fields if not one["cells"]])
    if "score" in document:
        _show_score(document["score"])
    for entry in document["warnings"]:
        say(f"warning: {entry['path']}: {entry['warning']}".replace(": :", ":"))
    say_ignored(document["ignored"])
    say_skipped(document["skipped"])
    if "out" in document:
        say(f"table: {document['out']}")
    if "overlay" in document:
        say(f"drawn: {document['overlay']}")
    if "export" in document:
        say(f"outlines: {document['export']}; `stemcls build SRC --cells {document['export']}` "
            "takes them back")


def _show_score(score: Mapping[str, Any]) -> None:
    rows = [
        (title, number_text(score[key]), note)
        for title, key, note in (
            ("precision", "precision", f"{score['matched']} of {score['found']} found"),
            ("recall", "recall", f"{score['matched']} of {score['known']} known"),
            ("F1", "f1", f"pairs are at most {score['within_px']:g} px apart"),
        )
    ]
    if score["matched"]:
        rows.append(
            (
                "place", f"{score['mean_error_px']:.2f} px",
                f"mean distance of a pair; median {score['median_error_px']:.2f} px",
            )
        )  # fmt: skip
    if score["radius_pairs"]:
        bias, spread = score["radius_bias"], score["radius_sd"]
        how = f"mean error; {abs(bias):.1%} too {'large' if bias > 0 else 'small'} on average"
        how += "" if spread is None else f", SD {spread:.1%}"
        rows.append(("radius", f"{score['radius_error_px']:.2f} px", how))
    print_table(
        f"Against the truth, {_counted(score['fields'], 'field')}", ("measure", "value", "of"), rows
    )
    _name_some("not in the truth, not scored:", score["not_in_truth"])


def show_grid(document: dict[str, Any]) -> None:
    """Print one row per combination of settings, best F1 first."""
    scored = "best" in document
    grid = document["grid"]
    if scored:
        grid = sorted(grid, key=lambda entry: -(entry["score"]["f1"] or 0.0))
    varied = list(grid[0]["settings"])
    diameters = {entry["diameter_px"] for entry in grid}
    columns = [*(key.replace("_", "-") for key in varied), "cells"]
    columns += ["looked for px"] if len(diameters) > 1 else []
    columns += ["F1", "precision", "recall", "error px"] if scored else ["left out"]
    rows = []
    for entry in grid:
        row = [*map(_plain, entry["settings"].values()), entry["cells"]]
        row += [number_text(entry["diameter_px"], ".1f")] if len(diameters) > 1 else []
        if scored:
            keys = ("f1", "precision", "recall", "mean_error_px")
            row += [number_text(entry["score"][key]) for key in keys]
        else:
            row.append(sum(entry["rejected"].values()))
        rows.append(row)
    fields = document["fields"]
    print_table(
        f"{_counted(len(grid), 'combination')}, {_counted(len(fields), 'field')}", columns, rows
    )
    if len(diameters) == 1 and None not in diameters:
        (diameter_px,) = diameters
        estimated = ", estimated" if grid[0]["diameter_estimated"] else ""
        say(f"usual diameter looked for: {diameter_px:g} px{estimated}")
    say_ignored(document["ignored"])
    say_skipped(document["skipped"])
    if scored:
        unknown = [one["path"] for one in fields if all(f1 is None for f1 in one["f1"])]
        _name_some("not in the truth, not scored:", unknown)
        say(_best_of(grid))
    drawn = sum(one["drawn"] is not None for one in fields)
    part = f" (shows {drawn} of {len(fields)} fields)" if drawn < len(fields) else ""
    say(f"sheet: {document['sheet']}{part}")


def _best_of(ranked: Sequence[Mapping[str, Any]]) -> str:
    f1 = ranked[0]["score"]["f1"]
    if f1 is None:
        return "nothing was scored: no field that the truth knows could be read"
    ties = sum(entry["score"]["f1"] == f1 for entry in ranked) - 1
    return f"best F1: {ranked[0]['flags']}" + (f" ({ties} more are as good)" if ties else "")


def _sizes(document: dict[str, Any], total: int) -> str:
    diameter_px = document["diameter_px"]
    if diameter_px is None:
        if document["diameter_estimated_from"]:
            return "no usual diameter: nothing to tell it by"
        return "sizes as given by the sigmas, or the method's own"
    in_um = document["diameter_um"]
    text = f"usual diameter looked for: {diameter_px:g} px"
    text += f" = {in_um:.3g} um" if in_um else ""
    count = document["diameter_estimated_from"]
    if not count or not total:
        return text
    return f"{text}, estimated from {_counted(count, 'field')}; --diameter-px sets it"


def _diameter(one: dict[str, Any]) -> str:
    if one["radius_px"] is None:
        return "-"
    median_px = 2 * one["radius_px"]["median"]
    size_um = one["pixel_size_um"]
    return f"{median_px:.1f} px" + (f" = {median_px * size_um:.1f} um" if size_um else "")


def _name_some(what: str, names: Sequence[str]) -> None:
    if names:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        say(f"{what} {', '.join(names[:_MOST_NAMES])}{more}")


def _short(name: str) -> str:
    """Return the end of a name that is too long for the terminal: it tells files apart."""
    room = max(16, shutil.get_terminal_size().columns - _OTHER_COLUMNS)
    return name if len(name) <= room else f"…{name[1 - room :]}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
