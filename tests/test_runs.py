"""Runs: their state is what events.jsonl says, whatever happened to the process."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from stemcls.errors import InputError
from stemcls.runs import (
    STALLED_AFTER_SECONDS,
    Run,
    birth_of,
    is_halted,
    list_runs,
    process_identity,
)


def test_a_run_folder_is_never_reused(tmp_path):
    paths = {Run.create(tmp_path, "same name/with slash").path for _ in range(3)}
    assert len(paths) == 3
    assert all(path.parent == tmp_path / "saved_models" for path in paths)


def test_state_follows_the_events(tmp_path):
    run = Run.create(tmp_path, "x")
    run.append("started", **process_identity())
    assert run.summary()["state"] == "running"
    run.append("epoch", stage="scratch", epoch=2, epochs=9, val_loss=0.5)
    assert (run.summary()["stage"], run.summary()["epoch"]) == ("scratch", 2)
    run.append("finished", metrics={"auroc": 0.9})
    assert run.summary()["state"] == "finished"
    assert run.summary()["metrics"] == {"auroc": 0.9}


def test_a_silent_run_of_another_host_is_stalled(tmp_path):
    run = Run.create(tmp_path, "x")
    run.append("started", pid=7, host="elsewhere")
    assert run.summary(now=time.time() + STALLED_AFTER_SECONDS + 5)["state"] == "stalled"


@pytest.mark.parametrize("jump", [-2 * 86_400, -60, 60, 2 * 86_400])
def test_a_clock_that_jumps_changes_nothing_about_a_run_of_this_host(tmp_path, monkeypatch, jump):
    run = Run.create(tmp_path, "x")
    run.append("started", **process_identity())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    monkeypatch.setattr("stemcls.runs._birth_seconds", lambda pid: now + jump)
    assert run.summary()["state"] == "running"


def test_a_process_that_got_the_number_of_a_dead_one_is_another(tmp_path):
    run = Run.create(tmp_path, "x")
    run.append("started", **{**process_identity(), "born": "an earlier start of the system:12"})
    assert run.summary()["state"] == "crashed"


def test_a_halted_run_is_stalled_and_a_dead_one_crashed(tmp_path):
    run = Run.create(tmp_path, "x")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    run.append("started", pid=child.pid, host=socket.gethostname(), born=birth_of(child.pid))
    assert run.summary()["state"] == "running"
    child.send_signal(signal.SIGSTOP)
    while not is_halted(child.pid):
        time.sleep(0.01)
    assert run.summary()["state"] == "stalled"
    child.kill()
    child.wait()
    assert run.summary()["state"] == "crashed"
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    dead = Run.create(tmp_path, "y")
    dead.append("started", pid=child.pid, host=socket.gethostname())
    assert dead.summary()["state"] == "crashed"


def test_a_run_on_another_host_is_not_judged_by_our_processes(tmp_path):
    run = Run.create(tmp_path, "x")
    run.append("started", pid=999_999_999, host="elsewhere")
    assert run.summary()["state"] == "running"


def test_a_line_cut_off_by_a_crash_is_passed_over(tmp_path):
    run = Run.create(tmp_path, "x")
    run.append("started", pid=os.getpid(), host=socket.gethostname())
    with (run.path / "events.jsonl").open("a") as file:
        file.write('{"time": 1, "eve')
    assert [event["event"] for event in run.events()] == ["started"]


def test_a_resumed_run_runs_again_and_forgets_the_old_message(tmp_path):
    run = Run.create(tmp_path, "x")
    run.append("started", **process_identity())
    run.append("failed", message="no space left")
    assert run.summary()["message"] == "no space left"
    run.append("started", **process_identity())
    assert (run.summary()["state"], run.summary()["message"]) == ("running", None)


def test_not_finite_numbers_are_null_in_events(tmp_path):
    run = Run.create(tmp_path, "x")
    run.append("epoch", loss=float("nan"))
    assert next(run.events())["loss"] is None


def test_runs_are_listed_and_opened_by_name(tmp_path):
    assert list_runs(tmp_path) == []
    run = Run.create(tmp_path, "fine")
    run.append("started", **process_identity())
    from pathlib import Path

    assert Run.open(Path(run.name), tmp_path) == run
    with pytest.raises(InputError, match=f"did you mean '{run.name}'"):
        Run.open(Path(run.name + "x"), tmp_path)
    with pytest.raises(InputError, match=r"not a run: it holds no events\.jsonl"):
        Run.open(tmp_path)


def test_a_run_may_be_given_a_name_that_is_free_and_plain(tmp_path):
    assert Run.create_named(tmp_path / "recipes", "mine").read_json("run.json")
    for name, told in (("mine", "is there already"), ("../up", "cannot name a folder"), ("", "''")):
        with pytest.raises(InputError, match=told):
            Run.create_named(tmp_path / "recipes", name)
    assert [path.name for path in tmp_path.iterdir()] == ["recipes"]
