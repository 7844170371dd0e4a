"""`stemcls evaluate` matches labels by name, sets internal beside external, and refuses plainly."""

from __future__ import annotations

import json
import re
import shutil

import h5py
import pytest

from .conftest import NAMES


def test_another_store_is_matched_by_name_and_shown_beside_the_runs_own(
    run, external, tmp_path, invoke, assessed
):
    names = tmp_path / "names.toml"
    names.write_text('"Längs" = "along x"\n"fremd" = ""\n', encoding="utf-8")
    shown = invoke(
        "evaluate", run.name, external, "--label-map", names, "--no-figures", "--out",
        tmp_path / "out", "--workspace", assessed,
    )
    assert shown.returncode == 0, shown.stderr
    assert "external" in shown.stdout
    assert "internal" in shown.stdout
    assert "left out: 20 crops, class fremd" in shown.stderr
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["labels"] == list(NAMES)
    assert found["n"] == 135
    metrics = found["metrics"]
    assert metrics["left_out"] == {"class fremd": 20, "no label": 5}
    assert metrics["missing_classes"] == []
    own = json.loads((run / "evaluation" / "metrics.json").read_text())["metrics"]
    assert metrics["internal"]["auroc"] == pytest.approx(own["auroc"])


def test_a_class_that_is_missing_elsewhere_is_left_out_of_both(ask, run, external):
    found = ask("evaluate", run.name, external, "--no-figures")
    assert {"metrics", "confusion", "labels", "n", "out"} <= set(found)
    metrics = found["metrics"]
    assert metrics["missing_classes"] == [NAMES[0]]
    assert metrics["own_store"] is False
    assert metrics["left_out"]["class Längs"] == 55
    assert metrics["per_class"][NAMES[0]]["n"] == 0
    assert metrics["per_class"][NAMES[0]]["sensitivity"] is None
    assert metrics["auroc"] is None  # one class has no ROC
    assert metrics["accuracy"] is not None
    own = json.loads((run / "evaluation" / "metrics.json").read_text())["metrics"]
    assert metrics["internal"]["n"] == own["per_class"][NAMES[1]]["n"]
    assert metrics["internal"]["mean_recall"] == pytest.approx(
        own["per_class"][NAMES[1]]["sensitivity"]
    )


def test_the_store_that_a_run_learned_from_is_no_external_test(run, striped_store, assessed, invoke,
                                                               tmp_path):
    result = invoke("evaluate", run, striped_store, "--no-figures", "--out", tmp_path / "out",
                    "--workspace", assessed)
    assert "the scores are no external test" in " ".join(result.stderr.split())
    document = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert document["metrics"]["own_store"] is True


@pytest.mark.parametrize(("line", "told"), [
    ('"Langs" = "along x"', r"names 'Langs', but .* has no such class; did you mean 'Längs'"),
    ('"Längs" = "along y"', "into 'along y', but the model has no such class"),
    ('"Längs" = 3', "expected lines of"),
    ("Längs", "not valid TOML"),
    ('"Längs" = ""\n"quer/süß" = ""', "no crop of the model's classes"),
])
def test_a_label_map_that_does_not_fit_is_refused(ask, run, external, tmp_path, line, told):
    names = tmp_path / "names.toml"
    names.write_text(line, encoding="utf-8")
    assert re.search(told, ask("evaluate", run, external, "--label-map", names, code=2))


def test_sorted_labels_give_consistency_rates_in_words_not_in_keys(
    folds, invoke, assessed, tmp_path
):
    result = invoke(
        "evaluate", folds, "--consistency", "--no-figures", "--out", tmp_path, "--workspace",
        assessed,
    )
    assert result.returncode == 0, result.stderr
    assert "overall consistency rate" in result.stdout
    assert "accuracy" not in result.stdout
    assert "not an accuracy (Wang et al. 2023)" in " ".join(result.stderr.split())
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["metrics"]["naming"] == "consistency"
    assert "accuracy" in document["metrics"]


def test_a_cross_validation_is_scored_by_what_its_folds_predicted(folds, ask, tmp_path, unpainted):
    found = ask("evaluate", folds, "--out", tmp_path / "all", "--report", "--consistency",
                "--no-figures")
    assert found["n"] == 160
    assert found["metrics"]["evaluated_on"] == "folds"
    assert (tmp_path / "all" / "predictions.csv").is_file()
    page = (folds / "report.html").read_text(encoding="utf-8")
    assert found["report"] == str(folds / "report.html")
    for text in ("overall consistency rate", "2-fold cross-validation"):
        assert text in page
    assert "are for single runs" in ask("evaluate", folds, "--views", 2, code=2)


def test_a_store_without_labels_is_sent_to_populations(run, ask, external, tmp_path, restamp):
    path = tmp_path / "unlabelled.h5"
    shutil.copy(external, path)
    with h5py.File(path, "r+") as file:
        file["label"][:] = -1
    restamp(path)
    assert "`stemcls populations` describes" in ask("evaluate", run, path, code=2)


def test_a_run_that_is_not_finished_is_neither_scored_nor_used(ask, tmp_path, striped_store):
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "events.jsonl").touch()
    for words in (("evaluate",), ("calibrate",), ("populations", striped_store), ("embed",)):
        command, *store = words
        told = ask(command, tmp_path / "begun", *store, code=2)
        assert "has no model: it is waiting" in told


def test_a_run_without_calibrated_model_says_how_to_get_one(ask, folds):
    told = ask("evaluate", folds / "folds" / "fold-1", "--calibrated", code=2)
    assert "`stemcls calibrate" in told
