"""A finished run is scored elsewhere, calibrated, put to use on a sample, and reported."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from stemcls import atomic
from stemcls.config.experiment import SplitConfig
from stemcls.evaluation.calibration.temperature import softened
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore

from .finished_runs import folds_run, single_run

NAMES = ("along x", "quer/süß")
_SECTIONS = (
    "scores", "data", "figures", "labels", "calibration", "external", "saliency", "audit",
    "methods", "checklist", "settings",
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, striped_store: Path) -> Path:
    """Return a workspace of single runs on two different splits, and a cross-validation."""
    workspace = tmp_path_factory.mktemp("assessed")
    split = SplitConfig(test=0.4, validation=0.3)
    single_run(workspace, striped_store, "plain", 1, skill=0.6, split=split)
    single_run(workspace, striped_store, "other", 1, skill=0.6, split=split, seed=7)
    folds_run(workspace, striped_store, "folds", 1, folds=2, skill=0.6)
    return workspace


@pytest.fixture
def run(workspace: Path) -> Path:
    """Return the folder of one single run."""
    return next((workspace / "saved_models").glob("plain-*"))


@pytest.fixture(scope="module")
def external(tmp_path_factory: pytest.TempPathFactory, striped_store: Path) -> Path:
    """Return a store whose labels are called otherwise: one renamed, one foreign, some missing."""
    path = tmp_path_factory.mktemp("external") / "elsewhere.h5"
    shutil.copy(striped_store, path)
    with h5py.File(path, "r+") as file:
        labels = file["label"][:]
        labels[:20], labels[20:25] = 2, -1
        file["label"][:] = labels
        names = np.array(["Längs", NAMES[1], "fremd"], dtype=h5py.string_dtype())
        file["label"].attrs["names"] = names
    return path


@pytest.fixture
def ask(invoke, workspace):
    """Run a command on the workspace; return its JSON, or its error text where it was refused."""

    def call(*words: object, code: int = 0):
        result = invoke(*words, "--workspace", workspace, *(("--json",) if not code else ()))
        assert result.returncode == code, result.stderr
        return " ".join(result.stderr.split()) if code else json.loads(result.stdout)

    return call


def test_another_store_is_matched_by_name_and_shown_beside_the_runs_own(
    ask, run, external, tmp_path, invoke, workspace
):
    names = tmp_path / "names.toml"
    names.write_text('"Längs" = "along x"\n"fremd" = ""\n', encoding="utf-8")
    found = ask("evaluate", run.name, external, "--label-map", names, "--no-figures")
    assert {"metrics", "confusion", "labels", "n"} <= set(found)
    assert found["labels"] == list(NAMES)
    assert found["n"] == 135
    metrics = found["metrics"]
    assert metrics["left_out"] == {"class fremd": 20, "no label": 5}
    assert metrics["missing_classes"] == []
    own = json.loads((run / "evaluation" / "metrics.json").read_text())["metrics"]
    assert metrics["internal"]["auroc"] == pytest.approx(own["auroc"])
    shown = invoke(
        "evaluate", run, external, "--label-map", names, "--no-figures", "--workspace", workspace
    )
    assert "external" in shown.stdout
    assert "internal" in shown.stdout
    assert "left out: 20 crops, class fremd" in shown.stderr


def test_a_class_that_is_missing_elsewhere_is_left_out_of_both(ask, run, external):
    metrics = ask("evaluate", run.name, external, "--no-figures")["metrics"]
    assert metrics["missing_classes"] == [NAMES[0]]
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
    run, invoke, workspace, tmp_path
):
    result = invoke(
        "evaluate", run, "--consistency", "--no-figures", "--out", tmp_path, "--workspace",
        workspace,
    )
    assert result.returncode == 0, result.stderr
    assert "overall consistency rate" in result.stdout
    assert "accuracy" not in result.stdout
    assert "not an accuracy (Wang et al. 2023)" in " ".join(result.stderr.split())
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["metrics"]["naming"] == "consistency"
    assert "accuracy" in document["metrics"]


@pytest.fixture(scope="module")
def calibrated(workspace: Path) -> dict:
    """Return what calibrating a run of its own said."""
    from stemcls.evaluation.calibration.calibrate import calibrate_run

    return calibrate_run(Run(next((workspace / "saved_models").glob("plain-*"))), alpha=0.3)


def test_the_calibrated_model_is_plain_keras_and_gives_softened_scores(
    calibrated, run, striped_store
):
    plain = keras.saving.load_model(run / "model.keras")
    model = keras.saving.load_model(run / "calibrated" / "model.keras")
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    crops = CropStore.open(striped_store).read(slice(0, 12))
    logits = keras.Model(plain.inputs, plain.get_layer("logits").output).predict(crops, verbose=0)
    expected = softened(logits[None], calibrated["temperature"]["value"])
    np.testing.assert_allclose(model.predict(crops, verbose=0), expected, atol=1e-5)
    card = json.loads((run / "calibrated" / "model.json").read_text())
    assert card["provenance"]["calibration"]["temperature"] == json.loads(
        atomic.dump_json(calibrated["temperature"])
    )
    assert json.loads((run / "calibrated" / "calibration.json").read_text())["alpha"] == 0.3
    assert (run / "calibrated" / "reliability.svg").is_file()


def test_calibration_rests_on_validation_groups_and_is_tested_on_others(calibrated, run):
    split = json.loads((run / "split.json").read_text())
    assert calibrated["temperature"]["n"] == len(split["validation"])
    assert calibrated["temperature"]["n_groups"] == len(split["units"]["validation"])
    assert calibrated["test"]["before"]["n"] == len(split["test"])
    assert calibrated["test"]["after"]["log_loss"] < calibrated["test"]["before"]["log_loss"]
    assert 0 <= calibrated["test"]["novel"] <= 1


def test_a_calibrated_run_is_scored_with_sets_and_is_not_calibrated_twice(
    calibrated, run, ask, external
):
    found = ask("evaluate", run, "--calibrated", "--no-figures")
    assert found["metrics"]["ece"] == pytest.approx(calibrated["test"]["after"]["ece"], abs=1e-4)
    sets = found["metrics"]["abstention"]["sets"]
    assert sets["coverage"] == pytest.approx(calibrated["test"]["sets"]["coverage"])
    assert Path(found["out"]).name == "test-calibrated"
    assert "exists and is not overwritten" in ask("calibrate", run, code=2)


def test_a_run_without_calibrated_model_says_how_to_get_one(ask, workspace):
    other = next((workspace / "saved_models").glob("other-*"))
    assert "`stemcls calibrate" in ask("evaluate", other, "--calibrated", code=2)


def test_prediction_with_a_calibrated_model_gives_the_set_of_classes(
    calibrated, run, ask, striped_store, tmp_path, invoke
):
    out = tmp_path / "cells.csv"
    result = invoke("predict", run / "calibrated" / "model.keras", striped_store, "--out", out)
    assert result.returncode == 0, result.stderr
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    least = {row["name"]: row["least"] for row in calibrated["sets"]}
    assert "set" in rows[0]
    for row in rows:
        inside = [name for name in NAMES if float(row[f"p_{name}"]) >= least[name] - 1e-5]
        assert row["set"] == "; ".join(inside)


def test_a_sample_is_described_by_its_predicted_classes(ask, run, striped_store, tmp_path):
    out = tmp_path / "sample"
    found = ask("populations", run, striped_store, "--cut", 0.6, "--top", 10, "--out", out)
    assert found["n"] == 160
    assert found["ci_of"] == "10 groups"
    shares = found["composition"]
    assert sum(row["n"] for row in shares.values()) == 160
    assert all(row["share_ci"][0] <= row["share"] <= row["share_ci"][1] for row in shares.values())
    (cut,) = found["cuts"]
    assert cut["kept"] + cut["lost"] == 160
    with (out / "cells.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 160
    assert cut["kept"] == sum(float(row["score"]) >= 0.6 for row in rows)
    for measure in found["gates"]:
        values = np.array([float(row[measure["measure"]]) for row in rows])
        assert measure["n"] == (values >= measure["threshold"]).sum() >= 16
        inside = [row["class"] for row, value in zip(rows, values, strict=True)
                  if value >= measure["threshold"]]
        assert measure["composition"][NAMES[0]]["n"] == inside.count(NAMES[0])
    medians = {
        name: found["measures"][0]["by_cell"]["summary"][name]["median"] for name in shares
        if shares[name]["n"]
    }
    column = found["measures"][0]["name"]
    for name, median in medians.items():
        own = [float(row[column]) for row in rows if row["class"] == name]
        assert median == pytest.approx(np.median(own))
    names = {path.name for path in out.iterdir()}
    assert {"composition.png", "composition.svg", "gate-1.svg", "populations.json"} <= names


@pytest.mark.parametrize(("words", "told"), [
    (("--cut", 1.5), "a score cut is between 0 and 1, found 1.5"),
    (("--top", 0), "a percentage between 0 and 100, found 0"),
    (("--test", "welsh"), "did you mean 'welch'"),
])
def test_what_no_sample_can_be_asked_is_refused(ask, run, striped_store, words, told):
    assert told in ask("populations", run, striped_store, *words, code=2)


class _Reader(HTMLParser):
    """Collects ids, addresses, text and unclosed tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.alone = {"meta", "img", "br", "link"}

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.ids.add(given["id"])
        self.addresses += [given[key] for key in ("src", "href") if key in given]
        if tag == "img":
            assert given["alt"]
        if tag not in self.alone:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read_page(path: Path) -> _Reader:
    content = path.read_text(encoding="utf-8")
    page = _Reader()
    page.feed(content)
    page.close()
    assert page.open == []
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    assert not re.search(r"https?://|@import|url\(|<script|<link", content)
    assert {address[1:] for address in page.addresses if address[0] == "#"} <= page.ids
    page.text = " ".join(page.text.split())
    return page


@pytest.fixture(scope="module")
def page(workspace: Path, calibrated: dict, external: Path) -> Path:
    """Return the report of a run that other commands have left something in."""
    from stemcls.evaluation.report.write import write_report

    folder = next((workspace / "saved_models").glob("plain-*"))
    picture = folder / "evaluation" / "confusion.png"
    heat = folder / "explanations" / "gradcam"
    heat.mkdir(parents=True)
    shutil.copy(picture, heat / "row-1.png")
    atomic.write_json(heat / "index.json", {
        "images": [{"file": "row-1.png", "caption": "row 1 <b>"}, {"file": "gone.png"}]
    })
    split = json.loads((folder / "split.json").read_text())
    atomic.write_json(folder / "evaluation" / "audit.json", {
        "store_hash": split["store_hash"], "not_run": [],
        "checks": [{"name": "shared-groups", "title": "groups on both sides", "status": "warn",
                    "value": 0.0, "interval": None, "why": "none shared", "todo": "look"}],
    })
    store = folder / "evaluation" / "elsewhere-12345678"
    store.mkdir()
    own = json.loads((folder / "evaluation" / "metrics.json").read_text())
    own["metrics"] |= {"evaluated_on": "elsewhere.h5", "internal": dict(own["metrics"])}
    atomic.write_json(store / "metrics.json", own)
    return write_report(Run(folder))


def test_the_report_is_one_file_without_addresses_and_holds_every_part(page, run):
    assert page == run / "report.html"
    read = read_page(page)
    assert set(_SECTIONS) <= read.ids
    pictures = [address for address in read.addresses if address.startswith("data:")]
    assert len(pictures) >= 9
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text())["metrics"]
    for text in (
        f"{metrics['mean_recall']:.3f}", *NAMES, "row 1 <b>", "groups on both sides",
        "elsewhere-12345678", "Temperature", "balanced accuracy (sens + spec)/2, chance 1/2",
        "Reporting checklist", 'backbone = "TinyCNN"',
    ):
        assert text in read.text, text


def test_methods_and_checklist_say_what_the_run_did(page, run):
    text = read_page(page).text
    split = json.loads((run / "split.json").read_text())
    assert f"{len(split['train'])} train ({len(split['units']['train'])} donors)" in text
    assert "No donor was on two sides." in text
    assert "TinyCNN with random weights" in text
    assert "Stage scratch: the whole network" in text
    assert "95 % percentile intervals from resampling" in text
    assert re.search(r"leaks and shortcuts looked for\?\s*yes\s*Above", text)


def test_a_browser_shows_the_report_without_a_network(page):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser",
                                                   "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    shown = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         "--host-resolver-rules=MAP * ~NOTFOUND", page.as_uri()],
        capture_output=True, text=True, timeout=60, check=True,
    )
    assert 'id="checklist"' in shown.stdout


def test_a_cross_validation_is_scored_by_what_its_folds_predicted(workspace, ask, tmp_path):
    folder = next((workspace / "saved_models").glob("folds-*"))
    found = ask("evaluate", folder, "--out", tmp_path / "all", "--report", "--consistency")
    assert found["n"] == 160
    assert found["metrics"]["evaluated_on"] == "folds"
    assert (tmp_path / "all" / "label_errors.csv").is_file()
    page = Path(found["report"])
    for text in ("overall consistency rate", "2-fold cross-validation"):
        assert text in read_page(page).text
    assert "exists and is not overwritten" in ask("report", folder, "--out", page, code=2)
    assert "are for single runs" in ask("evaluate", folder, "--views", 2, code=2)


def test_a_store_without_labels_is_sent_to_populations(run, ask, external, tmp_path):
    path = tmp_path / "unlabelled.h5"
    shutil.copy(external, path)
    with h5py.File(path, "r+") as file:
        file["label"][:] = -1
    assert "`stemcls populations` describes" in ask("evaluate", run, path, code=2)


def test_a_report_without_its_store_says_so_and_shows_the_rest(workspace, tmp_path):
    from stemcls.evaluation.report.write import write_report

    folder = next((workspace / "saved_models").glob("other-*"))
    copy = tmp_path / "moved"
    shutil.copytree(folder, copy)
    config = (copy / "config.toml").read_text().splitlines()
    config = ['store = "/no/such/store.h5"' if line.startswith("store =") else line
              for line in config]
    (copy / "config.toml").write_text("\n".join(config))
    text = read_page(write_report(Run(copy))).text
    assert "The crops themselves could not be read" in text
    assert "Not calibrated" in text


def test_runs_that_are_not_finished_are_neither_scored_nor_reported(workspace, ask):
    begun = workspace / "saved_models" / "begun"
    begun.mkdir(exist_ok=True)
    (begun / "events.jsonl").write_text("")
    assert "is waiting, and a report is of a finished run" in ask("report", "begun", code=2)
    assert "has no model: it is waiting" in ask("evaluate", "begun", code=2)
    assert "has no model: it is waiting" in ask("calibrate", "begun", code=2)


def test_runs_of_other_test_splits_are_compared_on_the_crops_they_share(workspace, ask):
    names = [next((workspace / "saved_models").glob(f"{name}-*")).name
             for name in ("plain", "other")]
    apart = ask("compare", *names)
    assert not apart["comparable"]
    shared = ask("compare", *names, "--shared")
    assert shared["comparable"]
    rows = [
        set(json.loads((workspace / "saved_models" / name / "split.json").read_text())["test"])
        for name in names
    ]
    assert {run["n"] for run in shared["runs"]} == {len(rows[0] & rows[1])}
    folds = next((workspace / "saved_models").glob("folds-*")).name
    assert "only single runs" in ask("compare", names[0], folds, "--shared", code=2)
