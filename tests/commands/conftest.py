"""One finished run, its calibration and a foreign store, for the commands that assess runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from stemcls.config.experiment import SplitConfig
from stemcls.runs import Run

from .finished_runs import folds_run, single_run

NAMES = ("along x", "quer/süß")


@pytest.fixture(scope="session")
def assessed(tmp_path_factory: pytest.TempPathFactory, striped_store: Path) -> Path:
    """Return a workspace of a single run and a cross-validation."""
    workspace = tmp_path_factory.mktemp("assessed")
    split = SplitConfig(test=0.4, validation=0.3)
    single_run(workspace, striped_store, "plain", 1, skill=0.6, split=split, test_views=1)
    folds_run(workspace, striped_store, "folds", 1, folds=2, skill=0.6)
    return workspace


@pytest.fixture
def run(assessed: Path) -> Path:
    """Return the folder of the single run."""
    return next((assessed / "saved_models").glob("plain-*"))


@pytest.fixture
def folds(assessed: Path) -> Path:
    """Return the folder of the cross-validation."""
    return next((assessed / "saved_models").glob("folds-*"))


@pytest.fixture(scope="session")
def calibrated(assessed: Path) -> dict[str, Any]:
    """Return what calibrating the single run said."""
    from stemcls.evaluation.calibration.calibrate import calibrate_run

    return calibrate_run(Run(next((assessed / "saved_models").glob("plain-*"))), alpha=0.3)


@pytest.fixture(scope="session")
def external(
    tmp_path_factory: pytest.TempPathFactory, striped_store: Path, restamp: Callable[[Path], None]
) -> Path:
    """Return a store whose labels are called otherwise: one renamed, one foreign, some missing."""
    path = tmp_path_factory.mktemp("external") / "elsewhere.h5"
    shutil.copy(striped_store, path)
    with h5py.File(path, "r+") as file:
        labels = file["label"][:]
        labels[:20], labels[20:25] = 2, -1
        file["label"][:] = labels
        names = np.array(["Längs", NAMES[1], "fremd"], dtype=h5py.string_dtype())
        file["label"].attrs["names"] = names
    restamp(path)
    return path


@pytest.fixture
def ask(invoke: Callable, assessed: Path) -> Callable[..., Any]:
    """Run a command on the workspace; return its JSON, or its error text where it was refused."""

    def call(*words: object, code: int = 0) -> Any:
        result = invoke(*words, "--workspace", assessed, *(("--json",) if not code else ()))
        assert result.returncode == code, result.stderr
        return " ".join(result.stderr.split()) if code else json.loads(result.stdout)

    return call
