"""Start, queue, stop and resume jobs: separate processes that outlive the UI.

A job is a record in saved_models/.jobs/, and a waiter (`tui.waiter`) that becomes the command when
its device is free.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.errors import InputError, StemclsError
from stemcls.runs import Run
from tui import locks
from tui.processes import ask_to_stop, reap, spawn
from tui.records import Started, new_name, read_record

RESUMABLE = ("cancelled", "failed", "crashed", "waiting")
# So often a waiter that died is started again before its job counts as dead.
WAITERS_AT_MOST = 5
# Latest start of each run, by process and host: when.
Starts = Mapping[tuple[Any, Any], tuple[str | None, Run]]


@dataclass(frozen=True, kw_only=True)
class Job(Started):
    """A command that waits for its device, or was started and has not shown itself as a run yet.

    Its `pid` is that of its waiter, then of the command: they are one process; 0 before that runs.
    `started` is when it was launched, then when its turn came.

    Attributes:
        name: What a list shows: the store's or the run's name.
        run: Folder of the run it resumes, "" for a new one.
        argv: The command.
        device: What it keeps for itself: cpu, or numbers of GPUs as 0,1.
        queued: Whether it still waits.
        waiters: How many waiters it has had.
    """

    name: str
    run: str = ""
    argv: tuple[str, ...] = ()
    device: str = "cpu"
    queued: bool = True
    waiters: int = 1

    @property
    def lock(self) -> Path:
        """Held by its waiter, and by the command that it becomes."""
        return Path(self.record).with_suffix(".lock")

    @property
    def alive(self) -> bool:
        """Whether its process lives, as far as this host can tell."""
        return not self.here or locks.is_held(self.lock)

    @property
    def devices(self) -> frozenset[str]:
        """What it keeps for itself, one by one."""
        return frozenset(self.device.split(","))

    @property
    def place(self) -> tuple[float, str]:
        """Its place in the queue: less is earlier."""
        return self.started, self.record


def jobs_folder(workspace: Path) -> Path:
    """Return where records, logs and configs of jobs are."""
    return workspace / "saved_models" / ".jobs"


def output_path(run: Path) -> Path:
    """Return what the process of a run printed, where it was launched here and has begun."""
    return run.parent / ".jobs" / f"{run.name}.output"


def launch(
    workspace: Path, name: str, argv: Callable[[Path], list[str]], config: str, device: str,
    run: str = "",
) -> Job:
    """Put a command in the queue of its device; it starts at once where that is free.

    Args:
        workspace: Where the job's record, log and config are kept.
        name: What a list shows.
        argv: Returns the command, given the file that holds `config`.
        config: Text of the config; "" where the command takes none.
        device: What the job keeps for itself.
        run: Folder of the run that it resumes.
    Raises:
        StemclsError: The process cannot be started.
        OSError: The workspace cannot be written.
    """
    folder = jobs_folder(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / new_name(name)
    config_path = stem.with_suffix(".toml")
    if config:
        atomic.write_text(config_path, config)
    job = Job(
        record=str(stem.with_suffix(".json")), pid=0, host=socket.gethostname(),
        started=time.time(), name=name, run=run, argv=tuple(argv(config_path)), device=device,
    )
    return _start_waiter(job)


def take_back(workspace: Path, job: Job) -> None:
    """Take a job out of the queue, or end its process where its turn has come; it is forgotten.

    Raises:
        InputError: Its process is gone, or on another host.
    """
    with turn(workspace):
        now = read_job(Path(job.record))
        if now is not None and not now.queued:
            ask_to_stop(now.name, now.pid, now.host, now.started, now.born)
        _forgotten(job)


def stop(run: Run) -> None:
    """Ask a run's process to stop at its next step; it keeps a checkpoint and can be resumed.

    Raises:
        InputError: It does not run, runs on another host, or its process is gone.
    """
    state = run.summary()["state"]
    if state not in ("running", "stalled"):
        raise InputError(f"{run.name} is {state}: there is nothing to stop")
    started = last_start(run)
    try:
        ask_to_stop(
            run.name, started.get("pid"), started.get("host"), started.get("time", 0.0),
            started.get("born"),
        )
    except InputError as error:
        hint = "; it can be resumed" if str(error).endswith("is gone") else ""
        raise InputError(f"{error}{hint}") from None


def last_start(run: Run) -> dict[str, Any]:
    """Return the latest `started` event of a run: pid, host, time; empty where there is none."""
    started: dict[str, Any] = {}
    for event in run.events():
        if event.get("event") == "started":
            started = event
    return started


def open_jobs(workspace: Path) -> list[Job]:
    """Return the jobs that nobody has settled yet, also an earlier UI's, in order."""
    # Names with a dot are records that are just being written.
    found = map(read_job, jobs_folder(workspace).glob("[!.]*.json"))
    return sorted((job for job in found if job is not None), key=lambda job: job.place)


def read_job(record: Path) -> Job | None:
    """Return the job of a record; None where it is gone, or was written by another version."""
    return read_record(Job, record)


def turn(workspace: Path) -> Any:
    """Return a lock for a `with` block: inside it no job of the workspace is begun or removed."""
    return locks.alone(jobs_folder(workspace) / ".turn")


def settle(workspace: Path, starts: Callable[[], Starts]) -> tuple[list[Job], list[Job]]:
    """Forget the jobs whose run has shown itself, and find those that died before that.

    A job in the queue whose waiter died gets another one.

    Args:
        workspace: Of the jobs.
        starts: Returns the latest start of each run; asked only while there are jobs.
    Returns: jobs still on their way to a run, and jobs that died without one (told only once).
    """
    reap()
    coming: list[Job] = []
    dead: list[Job] = []
    jobs = open_jobs(workspace)
    # Alive is asked first: a job that starts its run and ends in between is then still settled.
    alive = {job.record: job.alive for job in jobs}
    begun = starts() if jobs else {}
    for job in jobs:
        born, run = begun.get((job.pid, job.host), (None, None))
        if run is not None and not job.queued and born == job.born:
            _forgotten(job, run)
        elif alive[job.record] or _revived(workspace, job):
            coming.append(job)
        elif _forgotten(job):
            dead.append(job)
    return coming, dead


def _revived(workspace: Path, job: Job) -> bool:
    if not job.queued:
        return False
    try:
        with turn(workspace):
            now = read_job(Path(job.record))
            if now is None or now.alive or not now.queued:
                return now is not None and now.alive
            if now.waiters >= WAITERS_AT_MOST:
                return False
            _start_waiter(replace(now, pid=0, waiters=now.waiters + 1))
    except (StemclsError, OSError):
        return False
    return True


def _start_waiter(job: Job) -> Job:
    """Start the process that waits for the device and then becomes the command."""
    # It is born with its lock, so that nobody sees the job without a live process.
    lock = locks.hold(job.lock)
    if lock is None:
        return job
    job.keep()
    argv = [sys.executable, "-m", "tui.waiter", job.record, str(lock)]
    try:
        pid = spawn(argv, job.log, keep_open=[lock])
    except StemclsError:
        _forgotten(job)
        raise
    finally:
        locks.let_go([lock])
    return replace(job, pid=pid)


def _forgotten(job: Job, run: Run | None = None) -> bool:
    """Remove a job's record; tell whether it was us, and not another UI or nobody."""
    try:
        Path(job.record).unlink()
        job.lock.unlink(missing_ok=True)
        if run is not None and job.log.exists():
            job.log.replace(output_path(run.path))
    except OSError:  # gone already, or a workspace that we may only read
        return False
    return True
