"""Try combinations of detection settings on the same fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.imaging import DetectConfig, ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.detect import detect, with_diameter
from stemcls.imaging.detection.survey import Update, read_sample
from stemcls.imaging.field import Field
from stemcls.imaging.readers import read_field
from stemcls.imaging.tuning.combinations import Combination
from stemcls.imaging.tuning.contactsheet import Row, Tile, write_sheet
from stemcls.imaging.tuning.scoring import KnownCells, score_field, summarise
from stemcls.imaging.tuning.tile import choose_window, draw_tile, picture_of

MOST_FIELDS = 20
_USUAL_DIAMETER_PX = 36.0


def try_settings(
    paths: Sequence[Path],
    names: Mapping[Path, str],
    combinations: Sequence[Combination],
    read: ReadConfig,
    sheet: Path,
    known: Mapping[Path, KnownCells] | None = None,
    within_px: float = 10.0,
    update: Update | None = None,
) -> dict[str, Any]:
    """Find the cells of every field with every combination, and draw them all on one sheet.

    Args:
        paths: Image files, at most 20.
        names: What they are called on the sheet.
        combinations: From `combinations_of`; filled in.
        read: Which planes of each file.
        sheet: PNG file to write.
        known: Known cells of some of the files; None: nothing is scored.
        within_px: Largest distance of a pair.
        update: Called as update(done, total, note) after each field.
    Returns: grid (settings, flags, cells, diameter_px, rejected and with `known` score of each
        combination), rows (path, shows and the captions of each field), sheet, sheet_px, skipped;
        with `known` also best, the flags of the highest F1.

    Raises:
        InputError: Too many fields, or none that could be read.
    """
    if len(paths) > MOST_FIELDS:
        raise InputError(
            f"{len(paths)} fields are too many for one sheet, which holds {MOST_FIELDS}; draw some "
            f"at random with --sample {MOST_FIELDS}"
        )
    _settle(combinations, paths, read)
    diameter_px = _usual_diameter(combinations)
    rows: list[Row] = []
    shown: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for number, path in enumerate(paths, 1):
        try:
            one = read_field(path, read)
        except InputError as error:
            if not path.exists() or len(paths) == 1:
                raise
            skipped.append({"path": str(path), "reason": str(error)})
        else:
            cells = known.get(path) if known is not None else None
            row = _row(one, names[path], combinations, diameter_px, cells, within_px)
            rows.append(row)
            captions = [tile.caption for tile in row.tiles]
            shown.append({"path": str(path), "shows": row.title, "captions": captions})
        if update is not None:
            update(number, len(paths), path.name)
    if not rows:
        raise InputError(
            f"none of {len(paths)} files could be read; the first: {skipped[0]['reason']}"
        )
    scored = bool(known)
    grid = [one.to_document(scored) for one in combinations]
    headings = [
        (*one.flags, _total(entry)) for one, entry in zip(combinations, grid, strict=True)
    ]
    size_px = write_sheet(sheet, headings, rows, legend=scored)
    document: dict[str, Any] = {
        "grid": grid, "rows": shown, "sheet": str(sheet), "sheet_px": list(size_px),
        "skipped": skipped,
    }  # fmt: skip
    if scored:
        best = max(grid, key=lambda entry: entry["score"]["f1"] or 0.0)
        document["best"] = best["flags"]
    return document


def _row(
    one: Field,
    name: str,
    combinations: Sequence[Combination],
    diameter_px: float,
    known: KnownCells | None,
    within_px: float,
) -> Row:
    shape = one.pixels.shape[1:]
    window = choose_window(shape, diameter_px)
    picture = picture_of(one, window)
    tiles = []
    for combination in combinations:
        cells = detect(one, combination.config)
        score = score_field(cells, known, within_px) if known is not None else None
        combination.n_cells.append(len(cells))
        combination.rejected.update(cells.rejected)
        caption = f"{len(cells)} cells"
        if score is not None:
            combination.scores.append(score)
            f1 = summarise([score])["f1"]
            caption += "" if f1 is None else f", F1 {f1:.3f}"
        tiles.append(Tile(draw_tile(picture, window, cells, score, known), caption))
    return Row(f"{name}: {window.caption(shape)}", tuple(tiles))


def _settle(combinations: Sequence[Combination], paths: Sequence[Path], read: ReadConfig) -> None:
    """Fill in open diameters, each from the same sample of the fields."""
    open_ones = [
        one for one in combinations if one.config.needs_diameter and one.config.modality != "raw"
    ]
    if not open_ones:
        return
    fields = [sample for _, sample in read_sample(paths, read)]
    made: dict[DetectConfig, DetectConfig] = {}
    for one in open_ones:
        if not fields:
            return
        # What only sorts candidates out does not change the estimate, which is slow.
        alike = replace(
            one.config, method="log", threshold=None, num_sigma=10, min_distance_px=0.0,
            border_px=0, edge_radii=0.0, min_relative_radius=0.0, max_relative_radius=0.0,
            size_outliers=0.0,
        )
        if alike not in made:
            made[alike] = with_diameter(alike, fields)
        one.config = replace(one.config, diameter_px=made[alike].diameter_px)


def _usual_diameter(combinations: Sequence[Combination]) -> float:
    """Return the diameter that pictures are magnified for."""
    sizes = []
    for config in (one.config for one in combinations):
        if config.diameter_px and config.modality != "raw":
            sizes.append(config.diameter_px)
        elif config.min_sigma and config.max_sigma:
            sizes.append(2 * 2**0.5 * (config.min_sigma * config.max_sigma) ** 0.5)
    return float(np.median(sizes)) if sizes else _USUAL_DIAMETER_PX


def _total(entry: Mapping[str, Any]) -> str:
    score = entry.get("score")
    total = f"{entry['cells']} cells in all"
    return total if not score or score["f1"] is None else f"{total}, F1 {score['f1']:.3f}"
