"""`stemcls compare` tests what shares crops, says loudly what does not, and measures."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from stemcls import atomic
from stemcls.config.experiment import SplitConfig
from stemcls.documents import sealed
from stemcls.evaluation.comparison import METRICS, compare_folds
from stemcls.models.backbones import BACKBONES
from stemcls.models.size import count_parameters
from stemcls.training.folds import prepare_folds

from .finished_runs import experiment, folds_run, single_run


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, striped_store: Path) -> Path:
    """Return a workspace of two cross-validations on the same folds, two single runs, and odd ones.

    Folder names carry a time; `named` finds a run by the rest.
    """
    workspace = tmp_path_factory.mktemp("compared")
    folds_run(workspace, striped_store, "weak", 1)
    folds_run(workspace, striped_store, "strong", 1, skill=0.6)
    folds_run(workspace, striped_store, "wide", 1, validation=0.4)
    folds_run(workspace, striped_store, "four", 1, folds=4)
    split = SplitConfig(test=0.4)
    single_run(workspace, striped_store, "plain", 1, split=split)
    single_run(workspace, striped_store, "better", 1, skill=0.6, split=split)
    single_run(workspace, striped_store, "elsewhere", 1, split=split, seed=7)
    return workspace


@pytest.fixture
def compare(workspace, invoke):
    def run(*words):
        result = invoke("compare", *words, "--workspace", workspace, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout), result.stderr

    return run


@pytest.fixture
def named(workspace):
    def find(name: str) -> str:
        return next((workspace / "saved_models").glob(f"{name}-*")).name

    return find


def test_folds_of_one_seed_and_store_are_the_same_for_every_backbone(striped_store, tmp_path):
    def splits(backbone: str, seed: int) -> list[str]:
        settings = experiment(striped_store, f"{backbone}-{seed}", seed)
        model = {**vars(settings.model), "backbone": backbone}
        settings = type(settings)(
            store=settings.store, name=settings.name, seed=seed, model=type(settings.model)(**model)
        )
        parent = prepare_folds(settings, tmp_path, 4)
        return [(run.path / "split.json").read_text() for run in parent.folds()]

    first = splits("TinyCNN", 3)
    assert all(splits(backbone, 3) == first for backbone in list(BACKBONES)[-3:])
    assert splits("TinyCNN", 4) != first


def test_cross_validations_on_the_same_folds_are_tested_in_pairs(compare, named):
    document, errors = compare(named("weak"), named("strong"))
    weak, strong = document["runs"]
    assert document["reference"] == strong["run"] == named("strong")
    assert document["comparable"]
    assert "NOT COMPARABLE" not in errors
    assert weak["n_folds"] == 3
    assert weak["n"] == 160
    for key in METRICS:
        score = weak["metrics"][key]
        assert score["mean"] == pytest.approx(np.mean(score["values"]))
        assert score["sd"] == pytest.approx(np.std(score["values"], ddof=1))
        expected = compare_folds(score["values"], strong["metrics"][key]["values"], 0.5)
        found = weak["differences"][key]
        assert found["difference"] == pytest.approx(expected.difference)
        assert found["p"] == pytest.approx(expected.p, abs=0.02)  # folds are not quite equal
    assert weak["differences"]["accuracy"]["difference"] < 0
    assert (strong["differences"], weak["mcnemar"]) == (None, None)
    assert weak["parameters"] == strong["parameters"] > 0
    assert weak["seconds"] > 0
    assert weak["crops_per_second"] is None


def test_the_baseline_is_what_the_user_says_even_if_it_was_not_named(compare, named):
    document, _ = compare(named("strong"), named("four"), "--baseline", named("weak"))
    assert document["reference"] == named("weak")
    assert [run["run"] for run in document["runs"]][-1] == named("weak")
    assert document["runs"][0]["differences"]["accuracy"]["difference"] > 0


def test_runs_of_other_folds_or_kinds_are_not_tested_and_it_says_why(compare, named):
    document, errors = compare(named("strong"), named("four"), named("plain"))
    assert not document["comparable"]
    assert document["test"] is None
    assert errors.count("NOT COMPARABLE") == 2
    reasons = {run["run"]: run["not_comparable"] for run in document["runs"]}
    assert reasons[named("four")] == "one has 4 folds, the other 3"
    assert reasons[named("plain")] == "one was scored on test, the other on folds"
    assert all(run["differences"] is None for run in document["runs"])


def test_runs_that_trained_on_other_rows_are_tested_with_a_note(compare, named):
    document, _ = compare(named("weak"), named("wide"))
    assert document["comparable"]
    assert "not the crops that were trained on" in document["notes"][0]


def test_another_store_is_told_by_its_content(compare, named, workspace, tmp_path):
    copy = tmp_path / "copied"
    shutil.copytree(workspace / "saved_models" / named("plain"), copy)
    split = json.loads((copy / "split.json").read_text())
    atomic.write_json(copy / "split.json", sealed({**split, "store_hash": "0" * 64}))
    document, errors = compare(copy, named("better"))
    assert "differ in images, labels or groups" in document["runs"][0]["not_comparable"]
    assert "NOT COMPARABLE: the figures of copied" in errors


def test_single_runs_on_one_test_split_are_resampled_together(compare, named):
    document, errors = compare(named("plain"), named("better"), named("elsewhere"))
    plain, better, elsewhere = document["runs"]
    assert document["reference"] == named("better")
    for row in (plain, better):
        ends = row["metrics"]["accuracy"]["ci"]
        assert ends is None or ends[0] < ends[1]
    found = plain["differences"]["accuracy"]
    assert found["difference"] == pytest.approx(
        plain["metrics"]["accuracy"]["mean"] - better["metrics"]["accuracy"]["mean"]
    )
    assert plain["mcnemar"]["only_first"] == 0 < plain["mcnemar"]["only_second"]
    assert found["difference"] == pytest.approx(-plain["mcnemar"]["only_second"] / plain["n"])
    assert "the test split holds other crops" in elsewhere["not_comparable"]
    assert elsewhere["run"] in errors


def test_runs_of_other_test_splits_are_compared_on_the_crops_they_share(
    compare, named, workspace, invoke
):
    names = [named("plain"), named("elsewhere")]
    shared, _ = compare(*names, "--shared")
    assert shared["comparable"]
    rows = [
        set(json.loads((workspace / "saved_models" / name / "split.json").read_text())["test"])
        for name in names
    ]
    assert {run["n"] for run in shared["runs"]} == {len(rows[0] & rows[1])}
    refused = invoke("compare", names[0], named("weak"), "--shared", "--workspace", workspace)
    assert refused.returncode == 2
    assert "only single runs" in " ".join(refused.stderr.split())


def test_parameters_are_those_that_keras_counts(workspace, named):
    path = workspace / "saved_models" / named("plain") / "model.keras"
    model = keras.saving.load_model(path)
    assert count_parameters(path) == model.count_params()


def test_tables_and_figure_are_written_once(compare, named, workspace, tmp_path, invoke):
    out = tmp_path / "out"
    document, _ = compare(named("weak"), named("strong"), named("plain"), "--out", out)
    names = {"runs.csv", "differences.csv", "comparison.json", "comparison.png", "comparison.svg"}
    assert {path.name for path in out.iterdir()} == names
    assert {Path(file).name for file in document["files"]} == names
    rows = list(csv.DictReader((out / "runs.csv").read_text().splitlines()))
    assert [row["run"] for row in rows] == [run["run"] for run in document["runs"]]
    assert float(rows[0]["auroc"]) == document["runs"][0]["metrics"]["auroc"]["mean"]
    rows = list(csv.DictReader((out / "differences.csv").read_text().splitlines()))
    assert [row["metric"] for row in rows] == list(METRICS)
    assert named("weak") in (out / "comparison.svg").read_text()
    again = invoke("compare", out, out, "--out", out, "--workspace", workspace)
    assert again.returncode == 2
    assert "exists and is not overwritten" in again.stderr


def test_the_best_of_several_is_said_to_be_flattered(compare, named):
    names = [named("weak"), named("strong"), named("wide")]
    assert "its lead is flattered" in " ".join(compare(*names)[0]["notes"])
    chosen = compare(*names, "--baseline", named("weak"))[0]
    assert "flattered" not in " ".join(chosen["notes"])


def test_the_tables_for_people_name_runs_differences_and_size(workspace, named, invoke):
    result = invoke("compare", named("plain"), named("better"), "--workspace", workspace)
    assert result.returncode == 0, result.stderr
    for word in ("side by side", "difference to", "McNemar", "parameters", "TinyCNN", "p (Holm)"):
        assert word in result.stdout


def test_speed_is_measured_on_the_runs_own_crops_and_names_the_device(compare, named):
    document, _ = compare(named("plain"), named("better"), "--speed")
    for run in document["runs"]:
        assert run["crops_per_second"] > 0
        assert run["device"].startswith(keras.backend.backend())


def test_what_cannot_be_compared_is_refused_in_words(workspace, named, invoke, tmp_path):
    def said(*words: object) -> str:
        result = invoke("compare", *words, "--workspace", workspace)
        assert result.returncode == 2, result.stdout
        return " ".join(result.stderr.split())

    assert "two or more different runs" in said(named("plain"), named("plain"))
    assert "did you mean 'auroc'" in said(named("plain"), named("better"), "--by", "auc")
    assert "--backend is for --speed" in said(named("plain"), named("weak"), "--backend", "jax")
    begun = workspace / "saved_models" / "begun"
    begun.mkdir(exist_ok=True)
    (begun / "events.jsonl").write_text("")
    assert "is waiting, and only finished runs are compared" in said(named("plain"), "begun")


def test_without_speed_no_backend_is_loaded(workspace, named):
    code = (
        "import sys\nfrom stemcls.cli import main\n"
        "sys.argv = ['stemcls', 'compare', *sys.argv[1:], '--json']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
    )
    words = [named("weak"), named("strong"), "--workspace", str(workspace)]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
