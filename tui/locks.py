"""Locks that a process holds through an open file, also the one that it becomes or starts."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def hold(path: Path) -> int | None:
    """Take the lock `path` and return the open file that holds it; None where another has it.

    The system lets go of it when the last process that has the file open ends, however it ends.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def hold_all(paths: Sequence[Path]) -> list[int] | None:
    """Take all of these locks, or none of them."""
    held: list[int] = []
    for path in paths:
        file = hold(path)
        if file is None:
            let_go(held)
            return None
        held.append(file)
    return held


def let_go(files: Sequence[int]) -> None:
    """Give locks back."""
    for file in files:
        os.close(file)


def is_held(path: Path) -> bool:
    """Tell whether any process has the lock `path`."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # another user's: nothing of ours may take it
    try:
        # Shared, so that two who ask at once do not take each other for the holder.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait for the lock `path` and hold it in the block, which must be short."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
