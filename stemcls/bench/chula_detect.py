"""Measure cell detection on real smears with every cell known, beside a classical pipeline."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.config.imaging import DetectConfig
from stemcls.errors import InputError
from stemcls.imaging.detect import SAMPLE_FIELDS, detect, with_diameter
from stemcls.imaging.field import Field
from stemcls.imaging.matching import match_centers
from stemcls.imaging.readers import read_field

WITHIN_PX = 20.0
_WANTED_F1 = 0.90


def chula_detect(data: Path, every: int = 1) -> dict[str, Any]:
    """Score the default detector and the baseline on the fields of `data`.

    Args:
        data: Folder of real images; its chula/ holds `fields/` and `cells.csv` (field, x_px, y_px).
        every: Only each so-many-th field, for a quick look.
    Returns: `ours` and `baseline` (F1 within 20 pixels), their `ratio`, the least ratio wanted
        as `target`, our `precision`, `recall` and `seconds_per_field` (finding, without reading).
    """
    truth = _read_truth(data / "chula" / "cells.csv")
    fields = {name: read_field(data / "chula" / "fields" / name) for name in list(truth)[::every]}
    step = max(1, len(fields) // SAMPLE_FIELDS)
    config = with_diameter(DetectConfig(), list(fields.values())[::step][:SAMPLE_FIELDS])
    ours = _measure(fields, truth, lambda field: detect(field, config).centers_px)
    baseline = _measure(fields, truth, find_by_threshold)
    return {
        "name": "chula-detect",
        "ours": ours["f1"],
        "baseline": baseline["f1"],
        "ratio": ours["f1"] / baseline["f1"],
        "unit": f"F1 at {WITHIN_PX:g} px",
        "target": _WANTED_F1 / baseline["f1"],
        "equal_outputs": None,
        "precision": ours["precision"],
        "recall": ours["recall"],
        "seconds_per_field": ours["seconds_per_field"],
        "baseline_seconds_per_field": baseline["seconds_per_field"],
    }


def find_by_threshold(field: Field) -> np.ndarray:
    """Find cells as peaks of the distance to background, after Otsu's threshold of green.

    Returns: (N, 2) y, x.
    """
    from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_otsu

    plane = field.pixels[len(field.pixels) // 2].astype(np.float32)
    smooth = gaussian_filter(plane, 1.0)
    distance = distance_transform_edt(binary_fill_holes(smooth < threshold_otsu(smooth)))
    return peak_local_max(gaussian_filter(distance, 2.0), min_distance=10, threshold_abs=5.0)


def _measure(
    fields: dict[str, Field],
    truth: dict[str, np.ndarray],
    find: Callable[[Field], np.ndarray],
) -> dict[str, float]:
    hits = n_found = n_truth = 0
    seconds = 0.0
    for name, field in fields.items():
        start = time.perf_counter()
        centers = find(field)
        seconds += time.perf_counter() - start
        hits += len(match_centers(centers, truth[name], WITHIN_PX).pairs)
        n_found += len(centers)
        n_truth += len(truth[name])
    return {
        "f1": 2 * hits / (n_found + n_truth),
        "precision": hits / max(n_found, 1),
        "recall": hits / n_truth,
        "seconds_per_field": seconds / len(fields),
    }


def _read_truth(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise InputError(f"{path} does not exist; the benchmark needs the fields and their truth")
    places: dict[str, list[tuple[float, float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            places.setdefault(row["field"], []).append((float(row["y_px"]), float(row["x_px"])))
    return {name: np.array(centers) for name, centers in sorted(places.items())}
