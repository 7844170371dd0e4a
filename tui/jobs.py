"""Start, stop and resume jobs: separate processes that outlive the UI."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.config.experiment import Experiment
from stemcls.config.options import to_toml
from stemcls.errors import InputError, StemclsError
from stemcls.runs import CLOCK_SLACK_SECONDS, Run, is_alive, list_runs
from tui.tail import last_lines

BACKENDS = ("tensorflow", "jax", "torch")
RESUMABLE = ("cancelled", "failed", "crashed", "waiting")

# Processes that this UI started; they must be polled, or a dead one stays a zombie that looks
# alive to everybody who asks for its pid.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Job:
    """A process that was started and has not shown itself as a run yet.

    Attributes:
        name: What a list shows: the store's or the run's name.
        pid, host: Its process.
        started: Seconds since the epoch.
        log: Where its stdout and stderr go.
        record: The JSON file that remembers it for the next UI.
        run: Folder of the run it resumes, "" for a new one.
    """

    name: str
    pid: int
    host: str
    started: float
    log: str
    record: str
    run: str = ""

    @property
    def alive(self) -> bool:
        """Whether its process lives, as far as this host can tell."""
        return self.host != socket.gethostname() or is_running(self.pid, self.started)

    def last_words(self, lines: int = 6) -> str:
        """Return the end of what it wrote on stdout and stderr."""
        return "\n".join(last_lines(Path(self.log), lines)) or "it wrote nothing"


def train_argv(
    store: Path, config: Path, workspace: Path, folds: int = 0, backend: str = ""
) -> list[str]:
    """Return the command line that trains on `store` as the TOML file `config` says."""
    argv = [sys.executable, "-m", "stemcls", "train", str(store), "--config", str(config)]
    argv += ["--workspace", str(workspace)]
    if folds:
        argv += ["--folds", str(folds)]
    return argv + (["--backend", backend] if backend else [])


def resume_argv(run: Run, workspace: Path) -> list[str]:
    """Return the command line that goes on with `run`, on the backend it began with."""
    command = "tune" if run.is_study else "train"
    argv = [sys.executable, "-m", "stemcls", command, "--resume", str(run.path)]
    argv += ["--workspace", str(workspace)]
    for name in ("environment.json", "folds/fold-1/environment.json"):
        backend = (run.read_json(name) or {}).get("backend")
        if backend in BACKENDS:
            return [*argv, "--backend", backend]
    return argv


def launch_training(
    workspace: Path, store: Path, experiment: Experiment, folds: int = 0, backend: str = ""
) -> Job:
    """Start a training run on `store` as its own process; the config is kept beside its log."""
    name = experiment.name or store.stem
    stem = _new_stem(workspace, name)
    config = stem.with_suffix(".toml")
    atomic.write_text(config, to_toml(experiment))
    return _launch(train_argv(store, config, workspace, folds, backend), stem, name)


def resume(workspace: Path, run: Run) -> Job:
    """Go on with an interrupted run in a new process.

    Raises:
        InputError: It is finished, still has a process, or is just being resumed.
    """
    state = run.summary()["state"]
    if state not in RESUMABLE:
        raise InputError(
            f"{run.name} is {state}: only a run that is {', '.join(RESUMABLE[:-1])} or waiting can "
            "be resumed" + ("; stop it first" if state in ("running", "stalled") else "")
        )
    if any(job.run == str(run.path) and job.alive for job in open_jobs(workspace)):
        raise InputError(f"{run.name} is being resumed already")
    stem = _new_stem(workspace, run.name)
    return _launch(resume_argv(run, workspace), stem, run.name, str(run.path))


def stop(run: Run) -> None:
    """Ask a run's process to stop at its next step; it keeps a checkpoint and can be resumed.

    Raises:
        InputError: It does not run, runs on another host, or its process is gone.
    """
    state = run.summary()["state"]
    if state not in ("running", "stalled"):
        raise InputError(f"{run.name} is {state}: there is nothing to stop")
    started = last_start(run)
    host, pid = started.get("host"), started.get("pid")
    if host != (here := socket.gethostname()):
        raise InputError(f"{run.name} runs on {host}, this is {here}: stop it there")
    if not isinstance(pid, int) or pid <= 1 or not is_running(pid, started.get("time", 0.0)):
        raise InputError(f"the process of {run.name} is gone; it can be resumed")
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise InputError(f"{run.name} belongs to another user: you may not stop it") from None
    except ProcessLookupError:
        raise InputError(f"the process of {run.name} is gone; it can be resumed") from None


def last_start(run: Run) -> dict[str, Any]:
    """Return the latest `started` event of a run: pid, host, time; empty where there is none."""
    started: dict[str, Any] = {}
    for event in run.events():
        if event.get("event") == "started":
            started = event
    return started


def reap() -> None:
    """Collect processes of ours that ended, so that their runs can be seen to have crashed."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]


def open_jobs(workspace: Path) -> list[Job]:
    """Return the jobs that nobody has settled yet, also those of an earlier UI."""
    found = []
    for path in sorted((workspace / "saved_models" / ".jobs").glob("*.json")):
        try:
            found.append(Job(**{**json.loads(path.read_text("utf-8")), "record": str(path)}))
        except (OSError, ValueError, TypeError):
            continue  # half gone or written by another version; its log stays for a person to read
    return found


def settle(workspace: Path) -> tuple[list[Job], list[Job]]:
    """Forget the jobs whose run has shown itself, and find those that died before that.

    Returns: jobs still on their way to a run, and jobs that died without one (told only once).
    """
    reap()
    starting: list[Job] = []
    dead: list[Job] = []
    jobs = open_jobs(workspace)
    # Alive is asked first: a job that starts its run and ends in between is then still settled.
    alive = {job.record: job.alive for job in jobs}
    pids = {(start.get("pid"), start.get("host")): start.get("time", 0.0)
            for start in map(last_start, list_runs(workspace))} if jobs else {}
    for job in jobs:
        began = pids.get((job.pid, job.host))
        if began is not None and began >= job.started - CLOCK_SLACK_SECONDS:
            Path(job.record).unlink(missing_ok=True)
        elif alive[job.record]:
            starting.append(job)
        else:
            Path(job.record).unlink(missing_ok=True)
            dead.append(job)
    return starting, dead


def _new_stem(workspace: Path, name: str) -> Path:
    folder = workspace / "saved_models" / ".jobs"
    folder.mkdir(parents=True, exist_ok=True)
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return folder / f"{stamp}-{safe[:80] or 'run'}-{secrets.token_hex(2)}"


def _launch(argv: list[str], stem: Path, name: str, run: str = "") -> Job:
    log, record = stem.with_suffix(".log"), stem.with_suffix(".json")
    pid = spawn(argv, log)
    job = Job(name, pid, socket.gethostname(), time.time(), str(log), str(record), run)
    atomic.write_json(record, asdict(job))
    return job


def spawn(argv: list[str], log: Path, **environment: str) -> int:
    """Start a process that outlives this one and writes to `log`; return its pid.

    Args:
        argv: Its command line.
        log: Takes its stdout and stderr.
        environment: Variables on top of our own.
    Raises:
        StemclsError: It cannot be started.
    """
    try:
        with log.open("wb") as output:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, env={**os.environ, **environment},
            )
    except OSError as error:
        raise StemclsError(f"could not start {' '.join(argv[:3])}: {error}") from error
    _children[child.pid] = child
    return child.pid


def is_running(pid: int, since: float) -> bool:
    """Return whether the process `pid` of this host lives and had begun by `since`."""
    if pid in _children:
        return _children[pid].poll() is None
    return is_alive(pid, since)
