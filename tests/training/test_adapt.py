"""Adapting a model to a new site: what is drawn, what is compared, and when it is called better."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from stemcls.config.experiment import SplitConfig, StageConfig
from stemcls.errors import InputError
from stemcls.evaluation.comparison import Difference
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import make_split
from stemcls.training.fewlabels import draw_labels, most_labels, parts_of

from ..commands.finished_runs import single_run


@pytest.fixture(scope="module")
def new_site(tmp_path_factory, striped_store: Path, restamp) -> Path:
    """The striped store as another site would have it: darker, and another store."""
    path = tmp_path_factory.mktemp("site") / "elsewhere.h5"
    shutil.copy(striped_store, path)
    with h5py.File(path, "r+") as file:
        file["images"][:] = (file["images"][:] * 0.6).astype(np.uint8)
    restamp(path)
    return path


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, striped_store: Path) -> Path:
    """A workspace with a finished run, `source-...`."""
    folder = tmp_path_factory.mktemp("adapting")
    stages = (StageConfig(name="scratch", epochs=2, batch_size=16),)
    single_run(folder, striped_store, "source", 1, stages=stages)
    return folder


@pytest.fixture
def source(workspace: Path) -> Path:
    return next(path for path in (workspace / "saved_models").glob("source-*")
                if "adapted" not in path.name)


def test_labels_are_drawn_by_class_from_their_own_groups_and_fewer_are_part_of_more(striped_store):
    store = CropStore.open(striped_store)
    split = make_split(store, SplitConfig(test=0.4, validation=0.2), seed=0)
    most, _ = most_labels(store, split)
    few, many = (draw_labels(store, split, n, seed=3) for n in (8, most))
    for drawn, n in ((few, 8), (many, most)):
        for side, count in parts_of(n).items():
            rows = getattr(drawn, side)
            assert np.bincount(split.targets(store, rows)).tolist() == [count, count]
            assert set(rows) <= set(getattr(split, side))
        assert np.array_equal(drawn.test, split.test)
    assert set(few.train) <= set(many.train)
    assert sum(parts_of(10).values()) == 10
    assert not any(count <= 0 for n in range(2, 200) for count in parts_of(n).values())


@pytest.mark.parametrize(
    ("difference", "ci", "verdict"),
    [
        (0.2, (0.05, 0.3), "better"),
        (0.2, (-0.01, 0.4), "not shown"),
        (0.0, (0.0, 0.0), "not shown"),
        (-0.2, (-0.3, -0.1), "worse"),
        (0.2, None, "not shown"),
    ],
)
def test_only_an_interval_above_zero_is_called_better(difference, ci, verdict):
    from stemcls.training.adapt import judge

    found = judge(Difference(difference, ci, math.nan, 4), "mean_recall", "the old one")
    assert found["verdict"] == verdict
    assert found["why"].startswith({"not shown": "not shown to be better"}.get(verdict, verdict))
    assert f"{difference:+.3f}" in found["why"]


def test_better_than_nothing_but_worse_than_from_scratch_is_no_success():
    from stemcls.training.adapt import verdict_of

    point = {
        "against_unadapted": {"verdict": "better", "why": "b"},
        "against_scratch": {"verdict": "not shown", "why": "n"},
    }
    assert verdict_of(point)["verdict"] == "better"
    point["against_scratch"]["verdict"] = "worse"
    assert verdict_of(point)["verdict"] == "worse"


def test_an_adapted_model_is_a_run_that_can_be_evaluated_predicted_with_and_explained(
    workspace, source, new_site, invoke: Callable, unpainted, monkeypatch
):
    from stemcls.training import adapt as module

    train, calls = module.train, []

    def interrupted(run, *arguments):
        calls.append(run)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(run, *arguments)

    words = (
        "--workspace", workspace, "--labels", "8", "--labels", "500", "--head-epochs", "3",
        "--network-epochs", "1", "--json",
    )
    monkeypatch.setattr(module, "train", interrupted)
    stopped = invoke("adapt", source, new_site, *words)
    monkeypatch.setattr(module, "train", train)
    assert stopped.returncode == 130
    assert "500 labels a class were asked for, but" in stopped.stderr
    begun = calls[0].path

    result = invoke("adapt", "--resume", begun, "--workspace", workspace, "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["run"] == str(begun)
    assert [point["labels"] for point in document["points"]] == [8]
    point = document["points"][0]
    assert document["test"]["crops"] == document["unadapted"]["n"] == point["adapted"]["n"]
    assert point["scratch"]["n"] == point["adapted"]["n"]
    difference = point["against_unadapted"]
    assert difference["difference"] == pytest.approx(
        point["adapted"]["mean_recall"] - document["unadapted"]["mean_recall"], abs=1e-6
    )
    assert document["verdict"] in ("better", "worse", "not shown")
    assert 'start_from = "' in (begun / "config.toml").read_text()

    found = invoke("evaluate", begun, "--no-figures", "--json")
    assert json.loads(found.stdout)["n"] == point["adapted"]["n"]
    table = workspace / "cells.csv"
    assert invoke("predict", begun, new_site, "--out", table, "--json").returncode == 0
    explained = invoke("explain", begun, "--per-class", "1", "--cells", "4", "--json")
    assert explained.returncode == 0, explained.stderr


def _renamed(path: Path, new_site: Path, restamp: Callable[[Path], None]) -> Path:
    shutil.copy(new_site, path)
    with h5py.File(path, "r+") as file:
        file["label"].attrs["names"] = np.array(["one", "two"], dtype=h5py.string_dtype())
    restamp(path)
    return path


def test_what_cannot_be_adapted_is_refused_before_training(
    workspace, source, new_site, striped_store, invoke: Callable, tmp_path, restamp
):
    def refused(*words):
        result = invoke("adapt", *words, "--workspace", workspace)
        assert result.returncode == 2
        return " ".join(result.stderr.split())

    other = tmp_path / "few.h5"
    shutil.copy(new_site, other)
    with h5py.File(other, "r+") as file:
        file["group"][:] = file["group"][:] % 3
    restamp(other)
    kept = sorted((workspace / "saved_models").iterdir())
    assert "learned from, no new site" in refused(source, striped_store)
    assert "has no class" in refused(source, _renamed(tmp_path / "renamed.h5", new_site, restamp))
    assert "only 1 donor would test, and a comparison needs 3" in refused(source, other)
    assert "1 is below the least allowed, 2" in refused(source, new_site, "--labels", "1")
    assert "adapt needs both" in refused(source)
    assert "give no others" in refused("--resume", source, "--labels", "8")
    assert "is not a run of `stemcls adapt`" in refused("--resume", source)
    small = Path(__file__).parents[1] / "end_to_end" / "version-1" / "store.h5"
    assert "the model takes (24, 24, 3)" in refused(source, small)
    assert sorted((workspace / "saved_models").iterdir()) == kept


def test_training_goes_on_from_a_model_only_with_its_classes_in_its_order(
    source, new_site, tmp_path
):
    from stemcls.config.experiment import Experiment
    from stemcls.runs import Run
    from stemcls.training.train import prepare_run, train

    classes = tuple(reversed(CropStore.open(new_site).classes))
    run = prepare_run(
        Experiment(store=str(new_site), start_from=str(source),
                   split=SplitConfig(classes=classes)), tmp_path,
    )
    with pytest.raises(InputError, match=r"cannot go on from .* in that order"):
        train(Run(run.path))
