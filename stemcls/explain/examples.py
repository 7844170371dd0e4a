"""Explain a finished run on telling crops: for each class, sure hits and sure misses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.errors import InputError
from stemcls.explain.explain import explain
from stemcls.explain.overlays import write_overlays
from stemcls.models.ensemble import check_explainable
from stemcls.models.inference import predict
from stemcls.models.saved import load_model
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.training.score import finished_model, folder_of
from stemcls.training.train import read_experiment, read_split


def explain_run(
    run: Run,
    store_path: Path | None = None,
    *,
    method: str = "gradcam",
    layer: str | None = None,
    rows: list[int] | None = None,
    per_class: int = 3,
    out: Path | None = None,
) -> dict[str, Any]:
    """Write one overlay per crop and the pixel scores.

    Args:
        run: A finished run.
        store_path: Another store; None takes the run's own, and its test split.
        method: A name in `METHODS`.
        layer: Where to look; None chooses the deepest map that still says where.
        rows: Store rows; None picks per class the surest hits and half as many surest misses.
        per_class: How many hits of each predicted class where `rows` is None.
        out: Folder; None: the run's explanations/METHOD.
    Returns: `files`, `pixel_score` (mean over crops), `pixel_scores` (per crop), `rows`, `layer`,
        `method`.
    Raises:
        InputError: No model, unknown method or layer, rows outside the store.
    """
    model, card = load_model(finished_model(run))
    check_explainable(card, run.path)
    experiment = read_experiment(run)
    store = CropStore.open(store_path or Path(experiment.store))
    card.check_crops(store.path, store.shape[1:], store.dtype)
    truth = _true_names(store)
    if rows is None:
        candidates = np.arange(len(store)) if store_path else _test_rows(run, store)
        probabilities = predict(model, store.read, candidates, views=experiment.test_views)
        chosen = _telling(candidates, probabilities, truth, card.classes, per_class)
    else:
        chosen = np.array(rows, dtype=np.int64)
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(store):
            raise InputError(f"rows must be 0 to {len(store) - 1}, found {rows}")
    images = store.read(chosen)
    explanation = explain(model, images, method=method, layer=layer)
    best = explanation.probabilities.argmax(axis=1)
    if out is None:
        out = run.path / "explanations" / method / (folder_of(store) if store_path else "")
    files = write_overlays(
        explanation, images, out, chosen.tolist(),
        [truth[row] for row in chosen], [card.classes[index] for index in best],
        explanation.probabilities.max(axis=1).tolist(),
    )
    document = {
        "files": files,
        "pixel_score": float(explanation.pixel_score.mean()),
        "pixel_scores": explanation.pixel_score.tolist(),
        "rows": chosen.tolist(),
        "layer": explanation.layer,
        "method": method,
    }
    atomic.write_json(out / "explanation.json", document)
    return document


def _test_rows(run: Run, store: CropStore) -> np.ndarray:
    split = read_split(run)
    split.check(store)
    return split.test if len(split.test) else split.validation


def _true_names(store: CropStore) -> list[str | None]:
    return [store.classes[label] if label >= 0 else None for label in store.labels]


def _telling(
    rows: np.ndarray,
    probabilities: np.ndarray,
    truth: list[str | None],
    classes: tuple[str, ...],
    per_class: int,
) -> np.ndarray:
    best, score = probabilities.argmax(axis=1), probabilities.max(axis=1)
    names = [truth[row] for row in rows]
    hit = np.array([name == classes[index] for name, index in zip(names, best, strict=True)])
    known = np.array([name is not None for name in names])
    if not known.any():
        hit = known = ~known  # nothing is labelled: the surest of each class will do
    surest_first = np.argsort(-score, kind="stable")
    chosen: list[int] = []
    for index in range(len(classes)):
        of_class = surest_first[best[surest_first] == index]
        chosen += of_class[hit[of_class]][:per_class].tolist()
        chosen += of_class[known[of_class] & ~hit[of_class]][: (per_class + 1) // 2].tolist()
    return rows[chosen]
