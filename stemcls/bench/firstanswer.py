"""Measure a default cross-validation beside the forty lines that a user would write instead."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.bench.measure import need, result, stemcls_json
from stemcls.bench.real import MOBILENET_V2
from stemcls.config.experiment import SplitConfig
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import make_folds

FOLDS = 5
ROUNDS = 3
# Ours may fall below by what chance does to a mean recall over a few hundred crops.
SCORE_TARGET, TIME_TARGET = 0.98, 1.0

# Frozen MobileNetV2 at stride 16, crops at 96 px, 8 views, then logistic regression.
_FORTY_LINES = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import cv2, keras, numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
crops, weights, edge = sys.argv[1], sys.argv[2], 96
data = np.load(crops)
x = np.stack([cv2.resize(crop, (edge, edge)) for crop in data["crops"]]).astype("float32")
x = x.reshape(len(x), edge, edge, -1)
x = np.repeat(x, 3, axis=3) if x.shape[-1] == 1 else x[..., :3]
x, y, fold = x / 127.5 - 1, data["labels"], data["fold"]
network = keras.applications.MobileNetV2(
    include_top=False, weights=weights, input_shape=(edge, edge, 3)
)
tap = network.get_layer("block_13_expand_relu").output
features = keras.Model(network.input, keras.layers.GlobalAveragePooling2D()(tap))
views = [np.rot90(x, turns, (1, 2)) for turns in range(4)]
views = [np.ascontiguousarray(v) for turned in views for v in (turned, turned[:, :, ::-1])]
found = np.stack([features.predict(v, batch_size=64, verbose=0) for v in views], 1)
shares = np.zeros((len(y), y.max() + 1))
for number in np.unique(fold):
    test = fold == number
    fit = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.003, max_iter=500, class_weight="balanced")
    ).fit(found[~test].mean(1), y[~test])
    each = fit.predict_proba(found[test].reshape(-1, found.shape[-1]))
    shares[test] = each.reshape(test.sum(), 8, -1).mean(1)
print(json.dumps(recall_score(y, shares.argmax(1), average="macro")))
"""


def first_answer(data: Path, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Time `stemcls train --folds 5` and the forty lines on the same folds, in turn.

    Each side is a process of its own, imports and features included, and keeps nothing for the
    next round.

    Args:
        data: Folder of real images.
        rounds: How often each side runs; the medians count.
    Returns: For each set a row of seconds and one of mean recall over all folds. Outputs are equal
        where both sides tested the same crops.
    """
    weights = data / "weights" / MOBILENET_V2
    rows: list[dict[str, Any]] = []
    for name, build in (("ht1080", _build_ht1080), ("cellcognition", _build_cellcognition)):
        need(data / "ht1080", data / "crops" / "cellcognition", weights)
        with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
            store = Path(folder) / "crops.h5"
            build(data, store)
            rows += _measure(name, store, weights.resolve(), Path(folder), rounds)
    return rows


def _build_ht1080(data: Path, store: Path) -> None:
    stemcls_json(
        "build", data / "ht1080", "--out", store, "--kind", "crops",
        "--group", r"[^/]+/([^-]+-[^-]+)-", "--group-what", "field of view",
    )


def _build_cellcognition(data: Path, store: Path) -> None:
    folder = data / "crops" / "cellcognition"
    stemcls_json(
        "build", folder, "--out", store, "--kind", "crops", "--manifest", folder / "manifest.csv"
    )


def _measure(
    name: str, store_path: Path, weights: Path, folder: Path, rounds: int
) -> list[dict[str, Any]]:
    store = CropStore.open(store_path)
    fold = np.full(len(store), -1)
    labels = np.zeros(len(store), np.int64)
    for number, split in enumerate(make_folds(store, SplitConfig(), FOLDS, seed=0)):
        fold[split.test], labels[split.test] = number, split.targets(store, split.test)
    used = np.flatnonzero(fold >= 0)
    crops = folder / "crops.npz"
    np.savez(crops, crops=store.read(used), labels=labels[used], fold=fold[used])
    seconds: dict[str, list[float]] = {"ours": [], "baseline": []}
    recalls: dict[str, float] = {}
    same = True
    for number in range(rounds):
        order = ("ours", "baseline") if number % 2 == 0 else ("baseline", "ours")
        for side in order:
            begun = time.perf_counter()
            if side == "ours":
                found = stemcls_json(
                    "train", store_path, "--workspace", folder / f"round-{number}", "--folds",
                    FOLDS, "--weights", weights,
                )
                recalls[side] = found["metrics"]["mean_recall"]
                same = same and found["metrics"]["n"] == len(used)
            else:
                done = subprocess.run(
                    [sys.executable, "-c", _FORTY_LINES, str(crops), str(weights)],
                    check=True, capture_output=True, text=True,
                )
                recalls[side] = json.loads(done.stdout.splitlines()[-1])
            seconds[side].append(time.perf_counter() - begun)
    ours, baseline = (statistics.median(seconds[side]) for side in ("ours", "baseline"))
    details: dict[str, Any] = {"crops": len(used), "rounds": rounds}
    return [
        result(
            f"first-answer {name} time", ours, baseline, "s for 5 folds", TIME_TARGET, same,
            **details,
        ),
        result(
            f"first-answer {name} mean recall", recalls["ours"], recalls["baseline"],
            "pooled over 5 folds", SCORE_TARGET, same, higher_is_better=True, **details,
        ),
    ]
