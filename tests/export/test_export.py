"""An export says what the run says, in the same order, or it is not there; its card is honest."""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stemcls.errors import InputError, StemclsError
from stemcls.export.card import Credits, card_text
from stemcls.export.parcel import Parcel
from stemcls.export.targets import TARGETS, check_packages, target_named
from stemcls.models.saved import read_card
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore

LIMIT = 1e-4


def own_answers(run: Path, rows: np.ndarray, store: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return crops that the export was not compared on, and what the run says of them."""
    import keras

    crops = CropStore.open(store).read(rows).astype(np.float32)
    return crops, keras.saving.load_model(run / "model.keras").predict(crops, verbose=0)


def by_onnx(path: Path, crops: np.ndarray) -> np.ndarray:
    import onnx
    import onnxruntime

    kept = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert json.loads(kept["classes"]) == ["along x", "quer/süß"]
    session = onnxruntime.InferenceSession(str(path))
    assert [one.name for one in session.get_inputs()] == ["crops"]
    assert [one.name for one in session.get_outputs()] == ["probabilities"]
    return session.run(None, {"crops": crops})[0]


def by_saved_model(path: Path, crops: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    (found,) = loaded.signatures["serving_default"](tf.constant(crops)).values()
    return found.numpy()


def by_litert(path: Path, crops: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_content=path.read_bytes()).get_signature_runner()
    return np.concatenate([next(iter(run(crops=crop[None]).values())) for crop in crops])


@pytest.mark.parametrize(
    ("name", "packages", "read"),
    [
        ("onnx", ("onnx", "onnxruntime", "tf2onnx"), by_onnx),
        ("saved_model", (), by_saved_model),
        ("litert", ("ai_edge_litert",), by_litert),
    ],
)
def test_the_copy_says_what_the_run_says_in_the_same_order(
    invoke, trained_run, striped_store, tmp_path, name, packages, read
):
    for package in packages:
        pytest.importorskip(package, reason=f"{package} is not installed")
    done = invoke("export", trained_run, "--to", name, "--out", tmp_path / "x", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["n"] == len(found["rows"]) > 20
    assert found["largest_difference"] <= found["tolerance"] == LIMIT
    labels = json.loads((trained_run / "labels.json").read_text())
    assert found["labels"] == labels == json.loads((tmp_path / "x" / "labels.json").read_text())
    others = np.setdiff1d(np.arange(160), found["rows"])[::16]
    crops, wanted = own_answers(trained_run, others, striped_store)
    np.testing.assert_allclose(read(Path(found["model"]), crops), wanted, atol=LIMIT)
    assert np.ptp(wanted[:, 0]) > 0.5
    assert "# Model card: tiny" in Path(found["card"]).read_text(encoding="utf-8")
    again = invoke("export", trained_run, "--to", name, "--out", tmp_path / "x")
    assert again.returncode == 2
    assert "exists and is not empty" in again.stderr


def test_a_bioimageio_package_passes_the_zoos_own_test(stemcls, trained_run, tmp_path):
    for package in ("bioimageio.spec", "bioimageio.core"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    done = stemcls(
        "export", trained_run, "--to", "bioimageio", "--out", tmp_path / "x", "--json",
        "--author", "Ada Müller", "--licence", "CC-BY-4.0", "--use", "Stripes.",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["tested_by"].startswith("bioimageio.core")
    assert found["largest_difference"] <= LIMIT
    with zipfile.ZipFile(found["model"]) as package:
        described = package.read("rdf.yaml").decode()
        card = package.read("MODEL_CARD.md").decode()
    for said in ("keras_v3:", "Ada Müller", "CC-BY-4.0", "- along_x", "- quer_s__"):
        assert said in described
    assert "Ada Müller" in card
    assert "Stripes." in card


def test_a_copy_that_says_something_else_is_not_left_behind(trained_run, tmp_path):
    from stemcls.export.export import export_run

    target = target_named("saved_model")
    swapped = replace(target, predict=lambda path, crops: target.predict(path, crops)[:, ::-1])
    with pytest.raises(StemclsError, match=r"differs from the run by .* nothing was written"):
        export_run(Run(trained_run), swapped, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_request_says_what_to_do(invoke, trained_run, tmp_path, monkeypatch):
    for arguments, error in (
        (("--to", "onx"), "did you mean 'onnx'?"),
        (("--to", "onnx", "--out", tmp_path / "m.onnx"), "is to be a new folder"),
        (("--to", "saved_model", "--store", tmp_path / "no.h5"), "no.h5"),
        (("--to", "saved_model", "--calibrated"), "stemcls calibrate"),
    ):
        done = invoke("export", trained_run, *arguments)
        assert done.returncode == 2
        assert error in done.stderr
    with pytest.raises(InputError, match=r"add --backend tensorflow$"):
        check_packages(TARGETS["litert"], "torch")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs the package onnx, .*'stemcls\[export\]'"):
        check_packages(TARGETS["onnx"], "tensorflow")


def test_a_run_whose_store_is_gone_can_be_compared_on_another(trained_run, tmp_path):
    from stemcls.export.parcel import open_parcel

    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("striped.h5", "gone.h5"))
    with pytest.raises(InputError) as caught:
        open_parcel(Run(run))
    assert "--store STORE" in caught.value.__notes__[0]


def card_of(run: Path, **credits) -> str:
    card = read_card(run / "model.keras")
    nothing = np.zeros(0)
    parcel = Parcel(Run(run), None, run / "model.keras", card, nothing, nothing, "test", nothing)
    return card_text(parcel, Credits(**credits), "onnx")


def test_the_card_says_what_is_missing(trained_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    card = card_of(run)
    for sentence in (
        "Authors: missing", "Licence: missing", "Missing: only its authors",
        "Missing: `stemcls calibrate run`", "Missing: `stemcls audit STORE run`",
        "Missing: `stemcls evaluate run STORE`", "Not calibrated", "No external set",
    ):
        assert sentence in card
    (run / "evaluation" / "metrics.json").unlink()
    card = card_of(run)
    assert "It was never scored" in card
    assert "## Validation\n\nMissing: " in card


def test_the_card_repeats_what_the_run_holds(trained_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained_run, run)
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text())["metrics"]
    interval = {"value": 1.25, "ci": [1.1, 1.5], "n": 32, "n_groups": 2, "at_limit": False}
    calibration = {"temperature": interval, "sets": [], "least_groups": 9, "alpha": 0.1,
                   "test": None}
    (run / "calibrated").mkdir()
    (run / "calibrated" / "calibration.json").write_text(json.dumps(calibration))
    check = {"name": "x", "title": "Stripes | give the class away.", "status": "fail",
             "value": 0.9, "why": "They do."}
    store_hash = read_card(run / "model.keras").provenance["store_hash"]
    audit = {"checks": [check], "not_run": [], "store_hash": store_hash}
    (run / "evaluation" / "audit.json").write_text(json.dumps(audit))
    external = {**metrics, "evaluated_on": "other.h5"}
    (run / "evaluation" / "other").mkdir()
    (run / "evaluation" / "other" / "metrics.json").write_text(json.dumps({"metrics": external}))
    card = card_of(run, authors=("Ada",), licence="MIT", use="Teaching.")
    low, high = metrics["mean_recall_ci"] or (None, None)
    shown = f"{low:.3f} to {high:.3f}" if low is not None else "missing"
    assert f"| mean recall, chance 1/K | {metrics['mean_recall']:.3f} | {shown} |" in card
    assert "0. along x\n1. quer/süß\n" in card
    assert "Temperature 1.250 (95 %: 1.100 to 1.500)" in card
    assert "Stripes \\| give the class away. | fail | 0.900 |" in card
    assert "Audit, fail: Stripes" in card
    assert f"- other: {metrics['n']} crops" in card
    assert "donor" in card
    assert "Teaching." in card
    assert card.count("Missing") == 0
