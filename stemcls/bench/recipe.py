"""Measure what the stages are worth: all of them, the frozen one, and training from scratch."""

from __future__ import annotations

import math
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcls.bench.measure import need, result, stemcls_json
from stemcls.runs import Run

WEIGHTS = "weights/mobilenet_2_5_224_tf_no_top.h5"
# So many donors that training has seven and five judge what a stage gained.
SIMULATION = (
    "--classes", "3", "--fields", "20", "--cells", "24", "--groups", "20", "--size-px", "384",
    "--difficulty", "0.5",
)
NETWORK = (
    "--backbone", "MobileNet", "--alpha", "0.25", "--stride", "16", "--test-views", "8",
    "--test", "0.4", "--validation", "0.25",
)
# Of the recipe; all three ways get the same.
AUGMENTATION = ("--rotate-deg", "0", "--shift", "0", "--zoom", "0", "--brightness", "0")
SEEDS = (0, 1, 2)


def train_recipe(data: Path) -> list[dict[str, Any]]:
    """Train on simulated cells of few donors in three ways that take equally long.

    ImageNet weights and the three stages of the recipe `gradual`; then the frozen stage alone, and
    the same network from random weights, each with as many epochs as fit in the seconds that the
    three stages took, and none given back by early stopping.

    Returns: Mean recall on unseen donors, median of three seeds (of cells, split and training):
        `train-recipe-frozen` and `train-recipe-scratch`, ours being the stages; `seconds` says how
        long each trained, `after_stages` what each stage of each seed left.
    """
    weights = data / WEIGHTS
    need(weights)
    ways: dict[str, list[_Trained]] = {"stages": [], "frozen": [], "scratch": []}
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        for seed in SEEDS:
            for way, trained in _three_ways(Path(folder) / str(seed), weights, seed).items():
                ways[way].append(trained)
    return [_row(name, ways) for name in ("frozen", "scratch")]


@dataclass(frozen=True)
class _Trained:
    mean_recall: float
    seconds: float
    epoch_seconds: dict[str, float]  # by stage, median
    after_stages: dict[str, float]  # mean recall


def _three_ways(place: Path, weights: Path, seed: int) -> dict[str, _Trained]:
    train = (
        "train", _store(place, seed), "--workspace", place, *NETWORK, *AUGMENTATION, "--seed", seed,
    )
    pretrained = (*train, "--weights", weights)
    stages = _trained(*pretrained, "--recipe", "gradual")
    alone = math.ceil(stages.seconds / stages.epoch_seconds["frozen"])
    epochs = math.ceil(stages.seconds / stages.epoch_seconds["all"])
    return {
        "stages": stages,
        "frozen": _trained(
            *pretrained, "--finetune-epochs", 0, "--frozen-epochs", alone,
            "--frozen-patience", alone,
        ),
        "scratch": _trained(
            *train, "--weights", "none", "--scratch-epochs", epochs, "--scratch-patience", epochs,
        ),
    }


def _store(place: Path, seed: int) -> Path:
    fields, store = place / "fields", place / "datasets" / "cells.h5"
    simulated = stemcls_json("simulate", fields, *SIMULATION, "--seed", seed)
    stemcls_json(
        "build", fields, "--manifest", simulated["manifest"], "--group-what", "donor",
        "--out", store,
    )
    return store


def _trained(*arguments: object) -> _Trained:
    document = stemcls_json(*arguments)
    run = Run.open(Path(document["run"]))
    epochs: dict[str, list[float]] = {}
    for event in run.events():
        if event["event"] == "epoch":
            epochs.setdefault(event["stage"], []).append(event["seconds"])
    after = run.read_json("evaluation/stages.json") or {}
    return _Trained(
        document["metrics"]["mean_recall"],
        sum(sum(seconds) for seconds in epochs.values()),
        {name: statistics.median(seconds) for name, seconds in epochs.items()},
        {name: round(metrics["mean_recall"], 4) for name, metrics in after.items()},
    )


def _row(name: str, ways: dict[str, list[_Trained]]) -> dict[str, Any]:
    recalls = {way: [one.mean_recall for one in trained] for way, trained in ways.items()}
    return result(
        f"train-recipe-{name}", statistics.median(recalls["stages"]),
        statistics.median(recalls[name]), "mean recall", 1.0, True, higher_is_better=True,
        seconds={way: [round(one.seconds, 1) for one in ways[way]] for way in ("stages", name)},
        seeds={way: [round(recall, 4) for recall in found] for way, found in recalls.items()},
        after_stages=[one.after_stages for one in ways["stages"]],
    )
