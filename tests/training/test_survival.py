"""Real processes that are stopped and killed in every stage end with the very same model."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import h5py
import keras
import numpy as np
import pytest

from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, merged, read_toml
from stemcls.errors import CancelledError, InputError
from stemcls.interruption import Interruption
from stemcls.runs import Run
from stemcls.training import features, plan
from stemcls.training import train as training
from stemcls.training.features import cache_folder
from stemcls.training.journal import Journal, reported
from stemcls.training.lock import locked
from stemcls.training.train import prepare_run, train

STAGES = """
seed = 3
name = "survivor"
test_views = 2
[model]
backbone = "MobileNet"
alpha = 0.25
weights = "{weights}"
input_px = 32
stride = 8
[[stages]]
name = "frozen"
trainable = "none"
epochs = 30
patience = 30
views = 2
batch_size = 16
[[stages]]
name = "finetune"
trainable = "last-block"
epochs = 3
patience = 3
backbone_factor = 0.1
learning_rate = 1e-3
schedule = "cosine"
optimizer = "adamw"
weight_decay = 0.01
batch_size = 16
"""


pytestmark = pytest.mark.usefixtures("unpainted")


@pytest.fixture(scope="module")
def config_file(tmp_path_factory):
    """TOML of a run on weights that some file holds, as good as learned."""
    folder = tmp_path_factory.mktemp("pretrained")
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNet(
        (32, 32, 3), alpha=0.25, include_top=False, weights=None
    )
    network.save_weights(folder / "mobilenet.weights.h5")
    (folder / "run.toml").write_text(STAGES.format(weights=folder / "mobilenet.weights.h5"))
    return folder / "run.toml"


@pytest.fixture(scope="module")
def prepared(striped_store, config_file, tmp_path_factory):
    """Make a run that waits to be trained, in a workspace of its own."""

    def prepare(**changes):
        settings = merged(read_toml(config_file), {"store": str(striped_store), **changes})
        return prepare_run(from_mapping(Experiment, settings), tmp_path_factory.mktemp("space"))

    return prepare


@pytest.fixture(scope="module")
def undisturbed(prepared):
    """Folder of a run that nobody has interrupted."""
    run = prepared()
    train(run, interruption=Interruption())
    return run.path


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "stemcls", "train", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )


def end_when(process, workspace, stage, epoch, number):
    """Send signal `number` as soon as the checkpoint has come to `epoch` of `stage`."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in (workspace / "saved_models").glob("*/checkpoint/state.json"):
            state = json.loads(path.read_text())
            if state["stage"] == stage and state["epoch"] >= epoch:
                process.send_signal(number)
                _, err = process.communicate(timeout=60)
                return Run(path.parents[1]), process.returncode, err
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    raise AssertionError(f"{stage} {epoch} never came")


def finished(process):
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return out


def assert_same_results(ours, theirs):
    models = [keras.saving.load_model(path / "model.keras") for path in (ours, theirs)]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        assert np.array_equal(one, other)
    for name in ("evaluation/metrics.json", "evaluation/stages.json"):
        assert (ours / name).read_text() == (theirs / name).read_text()
    rows = [
        [line.split(",")[:6] for line in (path / "history.csv").read_text().split()]
        for path in (ours, theirs)
    ]
    assert rows[0] == rows[1]


def test_killed_and_stopped_in_both_stages_a_run_ends_with_the_very_same_model(
    striped_store, config_file, undisturbed, tmp_path
):
    process = start(striped_store, "--config", config_file, "--workspace", tmp_path)
    run, code, _ = end_when(process, tmp_path, "frozen", 6, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert run.summary()["state"] == "crashed"
    assert not run.model_path.exists()

    process = start("--resume", run.path)
    _, code, err = end_when(process, tmp_path, "finetune", 1, signal.SIGTERM)
    assert (code, run.summary()["state"]) == (130, "cancelled"), err
    assert "Traceback" not in err
    assert f"stemcls train --resume {run.path}" in err

    process = start("--resume", run.path)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert_same_results(run.path, undisturbed)
    assert run.summary()["state"] == "finished"
    assert not (run.path / "checkpoint").exists()
    assert run.read_json("environment.json")["seed"] == 3


@pytest.mark.parametrize("place", ["_score", "save_model"])
def test_stopped_between_stages_or_before_the_model_is_saved_it_goes_on(
    place, prepared, undisturbed, monkeypatch
):
    run = prepared()
    module = plan if place == "_score" else training

    def stop(*_arguments):
        raise CancelledError("between stages")

    with monkeypatch.context() as patch:
        patch.setattr(module, place, stop)
        with pytest.raises(CancelledError):
            train(run, interruption=Interruption())
    assert run.summary()["state"] == "cancelled"
    train(run, interruption=Interruption())
    assert_same_results(run.path, undisturbed)


def test_a_frozen_stage_after_one_that_moved_the_backbone_resumes_too(prepared, monkeypatch):
    stages = [
        {"name": "whole", "epochs": 1, "batch_size": 16, "learning_rate": 1e-3},
        {"name": "head", "trainable": "none", "epochs": 3, "views": 1, "batch_size": 16},
    ]
    whole, broken = prepared(stages=stages), prepared(stages=stages)
    train(whole, interruption=Interruption())

    real, calls = Journal.epoch, []

    def stop_after_two(self, stage, *values):
        real(self, stage, *values)
        calls.append(stage)
        if calls.count("head") == 2:
            raise CancelledError("in the head")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "epoch", stop_after_two)
        with pytest.raises(CancelledError):
            train(broken, interruption=Interruption())
    train(broken, interruption=Interruption())
    assert_same_results(broken.path, whole.path)


def test_a_second_run_on_the_same_crops_extracts_nothing(prepared, undisturbed, monkeypatch):
    shared = prepared(seed=4, stages={"frozen": {"epochs": 2}, "finetune": {"epochs": 0}})
    folder = cache_folder(shared.path)
    shutil.copytree(cache_folder(undisturbed), folder)

    def refuse(*_arguments):
        raise AssertionError("the backbone was run")

    monkeypatch.setattr(features, "extract", refuse)
    metrics = train(shared, interruption=Interruption())
    assert metrics["n"] > 0


def test_two_processes_never_train_one_run(prepared):
    run = prepared()
    with locked(run), pytest.raises(InputError, match="two processes cannot train one run"):
        train(run, interruption=Interruption())
    assert run.summary()["state"] == "waiting"


def test_a_store_that_changed_since_the_run_began_is_refused(
    prepared, striped_store, tmp_path, restamp
):
    store = tmp_path / "changing.h5"
    shutil.copy(striped_store, store)
    run = prepared(store=str(store))
    with h5py.File(store, "r+") as file:
        file["images"][0] = 0
    restamp(store)
    told = r"changing\.h5 is not the store that .* was made from: its images"
    with pytest.raises(InputError, match=told):
        train(run, interruption=Interruption())
    assert "is not the store" in run.summary()["message"]


def test_a_heart_beats_while_a_run_is_busy(monkeypatch, tmp_path):
    monkeypatch.setattr("stemcls.training.journal.HEARTBEAT_SECONDS", 0.02)
    run = Run.create(tmp_path, "beating")
    with reported(run, None, kind="train"):
        time.sleep(0.2)
    assert [event["event"] for event in run.events()].count("heartbeat") >= 2
