"""A process that waits until its job's device is free, and then becomes the job's command.

Started by `tui.jobs` as `python -m tui.waiter RECORD LOCK`; it needs no UI. While it waits it
holds the job's lock, and from its turn on the locks of the job's devices; the command keeps them
all until it ends.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

from stemcls.runs import birth_of
from tui import jobs, locks
from tui.board import Board
from tui.jobs import Job

POLL_SECONDS = 0.5


def main(record: Path, lock: int) -> None:
    """Wait, and do not come back where the turn came."""
    workspace = record.parents[2]
    board = Board(workspace)
    while True:
        busy = busy_devices(board)
        with jobs.turn(workspace):
            job = jobs.read_job(record)
            if job is None:
                return  # somebody took it out of the queue
            held = devices_for(workspace, job, busy)
            if held is not None:
                replace(
                    job, pid=os.getpid(), born=birth_of(os.getpid()), started=time.time(),
                    queued=False,
                ).keep()
                break
        time.sleep(POLL_SECONDS)
    for file in (lock, *held):
        os.set_inheritable(file, True)
    os.execv(job.argv[0], job.argv)


def devices_for(workspace: Path, job: Job, busy: frozenset[str]) -> list[int] | None:
    """Return the held locks of a job's devices if it is its turn, else None.

    Args:
        workspace: Of the job.
        job: One that waits.
        busy: Devices of runs that may hold no lock; see `busy_devices`.
    """
    for other in jobs.open_jobs(workspace):
        rivals = other.queued and other.here and other.devices & job.devices
        if rivals and other.place < job.place and other.alive:
            return None
    if busy & job.devices:
        return None
    folder = jobs.jobs_folder(workspace)
    return locks.hold_all([folder / f".device-{job.host}-{name}" for name in sorted(job.devices)])


def busy_devices(board: Board) -> frozenset[str]:
    """Return the devices of this host that runs are on, also those from the command line."""
    board.look()
    starts = [
        follower.progress.start for follower in board.followers.values()
        if follower.state in ("running", "stalled")
    ]
    here = socket.gethostname()
    return frozenset(
        name for start in starts if start.get("host") == here
        for name in str(start.get("device", "")).split(",") if name
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
