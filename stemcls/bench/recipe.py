"""Measure what the stages are worth: all of them, the frozen one, and training from scratch."""

from __future__ import annotations

import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

from stemcls.bench.measure import need, result, stemcls_json
from stemcls.runs import Run

WEIGHTS = "weights/mobilenet_2_5_224_tf_no_top.h5"
SIMULATION = (
    "--classes", "3", "--fields", "20", "--cells", "16", "--groups", "5", "--difficulty", "0.5",
)
NETWORK = (
    "--backbone", "MobileNet", "--alpha", "0.25", "--stride", "16", "--test-views", "8",
    "--test", "0.4",
)
FINETUNE = (
    "--finetune-epochs", "30", "--finetune-patience", "30", "--finetune-learning-rate", "3e-4",
    "--finetune-schedule", "cosine", "--finetune-backbone-factor", "0.3",
)
SEEDS = (0, 1, 2)


def train_recipe(data: Path) -> list[dict[str, Any]]:
    """Train on simulated cells of few donors in three ways that take equally long.

    ImageNet weights, a frozen stage and a fine-tuning stage; then the frozen stage alone and the
    same network from random weights, each with as many epochs as fit in the seconds that the
    stages took, and none given back by early stopping.

    Returns: Mean recall on unseen donors, median of three seeds (of cells, split and training):
        `train-recipe-frozen` and `train-recipe-scratch`, ours being the stages; `seconds` says how
        long each trained.
    """
    weights = data / WEIGHTS
    need(weights)
    found: dict[str, list[dict[str, float]]] = {"stages": [], "frozen": [], "scratch": []}
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        for seed in SEEDS:
            place = Path(folder) / str(seed)
            store = _store(place, seed)
            train = ("train", store, "--workspace", place, *NETWORK, "--seed", seed)
            pretrained = (*train, "--weights", weights)
            stages = _trained(*pretrained, *FINETUNE)
            left = stages["seconds"]
            epochs = math.ceil(left / stages["finetune_epoch_seconds"])
            alone = math.ceil(left / stages["frozen_epoch_seconds"])
            found["stages"].append(stages)
            found["frozen"].append(
                _trained(
                    *pretrained, "--finetune-epochs", 0, "--frozen-epochs", alone,
                    "--frozen-patience", alone,
                )
            )
            found["scratch"].append(
                _trained(
                    *train, "--weights", "none", "--scratch-epochs", epochs,
                    "--scratch-patience", epochs,
                )
            )
    return [_row(name, found) for name in ("frozen", "scratch")]


def _store(place: Path, seed: int) -> Path:
    fields, store = place / "fields", place / "datasets" / "cells.h5"
    simulated = stemcls_json("simulate", fields, *SIMULATION, "--seed", seed)
    stemcls_json(
        "build", fields, "--manifest", simulated["manifest"], "--group-what", "donor",
        "--out", store,
    )
    return store


def _trained(*arguments: object) -> dict[str, float]:
    document = stemcls_json(*arguments)
    run = Run.open(Path(document["run"]))
    epochs = [event for event in run.events() if event["event"] == "epoch"]
    per_stage: dict[str, list[float]] = {}
    for event in epochs:
        per_stage.setdefault(event["stage"], []).append(event["seconds"])
    return {
        "mean_recall": document["metrics"]["mean_recall"],
        "seconds": sum(sum(seconds) for seconds in per_stage.values()),
        **{f"{name}_epoch_seconds": statistics.median(s) for name, s in per_stage.items()},
    }


def _row(name: str, found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    def median(way: str, key: str) -> float:
        return statistics.median(one[key] for one in found[way])

    return result(
        f"train-recipe-{name}", median("stages", "mean_recall"), median(name, "mean_recall"),
        "mean recall", 1.0, True, higher_is_better=True,
        seconds={way: round(median(way, "seconds"), 1) for way in ("stages", name)},
        seeds={way: [round(one["mean_recall"], 4) for one in found[way]] for way in found},
    )
