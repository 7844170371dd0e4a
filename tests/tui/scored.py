"""Made-up runs that were scored, explained and put to work, as their folders lie on disk."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from stemcls import atomic
from stemcls.evaluation.predictions import Predictions, write_predictions
from stemcls.runs import Run
from tui import tasks
from tui.processes import spawn

from .conftest import NO_SUCH_PID, finish, make_run, read_json, write_store

CLASSES = ("alpha", "beta")
# Of 12 crops those of rows 0, 4 and 8 are beta; row 1 is wrongly called beta, row 8 alpha.
P_BETA = np.array([.9, .6, .2, .1, .8, .15, .1, .05, .3, .2, .1, .05], dtype=np.float32)
ROWS = np.arange(12)


def scored_run(workspace: Path) -> Run:
    """Make a finished run, `done`, with predictions of every crop of the store `good.h5`."""
    made = make_run(workspace, "done", NO_SUCH_PID)
    score(made, lit_store(workspace / "datasets" / "good.h5"))
    return made


def enrich(run: Run) -> None:
    """Add what `evaluate RUN STORE` and `calibrate` leave in a run."""
    path = run.path / "evaluation" / "metrics.json"
    document = read_json(path)
    document["metrics"] |= {"ece": 0.125, "ece_ci": [0.1, 0.15], "evaluated_on": "test"}
    atomic.write_json(path, document)
    for folder, on in (("mice-2-abcd1234", "mice-2.h5"), ("test", "test")):
        (path.parent / folder).mkdir()
        metrics = {"n": 77, "mean_recall": 0.611, "mean_recall_ci": [0.5, 0.7], "auroc": None,
                   "evaluated_on": on}
        atomic.write_json(path.parent / folder / "metrics.json", {"metrics": metrics})
    (run.path / "calibrated").mkdir()
    after = {"ece": 0.031, "ece_ci": [0.02, 0.04]}
    atomic.write_json(run.path / "calibrated" / "calibration.json", {"test": {"after": after}})


def score(run: Run, store: Path) -> None:
    """Give a run predictions of every crop of a store of `write_store`, and matching scores."""
    finish(run)
    labels = (ROWS % 4 == 0).astype(int)
    probabilities = np.stack([1 - P_BETA, P_BETA], axis=1)
    predictions = Predictions(ROWS, labels, probabilities, ROWS % 3, CLASSES)
    write_predictions(run.path / "evaluation" / "predictions.csv", predictions)
    document = run.read_json("evaluation/metrics.json")
    counts = np.zeros((2, 2), int)
    np.add.at(counts, (labels, predictions.predicted), 1)
    document |= {"confusion": counts.tolist(), "n": 12}
    atomic.write_json(run.path / "evaluation" / "metrics.json", document)
    atomic.write_text(run.path / "config.toml", f'store = "{store}"\n')
    atomic.write_json(run.path / "split.json", {"by": "group", "store_hash": "abc"})
    (run.path / "model.keras").touch()


def lit_store(path: Path) -> Path:
    """Write a store whose crops differ: each is lit in one row of pixels more than the last."""
    write_store(path)
    with h5py.File(path, "r+") as file:
        for row in ROWS:
            file["images"][row, : row % 8 + 1] = 200
    return path


def explain(run: Run, store: Path, folder: str = "20260101-000000") -> Path:
    """Leave what `stemcls explain` does of the two wrong cells, by two methods."""
    home = run.path / "explanations" / folder
    home.mkdir(parents=True)
    check = {"passed": False, "verdict": "gradcam FAILED on this model."}
    rows = [
        {"method": "gradcam", "layer": "relu_3", "pixel_score": 0.25,
         "inside": {"mass": 0.75, "area": 0.25, "n": 2}, "check": check},
        {"method": "lrp", "layer": "", "pixel_score": 0.125, "inside": None, "check": None},
    ]
    document = {"gallery": "here/gallery.html", "n_cells": 2, "methods": rows, "store": str(store)}
    atomic.write_json(home / "explanation.json", document)
    heat = np.zeros((2, 8, 8), np.float32)
    heat[:, :, :2] = 1.0
    with h5py.File(home / "maps.h5", "w") as file:
        file.attrs["classes"] = np.array(CLASSES, dtype=object)
        file["crops"] = np.full((2, 8, 8, 1), 100, np.uint8)
        file["rows"], file["truth"], file["predicted"] = [1, 8], [0, 1], [1, 0]
        file["score"] = np.array([0.6, 0.7], np.float32)
        for name, sign in (("gradcam", 1), ("lrp", -1)):
            group = file.create_group(f"methods/{name}")
            group.attrs["layer"] = "relu_3" if name == "gradcam" else ""
            group["heatmaps"] = heat * sign
            group["pixel_score"] = np.array([0.25, 0.5], np.float32)
    return home


def predict(folder: Path) -> Path:
    """Leave what `stemcls predict` does of two fields of three cells."""
    folder.mkdir(parents=True)
    lines = ["path,y_px,x_px,radius_px,class,score,p_alpha,p_beta"]
    for field, name in enumerate(("one.tif", "two.tif")):
        for cell, p_alpha in enumerate((0.95, 0.65, 0.2)):
            called = "alpha" if p_alpha > 0.5 else "beta"
            at = 10 + 15 * cell
            lines.append(
                f"fields/{name},{at}.0,{at + 5 * field}.0,6.0,{called},"
                f"{max(p_alpha, 1 - p_alpha):.6f},{p_alpha:.6f},{1 - p_alpha:.6f}"
            )
    (folder / "cells.csv").write_text("\n".join(lines) + "\n")
    (folder / "cells-overlays").mkdir()
    grey = np.full((60, 60, 3), 90, np.uint8)
    Image.fromarray(grey).save(folder / "cells-overlays" / "fields-one.tif.png")
    return folder / "cells.csv"


def stand_in(monkeypatch, code: str) -> list[list[str]]:
    """Let tasks run `code` in place of stemcls; returns the command lines they were given."""
    seen: list[list[str]] = []

    def fake(argv: list[str], log: Path, environment: Mapping[str, str]) -> int:
        seen.append(argv)
        return spawn([sys.executable, "-c", code, *argv], log, environment=environment)

    monkeypatch.setattr(tasks, "spawn", fake)
    return seen
