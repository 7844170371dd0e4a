"""Fine-tune the trained detector on a user's own corrected fields, and say whether it helped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.atomic import check_new, write_json
from stemcls.config.imaging import DetectConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.detect import detect
from stemcls.imaging.detection.netfinder import weights_of
from stemcls.imaging.detection.settle import settle
from stemcls.imaging.field import Field
from stemcls.imaging.tuning.scoring import KnownCells, score_field, summarise
from stemcls.progress import Update
from stemcls.training.detector.patches import KnownField

FEWEST_FIELDS, FEWEST_CELLS = 2, 20
STEPS = 400
_RATE = 5e-4
_DRAWN = 0.25
_KEPT_BACK = 4  # every so-many-th field tells how well it does


def tune_detector(
    fields: Sequence[Field], known: Sequence[KnownCells], config: DetectConfig, out: Path, *,
    steps: int = STEPS, seed: int = 0, update: Update | None = None,
) -> dict[str, Any]:
    """Go on training the detector on fields of which every cell is known.

    Every fourth field, at least one, is kept back: F1 there, before and after, is what the result
    is judged by. The file is written whether it helped or not; the answer says so.

    Args:
        fields: Of one kind of cell and one magnification.
        known: All cells of each; those without a radius get the usual one.
        config: Names the detector to start from, and the diameter where it is known.
        out: ONNX file to write; `--detector` takes it. OUT.json beside it says what it was made of.
        steps: Batches of 16 patches.
        seed: All chance follows from it.
        update: Called as update(done, total, note).
    Returns: detector (the file), f1_before, f1_after (fields kept back), diameter_px, fields,
        kept_back, cells.

    Raises:
        InputError: Too few fields or cells, no diameter, or `out` exists.
    """
    from stemcls.training.detector.fit import fit_detector

    check_new(out, "--detector-out")
    n_cells = sum(len(cells.centers_px) for cells in known)
    if len(fields) < FEWEST_FIELDS or n_cells < FEWEST_CELLS:
        raise InputError(
            f"{len(fields)} fields with {n_cells} cells are too few to train on; expected at "
            f"least {FEWEST_FIELDS} fields and {FEWEST_CELLS} cells, better 20 fields or more"
        )
    start = weights_of(config)
    usual = _usual_diameter(fields, known, config)
    made = [
        KnownField.of(
            field.pixels, cells.centers_px,
            np.where(np.isfinite(cells.radius_px), 2 * cells.radius_px, usual),
        )
        for field, cells in zip(fields, known, strict=True)
    ]
    back = list(range(len(fields)))[_KEPT_BACK - 1 :: _KEPT_BACK] or [len(fields) - 1]
    trained_on = [one for number, one in enumerate(made) if number not in back]
    checked = [(fields[number], known[number]) for number in back]
    look = replace(config, method="net", diameter_px=usual)
    before = _f1(checked, look)
    fit_detector(
        [(1.0, trained_on)], out, steps=steps, seed=seed, start=start, rate=_RATE, drawn=_DRAWN,
        update=update,
    )
    after = _f1(checked, replace(look, detector=str(out)))
    document = {
        "detector": str(out), "f1_before": before, "f1_after": after, "diameter_px": usual,
        "fields": len(trained_on), "kept_back": len(back), "cells": n_cells,
    }
    write_json(out.with_suffix(".json"), {
        **document, "started_from": str(start), "steps": steps, "seed": seed,
        "trained_on": [str(fields[n].path) for n in range(len(fields)) if n not in back],
        "judged_on": [str(fields[n].path) for n in back],
    })
    return document


def _usual_diameter(
    fields: Sequence[Field], known: Sequence[KnownCells], config: DetectConfig
) -> float:
    radii = np.concatenate([cells.radius_px for cells in known])
    if np.isfinite(radii).any():
        return round(2 * float(np.nanmedian(radii)), 2)
    usual = settle(fields, config).config.diameter_px
    if not usual:
        raise InputError(
            "the table gives no radius_px, and the usual diameter could not be estimated; say it "
            "by --diameter-px"
        )
    return usual


def _f1(checked: Sequence[tuple[Field, KnownCells]], config: DetectConfig) -> float | None:
    within = config.diameter_px / 2
    scores = [score_field(detect(field, config), cells, within) for field, cells in checked]
    f1: float | None = summarise(scores)["f1"]
    return f1
