"""Our network and our search inside KerasTuner's own code, in a process on another backend."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("kerastuner_probe.py")


@pytest.fixture(scope="module")
def found(striped_store, tmp_path_factory):
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("kerastuner")
    done = subprocess.run(
        [sys.executable, str(PROBE), str(striped_store), str(folder), str(folder / "found.json")],
        capture_output=True, text=True, check=False, timeout=240,
        # On TensorFlow KerasTuner asks for tensorboard; torch compiles nothing, so it is quick.
        env={**os.environ, "KERAS_BACKEND": "torch"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "found.json").read_text())


def test_the_example_searches_with_keras_tuners_own_tuner(found):
    example = found["example"]
    assert example["statuses"] == ["COMPLETED"] * 3
    assert all(0.0 <= score <= 1.0 for score in example["scores"])
    assert len({json.dumps(values, sort_keys=True) for values in example["values"]}) == 3
    for values in example["values"]:
        assert ("model.dense.width_1" in values) == (values["model.dense.depth"] == 1)
    best = example["values"][example["scores"].index(max(example["scores"]))]
    widths = [best["model.dense.width_1"]] if best["model.dense.depth"] else []
    assert example["best"] == [best["stages.scratch.learning_rate"], widths]
    assert example["restored"][1:] == ["logits", "probabilities"]


def test_the_hypermodel_trains_stage_by_stage_and_as_hyperband_asks(found):
    stages = found["stages_and_hyperband"]
    assert stages["compiled"]
    # The head learns first, and then the backbone's last block.
    moved = stages["moved"]
    assert moved[-1]
    assert not moved[0]
    assert moved == sorted(moved)
    assert stages["refused"].startswith("stages.frozen.optimizer is lbfgs, but KerasTuner")
    assert stages["whole"] == [0, 1]
    assert stages["rates"] == pytest.approx([1.5e-4, 3e-4]), "the rate rises first"
    assert stages["resumed"] == [1]


def test_the_oracle_reads_spaces_that_others_wrote(found):
    foreign = found["foreign"]
    assert foreign["keys"] == ["kind", "rate", "speed", "layers", "skip", "loss", "reverse"]
    for values in foreign["whole"]:
        net = values["kind"] == "net"
        skip = {"skip"} if values.get("layers", 1) > 1 else set()
        own = {"speed", "layers"} | skip if net else {"rate"}
        assert set(values) == {"kind", "loss", "reverse"} | own
        assert values["loss"] == "mse"
    assert foreign["whole"][0]["kind"] == "svm"
    assert "rate is declared twice" in foreign["refused"]


def test_a_reloaded_oracle_goes_on_as_if_it_had_not_stopped(found):
    assert found["foreign"]["resumed"] == found["foreign"]["whole"]


def test_the_oracle_stops_where_everything_was_tried(found):
    small = found["foreign"]["small"]
    assert len(small) == 6 == len({json.dumps(values) for values in small})


def test_the_oracle_scores_folds_by_their_mean(found):
    assert found["foreign"]["fold_scores"] == [3.0] * 2


def test_stock_keras_tuner_suggests_through_the_same_interface(found):
    stock = found["stock"]
    assert stock["values"][0] == {"deep": 0}
    assert all(("x" in values) == (values["deep"] == 1) for values in stock["values"])
    assert stock["late"][0] == stock["late"][1]
