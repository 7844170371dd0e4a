"""Whole routes on real images, as a user would type them, beside a classical pipeline."""

from __future__ import annotations

import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.bench.measure import need, result, stemcls_json
from stemcls.store.cropstore import CropStore

MOBILENET_V2 = "mobilenet_v2_1.0_224_no_top.weights.h5"
MOBILENET_025 = "mobilenet_2_5_224_tf_no_top.h5"
# What each route has to reach, whatever the baseline gets.
HT1080_AUROC, HT1080_RECALL, CHULA_RECALL = 0.98, 0.93, 0.82
CHULA_CLASSES = 7


def ht1080(data: Path) -> list[dict[str, Any]]:
    """Cross-validate on single-cell crops: ready-made crops, 2 classes, 5 folds by field."""
    crops, weights = data / "ht1080", data / "weights"
    need(crops, weights / MOBILENET_V2, weights / MOBILENET_025)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "datasets" / "ht1080.h5"
        stemcls_json(
            "build", crops, "--out", store, "--kind", "crops",
            "--group", r"[^/]+/([^-]+-[^-]+)-", "--group-what", "field of view",
        )
        found = _cross_validate(store, folder, (), weights / MOBILENET_V2)
        classical = _floor(store, weights / MOBILENET_025)
    return [
        _row("ht1080 mean recall", "mean_recall", found, classical, HT1080_RECALL),
        _row("ht1080 AUROC", "auroc", found, classical, HT1080_AUROC),
    ]


def chula(data: Path) -> list[dict[str, Any]]:
    """Fields to classes: find cells, match them to the known ones, crop, train, 5 folds by field.

    Only cells that were found are scored; `found_share` says how many of the known ones were.
    """
    fields, weights = data / "chula" / "fields", data / "weights"
    truth = data / "chula" / "cells.csv"
    need(fields, truth, weights / MOBILENET_V2, weights / MOBILENET_025)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "datasets" / "chula.h5"
        built = stemcls_json(
            "build", fields, "--cells", truth, "--cells-match", "20", "--crop-px", "48",
            "--edge", "reflect", "--out", store,
        )
        by_count = sorted(built["classes"], key=built["classes"].get, reverse=True)
        chosen = by_count[:CHULA_CLASSES]
        picked = [part for name in chosen for part in ("--classes", name)]
        found = _cross_validate(store, folder, tuple(picked), weights / MOBILENET_V2)
        classical = _floor(store, weights / MOBILENET_025, tuple(chosen))
    with truth.open(newline="", encoding="utf-8") as file:
        known = sum(line["label"] in chosen for line in csv.DictReader(file))
    row = _row("chula mean recall", "mean_recall", found, classical, CHULA_RECALL)
    row["found_share"] = found["metrics"]["n"] / known
    return [row]


def _cross_validate(
    store: Path, workspace: str, settings: tuple[str, ...], weights: Path
) -> dict[str, Any]:
    begun = time.monotonic()
    found = stemcls_json(
        "train", store, "--workspace", workspace, "--folds", "5", "--weights", weights, *settings
    )
    return {**found, "seconds": time.monotonic() - begun}


def _floor(store_path: Path, weights: Path, classes: tuple[str, ...] = ()) -> dict[str, float]:
    """Score the usual quick way: MobileNet 0.25 at 96 px, one view, then logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score, roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from stemcls.config.experiment import ModelConfig, SplitConfig
    from stemcls.models.backend import start_keras
    from stemcls.models.build import build_extractor
    from stemcls.store.splits import make_folds

    start_keras(None)
    store = CropStore.open(store_path)
    config = ModelConfig(
        backbone="MobileNet", alpha=0.25, weights=str(weights), input_px=96, stride=(32,)
    )
    extractor = build_extractor(config, store.size_px, store.n_channels, 255.0)
    features = extractor.predict(store.read(np.arange(len(store))), batch_size=64, verbose=0)
    scores: dict[str, list[float]] = {"mean_recall": [], "auroc": []}
    for split in make_folds(store, SplitConfig(classes=classes), 5, seed=0):
        fit = np.concatenate([split.train, split.validation])
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=0.003, class_weight="balanced", max_iter=1000),
        ).fit(features[fit], split.targets(store, fit))
        truth = split.targets(store, split.test)
        shares = model.predict_proba(features[split.test])
        scores["mean_recall"].append(recall_score(truth, shares.argmax(axis=1), average="macro"))
        shares = shares if len(split.classes) > 2 else shares[:, 1]
        scores["auroc"].append(roc_auc_score(truth, shares, multi_class="ovr"))
    return {key: float(np.mean(values)) for key, values in scores.items()}


def _row(
    name: str, key: str, found: dict[str, Any], classical: dict[str, float], wanted: float
) -> dict[str, Any]:
    mean_sd = found["mean_sd"]
    return result(
        name, mean_sd[key], classical[key], "mean over 5 folds", wanted / classical[key], None,
        higher_is_better=True, sd=mean_sd[f"{key}_sd"], pooled=found["metrics"][key],
        pooled_ci=found["metrics"][f"{key}_ci"],
        frozen_stage_only=found.get("frozen_mean_sd", mean_sd)[key], n=found["metrics"]["n"],
        seconds=round(found["seconds"], 1),
    )
