"""Measure whole fields: how many cells are found, and how fast a store is built from files."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stemcls.bench.measure import interleave, result
from stemcls.config.imaging import BuildConfig, DetectConfig, SimulateConfig
from stemcls.imaging.detection.detect import detect
from stemcls.imaging.field import Field
from stemcls.imaging.readers import read_field
from stemcls.imaging.scalespace.find import find_blobs
from stemcls.imaging.simulation.simulate import simulate_field
from stemcls.imaging.tuning.matching import match_centers
from stemcls.store.build import build_store

Found = Callable[[Field], np.ndarray]
_WANTED_F1 = {"dic": 0.95, "phase": 0.95}
_FIELDS_PER_MODALITY = 12
_BUILD_FIELDS, _BUILD_PX, _BUILD_CELLS = 40, 2048, 150


def simulated_cells(data: Path) -> list[dict[str, Any]]:  # noqa: ARG001
    """Score the default detector on one-slice DIC and phase fields, each sheared its own way.

    Debris and clusters of touching cells lie between the cells; neither the shear nor the size is
    told. The baseline is a Laplacian of Gaussian of the pixels, which is told the radius.

    Returns: `detect-dic` and `detect-phase`, F1 within 0.6 radii.
    """
    return [_simulated(modality) for modality in ("dic", "phase")]


def build_rate(data: Path) -> dict[str, Any]:  # noqa: ARG001
    """Time a build from compressed 16-bit fields beside reading and decoding them, one by one.

    Returns: `detect-build`, fields a second; the target is half the rate of reading.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        source = root / "fields" / "cells"
        source.mkdir(parents=True)
        config = SimulateConfig(
            size_px=_BUILD_PX, cells=_BUILD_CELLS, radius_px=18.0, debris=20, clusters=10
        )
        pixels, _ = simulate_field(config, 0, 0)
        for number in range(_BUILD_FIELDS):
            # Rolled along, so that no two files are the same and drawing takes no minutes.
            rolled = np.roll(pixels, 37 * number, axis=2)
            tifffile.imwrite(
                source / f"{number:02d}.tif", rolled, compression="lzw", photometric="minisblack"
            )
        paths = sorted(source.iterdir())
        stores = iter(range(100))
        documents: list[dict[str, Any]] = []
        shapes: list[tuple[int, ...]] = []

        def build() -> None:
            out = root / f"{next(stores)}.h5"
            documents.append(build_store(source.parent, out, BuildConfig()))

        def read() -> None:
            shapes.extend(read_field(path).pixels.shape for path in paths)

        ours, baseline = interleave(build, read)
    same = {document["crops"] for document in documents}
    whole = all(document["fields"] == len(paths) for document in documents)
    return result(
        "detect-build", len(paths) / ours, len(paths) / baseline, "fields/s", 0.5,
        whole and len(same) == 1, higher_is_better=True, crops=same.pop(), pixels=shapes[0],
    )


def _simulated(modality: str) -> dict[str, Any]:
    generator = np.random.default_rng(7)
    fields, truth, reach = [], [], []
    for number in range(_FIELDS_PER_MODALITY):
        config = SimulateConfig(
            modality=modality, slices=1, seed=number, debris=10, clusters=6, noise=0.03,
            shear_deg=float(generator.uniform(0, 360)),
            radius_px=float(generator.uniform(9, 24)), size_px=768,
        )
        pixels, cells = simulate_field(config, number % 3, number)
        fields.append(Field(pixels, Path(f"{number}.tif"), (modality,)))
        truth.append(cells.centers_px)
        reach.append(0.6 * config.radius_px)
    sigmas = iter([reach_px / 0.6 / 2**0.5 for reach_px in reach])

    def raw(field: Field) -> np.ndarray:
        sigma = next(sigmas)
        return find_blobs(
            field.pixels[0], min_sigma=sigma / 2, max_sigma=2 * sigma, polarity="both",
            threshold=0.02,
        ).centers_px

    ours = _score(fields, truth, reach, lambda field: detect(field, DetectConfig()).centers_px)
    baseline = _score(fields, truth, reach, raw)
    return _row(f"detect-{modality}", "F1", _WANTED_F1[modality], ours, baseline)


def _row(
    name: str, unit: str, wanted: float, ours: dict[str, float], baseline: dict[str, float]
) -> dict[str, Any]:
    return result(
        name, ours["f1"], baseline["f1"], unit, wanted / max(baseline["f1"], 1e-9), None,
        higher_is_better=True, wanted=wanted,
        **{key: ours[key] for key in ("precision", "recall", "seconds_per_field")},
        baseline_seconds_per_field=baseline["seconds_per_field"],
    )


def _score(
    fields: Sequence[Field], truth: Sequence[np.ndarray], within_px: Sequence[float], find: Found
) -> dict[str, float]:
    hits = n_found = n_truth = 0
    seconds = 0.0
    for field, known, reach in zip(fields, truth, within_px, strict=True):
        start = time.perf_counter()
        centers = find(field)
        seconds += time.perf_counter() - start
        hits += len(match_centers(centers, known, reach).pairs)
        n_found += len(centers)
        n_truth += len(known)
    return {
        "f1": 2 * hits / (n_found + n_truth),
        "precision": hits / max(n_found, 1),
        "recall": hits / n_truth,
        "seconds_per_field": seconds / len(fields),
    }
