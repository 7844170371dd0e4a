"""Training by the command line; test_survival kills and stops it in each stage."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stemcls.config.options import read_toml
from stemcls.runs import Run, list_runs, process_identity


def test_a_run_holds_what_the_design_names(trained_run):
    for name in (
        "config.toml", "environment.json", "split.json", "events.jsonl", "history.csv", "log.txt",
        "model.keras", "labels.json", "model.json", "evaluation/metrics.json",
        "evaluation/confusion.csv", "evaluation/predictions.csv", "evaluation/confusion.png",
        "evaluation/roc.svg",
    ):
        assert (trained_run / name).stat().st_size > 0, name
    assert not (trained_run / "checkpoint").exists()
    assert not list(trained_run.rglob("*.part*"))
    assert json.loads((trained_run / "labels.json").read_text()) == ["along x", "quer/süß"]
    assert Run(trained_run).summary()["state"] == "finished"
    assert read_toml(trained_run / "config.toml")["seed"] == 3


def test_no_donor_is_on_two_sides(trained_run):
    units = json.loads((trained_run / "split.json").read_text())["units"]
    sides = [set(units[side]) for side in ("train", "validation", "test")]
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides)) == 10


def test_the_kept_config_repeats_the_run(trained_run, trained_workspace, invoke, unpainted):
    result = invoke(
        "train", "--config", trained_run / "config.toml", "--workspace", trained_workspace,
        "--name", "again", "--json",
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    first = json.loads((trained_run / "evaluation" / "metrics.json").read_text())["metrics"]
    assert document["metrics"]["mean_recall"] == pytest.approx(first["mean_recall"], abs=0.07)
    assert Path(document["run"]) != trained_run
    again = json.loads((Path(document["run"]) / "split.json").read_text())
    assert again == json.loads((trained_run / "split.json").read_text())


def test_a_run_that_is_under_way_is_not_resumed_twice(tmp_path, invoke):
    run = Run.create(tmp_path, "busy")
    run.append("started", **process_identity())
    result = invoke("train", "--resume", run.path)
    assert result.returncode == 2
    assert "is still running" in result.stderr


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(
    striped_store, tiny_config, tmp_path, invoke, monkeypatch
):
    from stemcls.training.journal import Journal

    epoch = Journal.epoch

    def interrupted(self, *values):
        epoch(self, *values)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Journal, "epoch", interrupted)
    result = invoke("train", striped_store, "--config", tiny_config, "--workspace", tmp_path)
    assert result.returncode == 130, result.stderr
    (run,) = list_runs(tmp_path)
    assert run.summary()["state"] == "cancelled"
    assert f"stemcls train --resume {run.path}" in result.stderr.replace("\n", "")
    assert "Traceback" not in result.stderr


def test_a_full_disk_keeps_the_last_checkpoint(striped_store, tiny_config, tmp_path):
    """A file-size limit makes writes fail the way a full disk does."""
    import resource

    command = [
        sys.executable, "-m", "stemcls", "train", str(striped_store), "--config", str(tiny_config),
        "--workspace", str(tmp_path),
    ]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
    )
    assert result.returncode == 1, result.stderr
    assert "no space left while writing" in result.stderr
    assert "Traceback" not in result.stderr


def test_folds_report_mean_and_spread(
    striped_store, tiny_config, tmp_path, invoke, unpainted
):
    result = invoke(
        "train", striped_store, "--config", tiny_config, "--folds", "2", "--workspace", tmp_path,
        "--scratch-epochs", "2", "--json",
    )
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert len(document["folds"]) == 2
    assert document["metrics"]["n"] == 160
    recalls = [fold["mean_recall"] for fold in document["folds"]]
    assert document["mean_sd"]["mean_recall"] == pytest.approx(sum(recalls) / 2)
    run = Path(document["run"])
    tested = [
        set(json.loads((run / "folds" / f"fold-{k}" / "split.json").read_text())["units"]["test"])
        for k in (1, 2)
    ]
    assert not tested[0] & tested[1]
    result = invoke("predict", run, striped_store, "--out", tmp_path / "x.csv")
    assert result.returncode == 2
    assert "is a cross-validation and holds one model per fold" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--backbone", "DenseNet"), "no backbone 'DenseNet'; did you mean"),
        (("--weights", "nowhere.h5", "--backbone", "MobileNet", "--input-px", "32"),
         "nowhere.h5 does not exist"),
        (("--folds", "11"), "10"),
        (("--folds", "1"), "--folds needs 2 or more"),
        (("--classes", "along y", "--classes", "along x"), "did you mean 'along x'"),
        (("--backend", "tensorflo"), "did you mean 'tensorflow'"),
        (("--split-by", "donor"), "'donor' is not a choice"),
        (("--finetune-epochs", "-3"), "below the least allowed"),
    ],
)
def test_bad_input_ends_with_2_and_one_clear_message(
    arguments, text, striped_store, tiny_config, tmp_path, invoke
):
    result = invoke(
        "train", striped_store, "--config", tiny_config, *arguments, "--workspace", tmp_path
    )
    assert result.returncode == 2, result.stderr
    assert text in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "saved_models").exists()


def test_a_store_that_is_missing_or_not_ours_is_named(tmp_path, invoke):
    result = invoke("train", "nothing", "--workspace", tmp_path)
    assert result.returncode == 2
    assert "there is no store nothing" in result.stderr
    (tmp_path / "x.h5").write_bytes(b"no HDF5 at all")
    result = invoke("train", tmp_path / "x.h5", "--workspace", tmp_path)
    assert result.returncode == 2
    assert "x.h5" in result.stderr
    assert not list(tmp_path.glob("saved_models/*"))


def test_a_resumed_run_keeps_its_backend_and_takes_no_other_settings(trained_run, invoke):
    from stemcls.commands.train import _backend_of

    assert _backend_of(Run(trained_run)) == "tensorflow"
    for extra in (("--folds", "3"), ("--seed", "1")):
        result = invoke("train", "--resume", trained_run, *extra)
        assert result.returncode == 2
        assert "--resume repeats the run's own config" in result.stderr


def test_without_a_test_split_the_numbers_say_so(
    striped_store, tiny_config, tmp_path, invoke, unpainted
):
    result = invoke(
        "train", striped_store, "--config", tiny_config, "--test", "0", "--scratch-epochs", "1",
        "--workspace", tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "no test split: these are the crops that chose the weights" in result.stderr


def test_a_workspace_that_is_a_file_is_an_error_without_a_traceback(
    striped_store, tiny_config, tmp_path, invoke
):
    (tmp_path / "file").write_text("")
    result = invoke(
        "train", striped_store, "--config", tiny_config, "--workspace", tmp_path / "file"
    )
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"stemcls: --workspace {tmp_path / 'file'} is a file: expected a folder"
    ]
