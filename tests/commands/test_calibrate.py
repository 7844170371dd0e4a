"""`stemcls calibrate` rests on validation groups, and what it stores is used by other commands."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from stemcls import atomic
from stemcls.evaluation.calibration.temperature import softened
from stemcls.store.cropstore import CropStore

from .conftest import NAMES


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
    calibrated, run, ask
):
    found = ask("evaluate", run, "--calibrated", "--no-figures")
    assert found["metrics"]["ece"] == pytest.approx(calibrated["test"]["after"]["ece"], abs=1e-4)
    sets = found["metrics"]["abstention"]["sets"]
    assert sets["coverage"] == pytest.approx(calibrated["test"]["sets"]["coverage"])
    assert Path(found["out"]).name == "test-calibrated"
    assert "exists and is not overwritten" in ask("calibrate", run, code=2)


def test_prediction_with_a_calibrated_model_gives_the_set_of_classes(
    calibrated, run, striped_store, tmp_path, invoke
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
