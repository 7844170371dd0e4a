"""Locks between processes that the system lets go of when their process dies."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stemcls.errors import InputError
from stemcls.runs import Run, process_identity

POLL_SECONDS = 0.2


@contextmanager
def try_lock(path: Path, note: str = "") -> Iterator[bool]:
    """Hold the lock `path` inside the block; yields whether it could be had.

    Args:
        path: A file that is made for it and stays.
        note: What the file then says of its holder.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        if note:
            file.truncate(0)
            file.write(note)
            file.flush()
        yield True


@contextmanager
def alone(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock `path` in the block; `wait` is called until it can be had, and may raise."""
    while True:
        with try_lock(path) as mine:
            if mine:
                yield
                return
        wait()
        time.sleep(POLL_SECONDS)


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Keep every other process from training `run` inside the block.

    Raises:
        InputError: Another one does.
    """
    path = run.path / ".lock"
    me = "process {pid} on {host}".format(**process_identity())
    with try_lock(path, me) as mine:
        if not mine:
            holder = path.read_text(encoding="utf-8") or "another process"
            raise InputError(
                f"{run.path} is being trained by {holder}: two processes cannot train one run; "
                "stop that one first, or wait for it"
            )
        yield
