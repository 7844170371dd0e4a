"""`stemcls tune` as a user types it: a real search that is killed, and what is refused."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, read_toml
from stemcls.interruption import Interruption
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import Split, make_split
from stemcls.tuning.running.foldjob import fold_job
from stemcls.tuning.running.worker import answer
from stemcls.tuning.study.study import Study

CONFIG = """
seed = 3
name = "tiny"
[split]
test = 0.3
[model]
backbone = "TinyCNN"
weights = "none"
[stages.scratch]
epochs = 4
batch_size = 16
learning_rate = 3e-3
"""
SPACE = """
["model.dropout"]
low = 0.0
high = 0.6
default = 0.3
["stages.scratch.learning_rate"]
low = 1e-3
high = 1e-2
log = true
default = 3e-3
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A workspace with the TOML of an experiment and of a space."""
    folder = tmp_path_factory.mktemp("tune")
    (folder / "tiny.toml").write_text(CONFIG)
    (folder / "space.toml").write_text(SPACE)
    return folder


def options(files):
    return [
        "--config", str(files / "tiny.toml"), "--space", str(files / "space.toml"),
        "--workspace", str(files), "--folds", "2",
    ]


@pytest.fixture(scope="module")
def killed(files, striped_store):
    """A real study of 2 trials whose supervisor was killed in the first fold of trial 1."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stemcls", "tune", str(striped_store), *options(files),
         "--trials", "2", "--objective", "auroc", "--no-racing"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )
    deadline = time.monotonic() + 120
    state = "saved_models/tiny-tune-*/trials/0001/fold-1/checkpoint/state.json"
    while not any(json.loads(path.read_text())["epoch"] >= 1 for path in files.glob(state)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (folder,) = files.glob("saved_models/tiny-tune-*")
    return Study.open(folder)


@pytest.fixture(scope="module")
def resumed(killed, files, stemcls):
    """The same study, gone on with to its end, and the JSON document that it printed."""
    assert killed.run.summary()["state"] == "crashed"
    kept = killed.fold_path(0, 0) / "result.json"
    before = kept.stat().st_mtime_ns
    done = stemcls("tune", "--resume", killed.path, "--workspace", files, "--json")
    assert done.returncode == 0, done.stderr
    assert kept.stat().st_mtime_ns == before
    return killed, json.loads(done.stdout)


def test_a_fold_that_was_killed_comes_to_what_an_undisturbed_one_does(resumed, tmp_path):
    from stemcls.tuning.running.foldtraining import train_fold

    study, _ = resumed
    found = train_fold(
        study.trial_path(1) / "config.toml", study.split_path(0), study.outer_path, tmp_path,
        "auroc", Interruption(),
    )
    kept = study.records()[1].folds[0]
    assert (found.score, found.metrics, found.epochs) == (kept.score, kept.metrics, kept.epochs)
    assert found.parameters == kept.parameters > 1000


def test_folds_of_heads_share_features_and_do_not_depend_on_the_fold_before(resumed, tmp_path):
    from stemcls.tuning.running.foldtraining import train_fold

    study, _ = resumed
    config = read_toml(study.trial_path(1) / "config.toml")
    config["stages"] = [
        {"name": "head", "trainable": "none", "epochs": 3, "views": 1, "batch_size": 16}
    ]
    (tmp_path / "head.toml").write_text(tomli_w.dumps(config))
    workspace = tmp_path / "saved_models"
    scores = []
    for number, fold in enumerate((0, 1, 0)):
        folder = workspace / str(number)
        folder.mkdir(parents=True)
        found = train_fold(
            tmp_path / "head.toml", study.split_path(fold), study.outer_path, folder, "auroc",
            Interruption(),
        )
        scores.append(found.score)
        assert not (folder / "checkpoint").exists()
    assert scores[0] == scores[2] != scores[1]
    (bank,) = (workspace / ".features").iterdir()
    rows = study.outer_split().rows
    assert len(np.load(next(bank.glob("view-*.npy")))) == len(rows) > len(
        Split.from_mapping(json.loads(study.split_path(0).read_text())).rows
    )


def test_a_network_too_large_for_the_memory_is_a_failure_of_that_kind(resumed, tmp_path):
    import keras

    if keras.backend.backend() != "tensorflow":
        pytest.skip("other backends refuse the shape before they look for memory")
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux limits the memory of a process that is running")
    import resource

    study, _ = resumed
    config = read_toml(study.trial_path(1) / "config.toml")
    config["model"]["dense"] = [65_536, 65_536]
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "config.toml").write_text(tomli_w.dumps(config))
    job = fold_job(
        tmp_path / "trial", tmp_path / "fold", study.split_path(0), study.outer_path, "auroc",
        "tensorflow",
    )
    # The second layer's 17 GB are not to be had, however large this machine is.
    used = 1024 * int(re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())[1])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 6 * 2**30, before[1]))
    try:
        error = answer("stemcls.tuning.running.foldjob:run_fold", job)["error"]
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert error["kind"] == "memory"
    assert error["message"].startswith("out of memory: ")


def test_the_document_names_the_best_trial_and_all_others(resumed):
    study, document = resumed
    assert document["study"] == str(study.path)
    assert [trial["state"] for trial in document["trials"]] == ["finished", "finished"]
    best = document["best"]
    assert best["values"] == document["trials"][best["trial"]]["values"]
    assert best["score"] == pytest.approx(sum(best["scores"]) / 2)
    assert best["std"] == pytest.approx(abs(best["scores"][0] - best["scores"][1]) / 2**0.5)
    assert document["initial"]["values"] == {
        "model.dropout": 0.3, "stages.scratch.learning_rate": 0.003
    }
    assert study.run.summary()["state"] == "finished"
    assert document["over"] == "complete"


def test_best_toml_repeats_the_chosen_settings_on_the_same_split(resumed, striped_store):
    study, document = resumed
    experiment = from_mapping(Experiment, read_toml(study.best_config_path))
    assert experiment.model.dropout == document["best"]["values"]["model.dropout"]
    split = make_split(CropStore.open(striped_store), experiment.split, experiment.seed)
    outer = study.outer_split()
    assert [split.train.tolist(), split.test.tolist()] == [
        outer.train.tolist(), outer.test.tolist()
    ]
    final = read_toml(study.final_path(document["best"]["trial"]) / "config.toml")
    assert from_mapping(Experiment, final) == experiment


def test_best_and_initial_are_scored_on_groups_that_the_search_never_saw(resumed):
    study, document = resumed
    tested = set(study.outer_split().test.tolist())
    for side in ("best", "initial"):
        run = study.final_path(document[side]["trial"])
        assert document[side]["metrics"]["evaluated_on"] == "test"
        assert document[side]["metrics"]["n"] == len(tested)
        assert str(run) == document[side]["run"]
        assert (run / "model.keras").is_file()


def test_the_report_holds_its_figures_and_every_trial(resumed):
    study, document = resumed
    page = (study.path / "report" / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 5
    assert "model.dropout = " in page
    kept = json.loads((study.path / "report" / "study.json").read_text())
    assert kept == {key: value for key, value in document.items() if key != "report"}


def test_other_commands_know_a_study_for_what_it_is(resumed, files, invoke):
    study, document = resumed
    done = invoke("predict", study.path, study.path, "--out", files / "cells.csv")
    assert done.returncode == 2
    assert document["best"]["run"] in done.stderr
    done = invoke("train", "--resume", study.path)
    assert done.returncode == 2
    assert f"stemcls tune --resume {study.path}" in done.stderr
    done = invoke("compare", study.path, document["best"]["run"])
    assert done.returncode == 2
    assert "is a study" in done.stderr


def test_another_objective_space_or_setting_is_refused_with_the_difference(
    resumed, files, invoke
):
    study, _ = resumed
    other = files / "other.toml"
    other.write_text(SPACE.replace("0.6", "0.5"))
    for given, told in (
        (("--objective", "accuracy"), "objective: auroc there, accuracy now"),
        (("--space", other), "space.model.dropout.high: 0.6 there, 0.5 now"),
        (("--seed", "4"), "experiment.seed: 3 there, 4 now"),
        (("--folds", "3"), "folds: 2 there, 3 now"),
        (("--trials", "1"), "may only grow"),
    ):
        done = invoke("tune", "--resume", study.path, *given)
        assert done.returncode == 2, done.stderr
        assert told in done.stderr


def test_a_dry_run_shows_the_space_and_three_samples_and_makes_nothing(
    files, striped_store, invoke
):
    before = sorted((files / "saved_models").glob("*"))
    done = invoke("tune", striped_store, *options(files), "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["samples"][0] == {"model.dropout": 0.3, "stages.scratch.learning_rate": 0.003}
    assert len({json.dumps(sample) for sample in document["samples"]}) == 3
    shown = invoke("tune", striped_store, *options(files), "--dry-run").stdout
    assert "0 to 0.6" in shown
    assert sorted((files / "saved_models").glob("*")) == before


@pytest.mark.parametrize(("given", "told"), [
    (("--folds", "9"), "are needed, one for each fold"),
    (("--objective", "acuracy"), "did you mean 'accuracy'"),
    (("--algorithm", "annealing"), "one of"),
    (("--set", "model.dropuot=0.3"), "did you mean 'dropout'"),
    (("--set", "stages.scratch.batch_size=5000"), "batch_size is 5000, but an epoch has only"),
    (("--slots", "0"), "'--slots': Input should be greater than or equal to 1"),
    (("--devices", "7"), "--devices"),
    (("--extend", "3"), "give --resume STUDY"),
    (("--scheduler", "nonsense"), "no Dask scheduler answers at nonsense"),
])
def test_what_cannot_be_searched_is_refused(given, told, files, striped_store, invoke):
    done = invoke("tune", striped_store, *options(files), *given)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr


def test_a_space_of_one_point_is_refused(files, striped_store, invoke):
    point = files / "point.toml"
    point.write_text('["model.dropout"]\nchoices = [0.3]\n')
    done = invoke("tune", striped_store, *options(files), "--space", point)
    assert done.returncode == 2
    assert "one point" in done.stderr
