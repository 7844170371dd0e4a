"""Score detection on real fields of many kinds, beside simple methods that are told the size."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stemcls.bench.measure import need, result
from stemcls.config.imaging import DetectConfig, ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.detection.detect import detect
from stemcls.imaging.detection.netfinder import planes_of
from stemcls.imaging.detection.settle import SAMPLE_FIELDS, settle
from stemcls.imaging.detection.survey import evenly_spread
from stemcls.imaging.field import Field
from stemcls.imaging.readers import read_field
from stemcls.imaging.scalespace.find import find_blobs
from stemcls.imaging.tuning.matching import match_centers
from stemcls.store.tables import read_table

HALVES = ("a", "b")  # every other field, from the first and from the second
LEAST_PX = 5.0
_MOST_FIELDS = 12  # of a half


@dataclass(frozen=True, eq=False)
class RealSet:
    """Fields of one half of a set, and the known cells of each: (N, 3) y, x, radius."""

    fields: list[Field]
    known: list[np.ndarray]

    @property
    def diameter_px(self) -> float:
        """Usual diameter of the known cells."""
        return 2 * float(np.median(np.concatenate(self.known)[:, 2]))


# Where each set is, the F1 that is wanted of it, and the radius where the table tells none.
SETS: dict[str, tuple[str, str, float, float]] = {
    "dic_hela": ("fields/dic_hela", "fields/dic_hela.csv", 0.85, 0.0),
    "usiigaci_large": ("fields/usiigaci_large", "fields/usiigaci_large.csv", 0.85, 0.0),
    "usiigaci_small": ("fields/usiigaci_small", "fields/usiigaci_small.csv", 0.75, 0.0),
    "psc_phase": ("fields/psc_phase", "fields/psc_phase.csv", 0.90, 0.0),
    "bccd": ("fields/bccd", "fields/bccd.csv", 0.80, 0.0),
    "nih3t3": ("fields/nih3t3", "fields/nih3t3.csv", 0.88, 0.0),
    "hela_h2b": ("fields/hela_h2b", "fields/hela_h2b.csv", 0.93, 0.0),
    "chula": ("chula/fields", "chula/cells.csv", 0.934, 20.0),
    "gowt1": ("gowt1/fields", "gowt1/cells.csv", 0.970, 25.0),
}


def real_fields(data: Path) -> list[dict[str, Any]]:
    """Score the defaults on both halves of every set of real fields.

    Half a is every other field from the first: the detector that is shipped was trained on half a
    of the Usiigaci, BCCD and Chula sets, and settings were tuned on halves a. No field of a half b
    was trained on, but two rules of the size estimate were mended after looking at it. Cells match
    within the usual radius, at least 5 pixels.

    Args:
        data: Folder of real images: fields/, chula/, gowt1/.
    Returns: `detect-real-SET-HALF`: F1 beside the best of three simple methods that are told the
        diameter: LoG, LoG of the local deviation, and Otsu's threshold with the distance to
        background.
    """
    need(*(data / folder for folder, *_ in SETS.values()))
    return [
        score_half(name, half, read_half(data, name, number))
        for name in SETS for number, half in enumerate(HALVES)
    ]  # fmt: skip


def read_half(data: Path, name: str, half: int, most: int = _MOST_FIELDS) -> RealSet:
    """Read every other field of a set, from the first (half 0) or the second (half 1)."""
    folder, table, _, radius = SETS[name]
    known: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for _, row in read_table(data / table, ("field", "x_px", "y_px"), ("radius_px",)):
        size = float(row.get("radius_px") or radius)
        known[row["field"]].append((float(row["y_px"]), float(row["x_px"]), size))
    paths = [path for path in sorted((data / folder).iterdir()) if path.name in known]
    chosen = evenly_spread(paths[half::2], most)
    return RealSet(
        [read_field(path, ReadConfig()) for path in chosen],
        [np.array(known[path.name]) for path in chosen],
    )


def score(found: list[np.ndarray], known: list[np.ndarray]) -> dict[str, float]:
    """Return precision, recall and F1 of all fields together, within the usual radius of each."""
    hits = n_found = n_known = 0
    for centers, truth in zip(found, known, strict=True):
        within = max(LEAST_PX, float(np.median(truth[:, 2])))
        hits += len(match_centers(centers, truth[:, :2], within).pairs)
        n_found, n_known = n_found + len(centers), n_known + len(truth)
    return {
        "f1": 2 * hits / max(n_found + n_known, 1), "precision": hits / max(n_found, 1),
        "recall": hits / max(n_known, 1),
    }  # fmt: skip


def score_half(name: str, half: str, real: RealSet) -> dict[str, Any]:
    """Return the row of one half of a set."""
    start = time.perf_counter()
    error, diameter, found = "", 0.0, [np.zeros((0, 2))] * len(real.fields)
    try:
        config = settle(evenly_spread(real.fields, SAMPLE_FIELDS), DetectConfig()).config
        diameter = config.diameter_px
        found = [detect(field, config).centers_px for field in real.fields]
    except InputError as refused:
        error = str(refused)
    seconds = (time.perf_counter() - start) / len(real.fields)
    ours = score(found, real.known)
    simple = {
        label: score([find(field, real.diameter_px) for field in real.fields], real.known)["f1"]
        for label, find in _BASELINES.items()
    }
    best = max(simple, key=lambda label: simple[label])
    wanted = SETS[name][2]
    return result(
        f"detect-real-{name}-{half}", ours["f1"], simple[best], "F1",
        wanted / max(simple[best], 1e-9), None, higher_is_better=True, wanted=wanted,
        precision=ours["precision"], recall=ours["recall"], baseline_method=best, simple=simple,
        diameter_px=diameter, true_diameter_px=real.diameter_px, fields=len(real.fields),
        seconds_per_field=seconds, **({"error": error} if error else {}),
    )


def _plane(field: Field) -> np.ndarray:
    plane = next(planes_of(field)).astype(np.float32)
    return (plane - plane.min()) / max(float(np.ptp(plane)), 1e-6)


def _by_log(field: Field, diameter_px: float) -> np.ndarray:
    sigma = diameter_px / 2 / 2**0.5
    return find_blobs(
        _plane(field), min_sigma=0.7 * sigma, max_sigma=1.4 * sigma, polarity="both",
        threshold=0.05, overlap=0.3,
    ).centers_px


def _by_deviation(field: Field, diameter_px: float) -> np.ndarray:
    plane = _plane(field)
    edge = max(3, round(diameter_px / 5) | 1)
    mean = cv2.blur(plane, (edge, edge))
    spread = np.sqrt(np.maximum(cv2.blur(plane * plane, (edge, edge)) - mean * mean, 0))
    sigma = diameter_px / 2 / 2**0.5
    return find_blobs(
        spread / max(float(spread.max()), 1e-6), min_sigma=0.7 * sigma, max_sigma=1.4 * sigma,
        threshold=0.03, overlap=0.3,
    ).centers_px


def _by_threshold(field: Field, diameter_px: float) -> np.ndarray:
    from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter
    from skimage.feature import peak_local_max
    from skimage.filters import threshold_otsu

    smooth = gaussian_filter(_plane(field), 1.0)
    level = threshold_otsu(smooth)
    mask = smooth > level
    # Cells are what covers less.
    mask = binary_fill_holes(~mask if mask.mean() > 0.5 else mask)
    distance = gaussian_filter(distance_transform_edt(mask), max(1.0, diameter_px / 20))
    return peak_local_max(
        distance, min_distance=max(1, round(diameter_px / 3)), threshold_abs=diameter_px / 8
    ).astype(float)


_BASELINES: dict[str, Callable[[Field, float], np.ndarray]] = {
    "LoG": _by_log, "local deviation + LoG": _by_deviation, "Otsu + distance": _by_threshold,
}
