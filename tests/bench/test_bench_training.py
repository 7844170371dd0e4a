"""What `stemcls bench train` and `predict` measure is the same work on both sides."""

from __future__ import annotations

import os
import time
import types
from pathlib import Path

import numpy as np
import pytest

from stemcls.bench import firststep, frozen, prediction, recipe
from stemcls.bench.backends import advice, backends_to_measure, make_store, on_backend
from stemcls.bench.firststep import measure_start, pays_after, start_rows
from stemcls.bench.frozen import frozen_row, measure_frozen
from stemcls.bench.measure import passed
from stemcls.bench.prediction import measure_fields, measure_store, timed, write_simulated
from stemcls.bench.training import input_row, measure_input
from stemcls.errors import StemclsError
from stemcls.models.backend import installed_backends


@pytest.fixture(scope="module")
def crops(tmp_path_factory) -> str:
    return str(make_store(tmp_path_factory.mktemp("crops"), 96))


def test_an_epoch_of_both_inputs_is_timed_on_the_same_crops(crops):
    found = measure_input(
        crops, count=40, batch_size=16, seconds=0.0, backbone="TinyCNN", alpha=1.0
    )
    row = input_row("tensorflow", found)
    assert row["equal_outputs"]
    assert found["crops"] == 40
    assert found["rounds"] == 3
    assert row["ours"] == pytest.approx(40 / found["seconds"])


def test_the_frozen_stage_learns_the_same_with_and_without_its_cache(crops):
    found = measure_frozen(crops, "none", backbone="TinyCNN", epochs=5)
    row = frozen_row("tensorflow", found)
    assert row["baseline_epochs_measured"] == 4
    assert row["largest_loss_difference"] < frozen.LOSS_TOLERANCE
    assert row["equal_outputs"]
    uncached = found["uncached"]
    assert row["baseline"] == pytest.approx(
        uncached["first_epoch_seconds"] + 19 * uncached["epoch_seconds"]
    )


def test_unequal_losses_of_the_frozen_stage_fail_the_row():
    cached = {
        "seconds": 1.0, "start_seconds": 0.5, "extraction_seconds": 0.3,
        "head_epoch_seconds": 0.01, "losses": [0.7, 0.6],
    }
    uncached = {"first_epoch_seconds": 3.0, "epoch_seconds": 1.0, "losses": [0.7, 0.61]}
    row = frozen_row("jax", {
        "cached": cached, "uncached": uncached, "crops": 9, "weights": "none",
        "extraction_crops_per_second": 5.0,
    })  # fmt: skip
    assert row["ratio"] == pytest.approx(22.0)
    assert row["baseline_start_seconds"] == pytest.approx(2.0)
    assert row["ratio_without_start"] == pytest.approx(40.0)
    assert not passed(row)


def test_the_first_step_is_longer_than_those_after_it(monkeypatch):
    monkeypatch.setattr(firststep, "EDGE_PX", 16)
    found = measure_start(xla=False, backbone="TinyCNN", alpha=1.0, steps=8)
    assert found["first_seconds"] > found["step_seconds"] > 0
    assert found["start_seconds"] > 0


def test_xla_pays_once_its_faster_steps_have_made_up_for_its_start():
    xla = {"first_seconds": 21.0, "start_seconds": 20.0, "step_seconds": 0.1}
    plain = {"first_seconds": 10.2, "start_seconds": 10.0, "step_seconds": 0.2}
    assert pays_after(xla, plain) == 100
    assert pays_after(plain, xla) is None
    assert pays_after(xla, None) is None
    start, step = start_rows("tensorflow", xla, plain)
    assert (start["ours"], start["baseline"]) == (21.0, 10.2)
    assert step["ratio"] == pytest.approx(2.0)
    assert step["pays_after_steps"] == 100


def test_a_fact_without_a_target_or_a_baseline_fails_nothing():
    xla = {"first_seconds": 21.0, "start_seconds": 20.0, "step_seconds": 0.1}
    assert all(passed(row) for row in start_rows("jax", xla, None))
    assert all(passed(row) for row in start_rows("torch", None, xla))


def test_a_store_is_predicted_as_keras_alone_predicts_its_crops(crops):
    found = measure_store(crops, backbone="TinyCNN", alpha=1.0, rounds=3)
    assert found["crops"] == 96
    assert found["largest_difference"] <= prediction.TOLERANCE


def test_the_shares_of_prediction_add_up_and_its_table_is_what_keras_gives(tmp_path):
    write_simulated(tmp_path / "fields", fields=3, size_px=256, cells=6)
    found = measure_fields(str(tmp_path), backbone="TinyCNN", crop_px=48)
    assert set(found["shares"]) == {*prediction.STAGES, "other"}
    assert sum(found["shares"].values()) == pytest.approx(1.0)
    assert min(found["shares"].values()) >= 0
    assert found["fields"] == 3
    assert found["cells"] > 0
    assert found["largest_difference"] <= prediction.TABLE_TOLERANCE


def test_a_timed_function_is_put_back_and_its_seconds_are_added_up(monkeypatch):
    module = types.ModuleType("slow_module")
    module.wait = lambda seconds: time.sleep(seconds) or seconds
    original = module.wait
    monkeypatch.setitem(__import__("sys").modules, "slow_module", module)
    with timed({"waiting": ("slow_module", "wait")}) as spent:
        assert [module.wait(0.01), module.wait(0.01)] == [0.01, 0.01]
    assert 0.02 <= spent["waiting"] < 1
    assert module.wait is original


# The one that starts fastest.
QUICK = "jax" if "jax" in installed_backends() else installed_backends()[0]


def backend_and_process(number: int) -> list[object]:
    import keras

    return [keras.backend.backend(), os.getpid(), number]


def refuse() -> None:
    raise ValueError("told in the child")


def callable_from_elsewhere(function, monkeypatch):
    """Let another process import this file by its own name; a package installed is called tests."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    monkeypatch.setattr(function, "__module__", Path(__file__).stem)


def test_each_backend_is_measured_in_a_process_of_its_own(monkeypatch):
    callable_from_elsewhere(backend_and_process, monkeypatch)
    name, process, number = on_backend(QUICK, backend_and_process, number=3)
    assert (name, number) == (QUICK, 3)
    assert process != os.getpid()


def test_what_a_process_said_before_it_failed_is_told(monkeypatch):
    callable_from_elsewhere(refuse, monkeypatch)
    with pytest.raises(StemclsError, match=rf"refuse on {QUICK} failed .* told in the child"):
        on_backend(QUICK, refuse)


def test_the_backend_in_force_is_measured_first():
    assert backends_to_measure()[0] == os.environ["KERAS_BACKEND"]
    assert sorted(backends_to_measure()) == sorted(installed_backends())


def test_one_sentence_names_the_fastest_backend_of_each_kind():
    rows = [
        {"name": "train-input-jax", "backend": "jax", "training_crops_per_second": 20.0},
        {"name": "train-input-torch", "backend": "torch", "training_crops_per_second": 30.4},
        {"name": "train-frozen-jax", "backend": "jax", "extraction_crops_per_second": 9.0},
        {"name": "store"},
    ]
    assert advice(rows) == (
        "fastest on this machine: torch for training (crops/s: torch 30, jax 20); "
        "jax for feature extraction (crops/s: jax 9)"
    )
    assert advice([{"name": "store"}]) is None


def test_crops_of_the_benchmarks_are_of_two_classes(crops):
    from stemcls.store.cropstore import CropStore

    store = CropStore.open(crops)
    assert store.shape == (96, 64, 64, 3)
    assert np.bincount(store.labels).tolist() == [48, 48]


def test_the_frozen_stage_and_random_weights_get_the_seconds_of_the_three_stages(
    monkeypatch, tmp_path
):
    stages = recipe._Trained(0.8, 60.0, {"frozen": 0.25, "last-block": 1.0, "all": 1.6}, {})
    asked = []

    def trained(*arguments):
        asked.append([str(argument) for argument in arguments])
        return stages

    monkeypatch.setattr(recipe, "_store", lambda place, _seed: place)
    monkeypatch.setattr(recipe, "_trained", trained)
    ways = recipe._three_ways(tmp_path, tmp_path / "weights.h5", seed=7)
    ours, alone, scratch = asked
    assert ours[-2:] == ["--recipe", "gradual"]
    assert alone[-4:] == ["--frozen-epochs", "240", "--frozen-patience", "240"]
    assert scratch[-4:] == ["--scratch-epochs", "38", "--scratch-patience", "38"]
    row = recipe._row("scratch", {way: [found] for way, found in ways.items()})
    assert row["ratio"] == 1.0
