"""`stemcls ensemble` makes a run that predicts, is scored honestly, and says what it cannot do."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from stemcls.models.saved import load_model
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import Split

from .finished_runs import folds_run, single_run

pytestmark = pytest.mark.usefixtures("unpainted")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, striped_store: Path) -> Path:
    """Return a workspace of three runs of one split, one of another, and a cross-validation."""
    workspace = tmp_path_factory.mktemp("ensembles")
    for number in (1, 2, 3):
        single_run(workspace, striped_store, f"m{number}", number)
    single_run(workspace, striped_store, "other", 4, seed=7)
    folds_run(workspace, striped_store, "folds", 5)
    return workspace


@pytest.fixture
def ensemble(workspace, invoke):
    def run(*words):
        result = invoke("ensemble", *words, "--workspace", workspace, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run


@pytest.fixture
def named(workspace):
    def find(name: str) -> Path:
        return next((workspace / "saved_models").glob(f"{name}-*"))

    return find


def answers(paths: list[Path], crops: np.ndarray) -> np.ndarray:
    return np.stack([load_model(p / "model.keras")[0].predict(crops, verbose=0) for p in paths])


def test_members_of_one_split_are_averaged_and_scored_on_its_test_crops(
    ensemble, named, striped_store, invoke
):
    members = [named(f"m{number}") for number in (1, 2, 3)]
    document = ensemble(*(path.name for path in members), "--out", "mean of 3")
    run = Run.open(Path(document["run"]))
    assert run.name.startswith("mean-of-3-")
    assert document["members"] == [path.name for path in members]
    store, split = CropStore.open(striped_store), Split.from_mapping(run.read_json("split.json"))
    expected = answers(members, store.read(split.test)).mean(axis=0)
    model, card = load_model(run.model_path)
    assert np.abs(model.predict(store.read(split.test), verbose=0) - expected).max() < 1e-6
    right = expected.argmax(axis=1) == split.targets(store, split.test)
    assert document["metrics"]["accuracy"] == pytest.approx(right.mean())
    assert document["metrics"]["evaluated_on"] == "test"
    assert card.classes == split.classes
    summary = run.summary()
    assert summary["state"] == "finished"
    assert summary["metrics"]["accuracy"] == document["metrics"]["accuracy"]
    again = json.loads(invoke("evaluate", run.path, "--json").stdout)
    assert again["metrics"]["auroc"] == pytest.approx(document["metrics"]["auroc"])


def test_given_weights_and_those_of_the_validation_crops_are_used(ensemble, named, striped_store):
    members = [named("m1"), named("m2")]
    store = CropStore.open(striped_store)
    crops = store.read(np.arange(40))
    one, other = answers(members, crops)
    document = ensemble(
        members[0].name, members[1].name, "--out", "w", "--weights", "3,1"
    )
    assert document["weights"] == [0.75, 0.25]
    found = answers([Path(document["run"])], crops)[0]
    assert np.abs(found - (0.75 * one + 0.25 * other)).max() < 1e-6
    document = ensemble(members[0].name, members[1].name, "--out", "v", "--weights", "validation")
    losses = document["validation_log_loss"]
    assert losses["ensemble"] <= min(losses[path.name] for path in members) + 1e-6
    assert sum(document["weights"]) == pytest.approx(1)


def test_folds_are_averaged_but_never_scored_on_crops_they_learned_from(
    ensemble, named, striped_store, invoke, tmp_path
):
    document = ensemble(named("folds").name, "--out", "of folds")
    assert len(document["members"]) == 3
    assert document["members"][0] == f"{named('folds').name}/folds/fold-1"
    assert document["metrics"] is None
    assert "folds of one cross-validation" in document["note"]
    for words in ((), (striped_store,)):
        result = invoke("evaluate", document["run"], *words)
        assert result.returncode == 2
        assert "some trained on every crop; give a labelled store" in result.stderr
    out = tmp_path / "cells.csv"
    result = invoke(
        "predict", document["run"], striped_store, "--out", out, "--views", "1", "--json"
    )
    assert result.returncode == 0, result.stderr
    shares = [float(row["p_along x"]) for row in csv.DictReader(out.read_text().splitlines())]
    folds = [named("folds") / "folds" / f"fold-{number}" for number in (1, 2, 3)]
    expected = answers(folds, CropStore.open(striped_store).read(slice(None))).mean(axis=0)
    assert np.abs(np.array(shares) - expected[:, 0]).max() < 2e-6
    result = invoke("compare", document["run"], named("m1"))
    assert result.returncode == 2
    assert "has no scores to compare" in result.stderr


def test_members_of_other_splits_are_averaged_but_not_scored(ensemble, named):
    document = ensemble(named("m1").name, named("other").name, "--out", "mixed")
    assert document["metrics"] is None
    assert "were split differently" in document["note"]


def test_an_ensemble_is_compared_with_its_members(ensemble, named, invoke):
    document = ensemble(named("m1").name, named("m2").name, "--out", "pair")
    result = invoke("compare", document["run"], named("m1"), named("m2"), "--json")
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)["runs"]
    assert rows[0]["backbone"] == "ensemble of 2: TinyCNN"
    assert rows[0]["parameters"] == rows[1]["parameters"] + rows[2]["parameters"]


def test_the_settings_of_an_ensemble_train_nothing_and_name_its_members(
    ensemble, named, invoke, tmp_path
):
    run = Path(ensemble(named("m1").name, named("m2").name, "--out", "untrained")["run"])
    for command in ("train", "tune"):
        result = invoke(command, "--config", run / "config.toml", "--workspace", tmp_path)
        assert result.returncode == 2
        assert "is of an ensemble" in result.stderr
        assert str(named("m2").resolve()) in result.stderr
    assert not (tmp_path / "saved_models").exists()


def test_what_no_ensemble_can_be_made_of_is_refused_in_words(
    workspace, named, striped_store, invoke, ensemble
):
    def said(*words: object) -> str:
        result = invoke("ensemble", *words, "--out", "x", "--workspace", workspace)
        assert result.returncode == 2, result.stdout
        return result.stderr

    one, two, folds = named("m1").name, named("m2").name, named("folds").name
    assert "needs two or more finished runs" in said(one)
    assert "was given twice" in said(one, two, one)
    assert "needs 2 numbers above 0" in said(one, two, "--weights", "1,2,3")
    assert "needs 2 numbers above 0" in said(one, two, "--weights", "1,0")
    assert "numbers with commas between" in said(one, two, "--weights", "some")
    assert "needs validation rows that all members share" in said(folds, "--weights", "validation")
    mirrored = single_run(workspace, striped_store, "mirror", 1)
    model, card = load_model(mirrored.model_path)
    from dataclasses import replace

    from stemcls.models.saved import save_model

    save_model(model, mirrored.model_path, replace(card, classes=card.classes[::-1]))
    assert "the classes of" in said(one, mirrored.name)
    assert not list((workspace / "saved_models").glob("x-*"))
    result = invoke("explain", ensemble(one, two, "--out", "no-maps")["run"])
    assert result.returncode == 2
    assert f"explain its members one by one: {named('m1').resolve()}" in result.stderr
