"""Jobs are started with the right command, stopped only when they are ours, and told once."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stemcls import atomic
from stemcls.config.experiment import Experiment
from stemcls.errors import InputError
from stemcls.runs import Run
from tui import commandlines, jobs
from tui.app import StemclsApp
from tui.board import Board
from tui.commandlines import Search, Training, argv_of, resume_argv
from tui.drawing import bar, curve, duration, interval_bar, number
from tui.tail import last_lines
from tui.widgets.confusion import meaning

from .conftest import NO_SUCH_PID, finish, make_run
from .driving import until

TRAINING = Training(folds=5, backend="jax")
SEARCH = Search(
    trials=7, folds=4, backbones=("TinyCNN", "ResNet18"), max_hours=1.5, objective="auroc",
    algorithm="random", racing=False, backend="torch",
)


def test_the_command_line_is_that_of_stemcls_train() -> None:
    argv = argv_of(TRAINING, Path("/w/a.h5"), Path("/w/c.toml"), Path("/w"), "cpu")
    assert argv == [
        sys.executable, "-m", "stemcls", "train", "/w/a.h5", "--config", "/w/c.toml",
        "--folds", "5", "--device", "cpu", "--backend", "jax", "--workspace", "/w",
    ]
    assert "--folds" not in argv_of(Training(), Path("a.h5"), Path("c.toml"), Path("w"), "cpu")


def test_the_command_line_is_that_of_stemcls_tune(tmp_path) -> None:
    space = tmp_path / "space.toml"
    space.touch()
    search = replace(SEARCH, space=str(space))
    argv = argv_of(search, Path("/w/a.h5"), Path("/w/c.toml"), Path("/w"), "0,1")
    assert argv[3:] == [
        "tune", "/w/a.h5", "--config", "/w/c.toml", "--trials", "7", "--folds", "4",
        "--backbone", "TinyCNN", "--backbone", "ResNet18", "--objective", "auroc",
        "--algorithm", "random", "--no-racing", "--space", str(space), "--max-hours", "1.5",
        "--devices", "0,1", "--backend", "torch", "--workspace", "/w",
    ]
    with pytest.raises(InputError, match="there is no file"):
        Search(space="nowhere.toml")


@pytest.mark.parametrize(("name", "task"), [("train", TRAINING), ("tune", SEARCH)])
def test_the_real_commands_understand_these_command_lines(tmp_path, name, task) -> None:
    from typer.main import get_command

    from stemcls.cli import app

    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    known = {flag for parameter in command.params
             for flag in (*parameter.opts, *parameter.secondary_opts)}
    run = Run(tmp_path / "r")
    run.path.mkdir()
    if name == "tune":
        (run.path / "study.toml").touch()
    argv = [
        *argv_of(task, Path("a"), Path("c"), Path("w"), "0"), *resume_argv(run, Path("w"), "0"),
    ]
    assert {word for word in argv if word.startswith("--")} <= known | {"--space"}


def test_a_run_is_resumed_on_the_backend_it_began_with(tmp_path) -> None:
    run = make_run(tmp_path, "one", NO_SUCH_PID)
    atomic.write_json(run.path / "environment.json", {"backend": "torch"})
    argv = resume_argv(run, tmp_path, "1")
    assert argv[3:] == [
        "train", "--resume", str(run.path), "--device", "1", "--backend", "torch",
        "--workspace", str(tmp_path),
    ]


def test_a_study_is_resumed_as_one(tmp_path) -> None:
    run = make_run(tmp_path, "one", NO_SUCH_PID)
    (run.path / "study.toml").touch()
    argv = resume_argv(run, tmp_path, "cpu")
    assert argv[3:] == [
        "tune", "--resume", str(run.path), "--devices", "cpu", "--workspace", str(tmp_path),
    ]


def test_stop_sends_sigterm_to_the_process_of_the_run(tmp_path, sleeper) -> None:
    jobs.stop(make_run(tmp_path, "one", sleeper.pid))
    assert sleeper.wait(10) == -signal.SIGTERM


def test_stop_leaves_other_hosts_and_reused_pids_alone(tmp_path, sleeper) -> None:
    elsewhere = make_run(tmp_path, "elsewhere", sleeper.pid, host="another-host")
    with pytest.raises(InputError, match="runs on another-host, this is"):
        jobs.stop(elsewhere)
    reused = Run(tmp_path / "saved_models" / "reused")
    reused.path.mkdir()
    line = {"time": time.time() - 86_400, "event": "started", "pid": sleeper.pid,
            "host": socket.gethostname()}
    (reused.path / "events.jsonl").write_text(atomic.dump_json(line) + "\n")
    with pytest.raises(InputError, match="reused is crashed: there is nothing to stop"):
        jobs.stop(reused)
    assert sleeper.poll() is None


def test_a_finished_run_is_neither_stopped_nor_resumed(tmp_path) -> None:
    run = make_run(tmp_path, "one", NO_SUCH_PID)
    finish(run)
    with pytest.raises(InputError, match="one is finished: there is nothing to stop"):
        jobs.stop(run)
    with pytest.raises(InputError, match="one is finished: only a run that is cancelled"):
        commandlines.resume(tmp_path, run, "cpu")


def settle(workspace: Path) -> tuple[list[jobs.Job], list[jobs.Job]]:
    """Settle as the UI does, reading the runs anew."""
    board = Board(workspace)
    board.look()
    return jobs.settle(workspace, board.starts)


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Return what a condition comes to, once that is true."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def begun(job: jobs.Job) -> jobs.Job | None:
    """Return the job once its turn has come."""
    now = jobs.read_job(Path(job.record))
    return now if now is not None and not now.queued else None


def start_training(workspace: Path, name: str = "") -> jobs.Job:
    experiment = Experiment(name=name)
    return commandlines.start(workspace, Path("a.h5"), experiment, Training(), "cpu")


def test_a_crashed_run_is_resumed_once(tmp_path, launched, monkeypatch) -> None:
    monkeypatch.setattr(
        commandlines, "resume_argv",
        lambda *_: [sys.executable, "-c", "import time; time.sleep(30)"],
    )
    run = make_run(tmp_path, "one", NO_SUCH_PID)
    job = commandlines.resume(tmp_path, run, "cpu")
    with pytest.raises(InputError, match="being resumed already"):
        commandlines.resume(tmp_path, run, "cpu")
    ours = wait_for(lambda: begun(job))
    assert (ours.pid, ours.run) == (job.pid, str(run.path))
    assert settle(tmp_path) == ([ours], [])
    run.append("started", pid=job.pid, host=job.host, born=ours.born)
    assert settle(tmp_path) == ([], [])
    assert jobs.open_jobs(tmp_path) == []
    assert jobs.output_path(run.path).is_file(), "what it prints is found beside its run"
    assert run.summary()["state"] == "running"


def test_a_killed_job_of_ours_is_seen_as_crashed(tmp_path, launched, monkeypatch) -> None:
    monkeypatch.setattr(commandlines, "argv_of", lambda *_: [sys.executable, "-c", "pass"])
    job = start_training(tmp_path)
    run = make_run(tmp_path, "one", job.pid)
    wait_for(lambda: settle(tmp_path) and run.summary()["state"] == "crashed")
    assert run.summary()["state"] == "crashed"


def test_a_dead_job_is_told_once(tmp_path, launched, monkeypatch) -> None:
    monkeypatch.setattr(commandlines, "argv_of", lambda *_: [sys.executable, "-c", "print('bye')"])
    job = start_training(tmp_path, "a / b")
    (dead,) = wait_for(lambda: settle(tmp_path)[1])
    assert (dead.name, dead.pid) == ("a / b", job.pid)
    assert dead.last_words() == "bye"
    assert settle(tmp_path) == ([], [])


def test_the_tail_of_a_long_log_is_read_without_control_characters(tmp_path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 100_000 + b"\nfirst\n\n\x1b[31mred\x07 end\n")
    assert last_lines(path, 2) == ["first", "[31mred end"]
    assert last_lines(tmp_path / "none", 2) == []


def test_drawings_have_known_shapes() -> None:
    assert bar(0.5, 4) == "██"
    assert bar(2.0, 2) == "██"
    assert interval_bar(0.5, 0.25, 0.75, 5) == "·─●─·"
    assert curve([3.0, None, 1.0, 2.0], 10) == "█▁▅" or curve([3.0, None, 1.0], 10) == "█▁"
    assert [duration(s) for s in (5, 185, 7620)] == ["5s", "3m05s", "2h07m"]
    assert [number(v) for v in (None, float("nan"), 3, 0.5)] == ["-", "-", "3", "0.500"]


def test_a_cell_of_the_matrix_is_spelled_out() -> None:
    said = meaning([[8, 2], [0, 0]], ["a", "b"], 0, 1)
    assert said == (
        "Of 10 crops that are a, 2 (20.0%) were wrongly called b. "
        "That is 100.0% of all so called."
    )
    assert meaning([[8, 2], [0, 0]], ["a", "b"], 1, 0).startswith("Of 0 crops that are b, 0 were")


async def test_s_and_r_stop_and_resume_from_the_keyboard(
    tmp_path, sleeper, launched, monkeypatch
) -> None:
    started = []

    def fake_argv(run, workspace, device):
        started.append((run.name, workspace, device))
        return [sys.executable, "-c", "import time; time.sleep(30)"]

    monkeypatch.setattr(commandlines, "resume_argv", fake_argv)
    run = make_run(tmp_path, "one", sleeper.pid)
    async with StemclsApp(tmp_path).run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("3")
        await until(pilot, "▶ running")
        await pilot.press("r")
        await until(pilot, "one is running: only")
        await pilot.press("s")
        await until(pilot, "one stops at its")
        assert sleeper.wait(10) == -signal.SIGTERM
        run.append("cancelled", message="stopped")
        await until(pilot, "■ cancelled")
        await pilot.press("r")
        await until(pilot, "… starting  one")
    assert started == [("one", tmp_path, "cpu")]
