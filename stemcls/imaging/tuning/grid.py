"""Try combinations of detection settings on the same fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.imaging import DetectConfig, ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.settle import no_size, settle, wants_diameter
from stemcls.imaging.detection.survey import each_field, evenly_spread, read_sample
from stemcls.imaging.extract import find_cells
from stemcls.imaging.field import Detections, Field
from stemcls.imaging.listing.positions import Position
from stemcls.imaging.tuning.combinations import Combination
from stemcls.imaging.tuning.contactsheet import Row, Tile, write_sheet
from stemcls.imaging.tuning.scoring import FieldScore, KnownCells, score_field, summarise
from stemcls.imaging.tuning.tile import choose_window, draw_tile, picture_of
from stemcls.progress import Update

MOST_DRAWN = 20
_MAGNIFIED_FOR_PX = 36.0  # where no settings say a size


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What one combination found in one field; the score is None where nothing is known of it."""

    cells: Detections
    score: FieldScore | None


def try_settings(
    paths: Sequence[Position],
    names: Mapping[Position, str],
    combinations: Sequence[Combination],
    read: ReadConfig,
    sheet: Path,
    known: Mapping[Position, KnownCells] | None = None,
    within_px: float = 10.0,
    update: Update | None = None,
) -> dict[str, Any]:
    """Find the cells of every field with every combination, and draw them on one sheet.

    Every field counts; of more than 20 the sheet shows 20, evenly spread over those given.

    Args:
        paths: Fields, from `list_fields`.
        names: What they are called on the sheet.
        combinations: From `combinations_of`.
        read: Which planes of each file.
        sheet: PNG file to write.
        known: Known cells of some of the files; None: nothing is scored.
        within_px: Largest distance of a pair.
        update: Called as update(done, total, note) after each field.
    Returns: grid (settings, flags, cells, diameter_px, rejected and with `known` score of each
        combination), fields (path, drawn: what the sheet shows of it or None, n_cells and with
        `known` f1, one for each combination), sheet, sheet_px, skipped; with `known` also best,
        the flags of the highest F1, or None if no field that is known could be read.

    Raises:
        InputError: No file could be read, or no estimate of an open diameter can be trusted.
    """
    configs = _settle([one.config for one in combinations], paths, read)
    diameter_px = _usual_diameter(configs)
    drawn = set(evenly_spread(paths, MOST_DRAWN))
    rows: list[Row] = []
    fields: list[dict[str, Any]] = []
    outcomes: list[list[_Outcome]] = []
    skipped: list[dict[str, str]] = []
    for path, one in each_field(paths, read, skipped, update):
        truth = known.get(path) if known is not None else None
        tried = [_outcome(one, config, truth, within_px) for config in configs]
        outcomes.append(tried)
        entry: dict[str, Any] = {"path": str(path), "drawn": None}
        entry["n_cells"] = [len(each.cells) for each in tried]
        if known is not None:
            entry["f1"] = [_f1(each) for each in tried]
        if path in drawn:
            rows.append(_row(one, names[path], tried, truth, diameter_px))
            entry["drawn"] = rows[-1].title
        fields.append(entry)
    grid = [
        _document(combination, config, column, known is not None)
        for combination, config, column in zip(
            combinations, configs, zip(*outcomes, strict=True), strict=True
        )
    ]
    headings = [_heading(*pair) for pair in zip(combinations, grid, strict=True)]
    size_px = write_sheet(sheet, headings, rows, legend=known is not None)
    document: dict[str, Any] = {
        "grid": grid, "fields": fields, "sheet": str(sheet), "sheet_px": list(size_px),
        "skipped": skipped,
    }  # fmt: skip
    if known is not None:
        document["best"] = _best(grid)
    return document


def _best(grid: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the flags of the highest F1, of equal ones the first; None where nothing is scored."""
    scored = [entry for entry in grid if entry["score"]["f1"] is not None]
    return max(scored, key=lambda entry: entry["score"]["f1"])["flags"] if scored else None


def _outcome(
    one: Field, config: DetectConfig, truth: KnownCells | None, within_px: float
) -> _Outcome:
    cells = find_cells(one, config)
    return _Outcome(cells, None if truth is None else score_field(cells, truth, within_px))


def _row(
    one: Field, name: str, tried: Sequence[_Outcome], truth: KnownCells | None, diameter_px: float
) -> Row:
    window = choose_window(one.pixels.shape[1:], diameter_px)
    picture = picture_of(one, window)
    tiles = []
    for each in tried:
        f1 = _f1(each)
        caption = f"{len(each.cells)} cells" + ("" if f1 is None else f", F1 {f1:.3f}")
        tiles.append(Tile(draw_tile(picture, window, each.cells, each.score, truth), caption))
    return Row(f"{name}: {window.caption(one.pixels.shape[1:])}", tuple(tiles))


def _f1(outcome: _Outcome) -> float | None:
    return None if outcome.score is None else summarise([outcome.score])["f1"]


def _document(
    combination: Combination, config: DetectConfig, column: Sequence[_Outcome], scored: bool
) -> dict[str, Any]:
    rejected: Counter[str] = Counter()
    for each in column:
        rejected.update(each.cells.rejected)
    document: dict[str, Any] = {
        "settings": combination.settings,
        "flags": " ".join(combination.flags),
        "cells": sum(len(each.cells) for each in column),
        "diameter_px": None if config.modality == "raw" else config.diameter_px or None,
        "diameter_estimated": config != combination.config,
        "rejected": dict(rejected.most_common()),
    }
    if scored:
        document["score"] = summarise([each.score for each in column if each.score is not None])
    return document


def _heading(combination: Combination, entry: Mapping[str, Any]) -> tuple[str, ...]:
    total = f"{entry['cells']} cells in all"
    if "score" in entry and entry["score"]["f1"] is not None:
        total += f", F1 {entry['score']['f1']:.3f}"
    if entry["diameter_estimated"]:
        total += f", diameter {entry['diameter_px']:.0f} px"
    return (*combination.flags, total)


def _settle(
    configs: Sequence[DetectConfig], paths: Sequence[Position], read: ReadConfig
) -> list[DetectConfig]:
    """Fill in open diameters, each from the same sample of the fields."""
    if not any(map(wants_diameter, configs)):
        return list(configs)
    fields = [sample for _, sample in read_sample(paths, read)]
    made: dict[DetectConfig, float] = {}
    settled = []
    for config in configs:
        if fields and wants_diameter(config):
            # Nothing else changes the estimate, which is slow.
            alike = DetectConfig(detector=config.detector)
            if alike not in made:
                made[alike] = settle(fields, alike).config.diameter_px
                if not made[alike]:
                    raise InputError(no_size(len(fields), len(paths)))
            config = replace(config, diameter_px=made[alike])
        settled.append(config)
    return settled


def _usual_diameter(configs: Sequence[DetectConfig]) -> float:
    """Return the diameter that pictures are magnified for."""
    sizes = []
    for config in configs:
        if config.diameter_px and config.modality != "raw":
            sizes.append(config.diameter_px)
        elif config.min_sigma and config.max_sigma:
            sizes.append(2 * 2**0.5 * (config.min_sigma * config.max_sigma) ** 0.5)
    return float(np.median(sizes)) if sizes else _MAGNIFIED_FOR_PX
