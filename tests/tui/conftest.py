"""A made-up workspace: tiny stores and run folders as the UI finds them on disk."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from stemcls import atomic
from stemcls.runs import Run
from stemcls.store.layout import FORMAT, VERSION
from tui import settings

NO_SUCH_PID = 2**22 - 3


def write_store(path: Path, n_crops: int = 12) -> Path:
    """Write a finished crop store by hand: two classes, three donors, 8x8 grey crops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.arange(n_crops)
    with h5py.File(path, "w") as file:
        file.attrs.update(
            format=FORMAT, version=VERSION, channels=["grey"], content_hash="abc", config="{}",
            created="2026-01-01T00:00:00Z", pixel_size_um=0.5,
        )
        file["images"] = np.zeros((n_crops, 8, 8, 1), np.uint8)
        file["label"] = (rows % 4 == 0).astype(np.int32)
        file["label"].attrs["names"] = ["alpha", "beta"]
        file["field"] = (rows % 3).astype(np.int32)
        file["group"] = (rows % 3).astype(np.int32)
        file["group"].attrs.update(names=["donor-1", "donor-2", "donor-3"], what="donor")
        file["center_px"] = np.zeros((n_crops, 2), np.float32)
        file["radius_px"] = np.ones(n_crops, np.float32)
        file["intensity"] = np.zeros((n_crops, 1), np.float32)
        file["fields/path"] = [f"field-{index}.tif" for index in range(3)]
        file["fields/sha256"] = ["0" * 64] * 3
        file["fields/shape"] = np.ones((3, 3), np.int32)
        file["fields/pixel_size_um"] = np.full(3, 0.5)
        file["fields/brightness"] = np.zeros(3, np.float32)
        file["fields/n_cells"] = np.full(3, 4, np.int32)
    return path


def make_run(workspace: Path, name: str, pid: int, host: str | None = None) -> Run:
    """Make a run folder whose process is `pid`, with one epoch behind it."""
    run = Run(workspace / "saved_models" / name)
    run.path.mkdir(parents=True)
    (run.path / "config.toml").touch()
    run.append("started", pid=pid, host=host or socket.gethostname(), kind="train")
    run.append("stage", stage="frozen", epochs=5)
    run.append("epoch", stage="frozen", epoch=1, epochs=5, loss=0.9, val_loss=0.8, seconds=0.1)
    (run.path / "log.txt").write_text("stage frozen: at most 5 epochs\nsecond line of the log\n")
    return run


def finish(run: Run) -> None:
    """Give a run its evaluation and its last event."""
    per_class = dict.fromkeys(("sensitivity", "specificity", "ppv", "npv", "f1", "auroc"), 0.75)
    metrics = {
        "n": 16, "n_groups": 3, "mean_recall": 0.8125, "mean_recall_ci": [0.6, 0.9],
        "auroc": 0.9, "auroc_ci": [0.7, 0.99], "accuracy": 0.8125,
        "per_class": {"alpha": {"n": 8, **per_class}, "beta": {"n": 8, **per_class}},
    }
    (run.path / "evaluation").mkdir()
    document = {"metrics": metrics, "confusion": [[7, 1], [2, 6]],
                "labels": ["alpha", "beta"], "n": 16}
    atomic.write_json(run.path / "evaluation" / "metrics.json", document)
    run.append("finished", metrics={"mean_recall": 0.8125, "auroc": 0.9})


@pytest.fixture(autouse=True)
def _quick_refresh(monkeypatch):
    monkeypatch.setattr("tui.app.REFRESH_SECONDS", 0.2)
    monkeypatch.setattr("tui.screens.results.REFRESH_SECONDS", 0.2)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path_factory):
    """The settings and state of a person who has seen the tour; no other test sees them."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    settings.keep_settings(settings.Settings(toured=True))
    return folder


@pytest.fixture
def workspace(tmp_path):
    """One good store, one broken; a finished, a crashed and a running run."""
    write_store(tmp_path / "datasets" / "good.h5")
    (tmp_path / "datasets" / "broken.h5").write_text("this is no HDF5 file")
    finish(make_run(tmp_path, "done", NO_SUCH_PID))
    make_run(tmp_path, "dead", NO_SUCH_PID)
    make_run(tmp_path, "alive", os.getpid())
    # Newest first is by the folder's time: make it certain.
    for age, name in enumerate(("alive", "dead", "done")):
        os.utime(tmp_path / "saved_models" / name, (1_700_000_000 - age, 1_700_000_000 - age))
    return tmp_path


@pytest.fixture
def sleeper():
    """A process that does nothing for a while, as a job under way does."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def launched():
    """Processes that jobs.launch started in a test; ended and collected after it."""
    from tui import jobs, processes

    before = set(processes._children)
    yield jobs
    for pid in set(processes._children) - before:
        child = processes._children.pop(pid)
        child.kill()
        child.wait()


def read_json(path: Path):
    """Return the JSON document at `path`."""
    return json.loads(path.read_text(encoding="utf-8"))
