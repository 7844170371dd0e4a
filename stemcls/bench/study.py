"""Measure whole studies: what the shared features save, and what a search gains on real images."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.bench.backends import make_store, on_backend
from stemcls.bench.frozen import LOSS_TOLERANCE, measure_frozen
from stemcls.bench.measure import need, result, stemcls_json
from stemcls.bench.real import MOBILENET_V2
from stemcls.config.experiment import Experiment, ModelConfig, SplitConfig, StageConfig
from stemcls.interruption import Interruption
from stemcls.models.backend import choose_backend
from stemcls.store.splits import Split
from stemcls.tuning.running.machine import machine_of
from stemcls.tuning.running.supervise import Search
from stemcls.tuning.space.dimensions import Dimension
from stemcls.tuning.space.space import SearchSpace
from stemcls.tuning.study.setup import define, new_study
from stemcls.tuning.study.study import Study

CROPS, TRIALS, FOLDS = 5000, 40, 3
# Of our own study this many trials are run; the others are taken to last as long as these did.
MEASURED = 2
EPOCHS, VIEWS, BATCH = 20, 8, 128
TARGET = 50.0
# Of the baseline this many epochs are run and scaled.
BASELINE_EPOCHS = 4
REAL_TRIALS = 20

_HEAD_SPACE = SearchSpace((
    Dimension(key="model.dropout", kind="float", low=0.0, high=0.6, default=0.3),
    Dimension(key="model.l2", kind="float", low=1e-6, high=1e-2, log=True, default=1e-3),
    Dimension(
        key="stages.frozen.learning_rate", kind="float", low=1e-4, high=1e-2, log=True, default=1e-3
    ),
))

_REAL_SPACE = """
["model.input_px"]
choices = [96, 160]
["model.stride"]
choices = [32, 16]
["model.dropout"]
low = 0.0
high = 0.6
["model.l2"]
low = 1e-6
high = 1e-2
log = true
["stages.frozen.learning_rate"]
low = 1e-4
high = 1e-2
log = true
"""


def head_study(data: Path, crops: int = CROPS, measured: int = MEASURED) -> dict[str, Any]:
    """Time a study of heads on cached features beside the same trials without them.

    Of our study of 40 trials of 3 folds a few trials are run: the first fold, which loads Keras and
    computes the features, counts once, the median of the others as often as is left. The baseline
    is the same frozen stage through the whole network, as a tuner that knows nothing of features
    would run it. Of it 4 epochs of one view are run; its study is their time per crop times the
    crops of every epoch of every fold of ours, plus one compilation a fold. Both sides are the
    search alone, without the two trainings at its end.

    Args:
        data: MobileNetV2 takes its weights from there, or random ones where there are none.
        crops: Random ones, 64x64x3, in the store.
        measured: How many trials to run, all folds of each.
    Returns: `tune-head`, seconds. Outputs are equal where a stage has the same validation losses
        with and without cached features.
    """
    weights = data / "weights" / MOBILENET_V2
    named = str(weights.resolve()) if weights.is_file() else "none"
    backend = choose_backend(None)
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        store = make_store(Path(folder), crops)
        study = _study(store, named, Path(folder), measured, backend)
        ends = _ends_of_folds(study)
        found = on_backend(
            backend, measure_frozen, store=str(store), weights=named, count=crops,
            epochs=BASELINE_EPOCHS,
        )
        passes, folds = crop_passes(study)
    all_folds = TRIALS * FOLDS
    fold_seconds = float(np.median(np.diff(ends)))
    uncached = found["uncached"]
    per_crop = uncached["epoch_seconds"] / found["crops"]
    start = max(0.0, uncached["first_epoch_seconds"] - uncached["epoch_seconds"])
    losses = np.abs(np.subtract(found["cached"]["losses"], uncached["losses"]))
    return result(
        "tune-head", ends[0] + fold_seconds * (all_folds - 1),
        (per_crop * passes / folds + start) * all_folds,
        f"s for {TRIALS} trials of {FOLDS} folds", TARGET, bool((losses <= LOSS_TOLERANCE).all()),
        backend=backend, crops=crops, weights=Path(named).name, folds_measured=folds,
        first_fold_seconds=ends[0], seconds_a_fold=fold_seconds,
        baseline_crop_passes=passes / folds * all_folds, baseline_seconds_a_crop=per_crop,
        baseline_start_seconds=start, largest_loss_difference=float(losses.max()),
    )


def _ends_of_folds(study: Study) -> list[float]:
    """Search a study; return after how many seconds each of its folds was done."""
    ends: list[float] = []
    begun = time.perf_counter()

    def note(done: int, total: int, text: str) -> None:  # noqa: ARG001
        ends.extend([time.perf_counter() - begun] * (done - len(ends)))

    executor = machine_of(1, (), None, _quiet).open(study.path)
    try:
        Search(study, executor, Interruption(), say=_quiet, update=note).run()
    finally:
        executor.shutdown(wait=False)
    return ends


def real_study(data: Path, trials: int = REAL_TRIALS) -> list[dict[str, Any]]:
    """Search for 20 trials of 3 folds by field on `ht1080`; score on fields that it never saw."""
    crops, weights = data / "ht1080", data / "weights" / MOBILENET_V2
    need(crops, weights)
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        store, space = Path(folder) / "datasets" / "ht1080.h5", Path(folder) / "space.toml"
        stemcls_json(
            "build", crops, "--out", store, "--kind", "crops",
            "--group", r"[^/]+/([^-]+-[^-]+)-", "--group-what", "field of view",
        )
        space.write_text(_REAL_SPACE, encoding="utf-8")
        begun = time.monotonic()
        found = stemcls_json(
            "tune", store, "--workspace", folder, "--trials", trials, "--folds", FOLDS,
            "--backbone", "MobileNetV2", "--weights", weights.resolve(), "--objective", "auroc",
            "--test", "0.3", "--finetune-epochs", "0", "--space", space,
        )
        seconds = time.monotonic() - begun
    return [_real_row(key, found, seconds) for key in ("auroc", "mean_recall")]


def _real_row(key: str, found: dict[str, Any], seconds: float) -> dict[str, Any]:
    best, initial = found["best"], found["initial"]
    differences = (
        found["comparison"]["runs"][0]["differences"][key] if found["comparison"] else None
    )
    return {
        "name": f"tune-real {key}",
        "ours": best["metrics"][key],
        "baseline": initial["metrics"][key],
        "ratio": best["metrics"][key] / initial["metrics"][key],
        "unit": "best and initial settings on fields held out of the search",
        "target": None,
        "equal_outputs": None,
        "ci": best["metrics"][f"{key}_ci"],
        "baseline_ci": initial["metrics"][f"{key}_ci"],
        "difference": differences,
        "search": [best["score"], best["std"], initial["score"], initial["std"]],
        "trial": best["trial"],
        "values": best["values"],
        "n": best["metrics"]["n"],
        "states": [trial["state"] for trial in found["trials"]],
        "seconds": round(seconds, 1),
    }


def _study(store: Path, weights: str, folder: Path, trials: int, backend: str) -> Study:
    stage = StageConfig(
        name="frozen", trainable="none", epochs=EPOCHS, patience=EPOCHS, learning_rate=1e-3,
        batch_size=BATCH, views=VIEWS,
    )
    experiment = Experiment(
        store=str(store), name="bench", stages=(stage,),
        model=ModelConfig(backbone="MobileNetV2", weights=weights, stride=(32,), input_px=0),
        split=SplitConfig(by="crop"),
    )
    definition = define(
        experiment, _HEAD_SPACE, objective="auroc", folds=FOLDS, algorithm="ei", racing=False,
        slots=1, backend=backend,
    )
    return new_study(definition, folder, trials)


def crop_passes(study: Study) -> tuple[float, int]:
    """Return how often the backbone would have seen a crop, and how many folds there were."""
    passes, folds = 0.0, 0
    for record in study.records():
        for number, fold in record.folds.items():
            split = Split.from_mapping(
                json.loads(study.split_path(number).read_text(encoding="utf-8"))
            )
            epoch = VIEWS * len(split.train) + len(split.validation)
            passes += fold.epochs * epoch + len(split.test)
            folds += 1
    return passes, folds


def _quiet(message: str) -> None:
    """Say nothing: a benchmark prints its rows."""
