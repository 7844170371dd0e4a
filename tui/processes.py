"""Processes that the UI starts and that outlive it; they write to a log, never to a pipe."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stemcls.errors import InputError, StemclsError
from stemcls.runs import is_alive

# Processes that this UI started; they must be polled, or a dead one stays a zombie that looks
# alive to everybody who asks for its pid.
_children: dict[int, subprocess.Popen[bytes]] = {}


def spawn(
    argv: Sequence[str], log: Path, keep_open: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> int:
    """Start a process in a session of its own; return its pid.

    Args:
        argv: Its command line.
        log: Its stdout and stderr are added to it.
        keep_open: Open files that it inherits.
        environment: Variables on top of our own.
    Raises:
        StemclsError: It cannot be started.
    """
    try:
        with log.open("ab") as output:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True, pass_fds=keep_open,
                env={**os.environ, **(environment or {})},
            )
    except OSError as error:
        raise StemclsError(f"could not start {' '.join(argv[:4])}: {error}") from error
    _children[child.pid] = child
    return child.pid


def is_running(pid: int, host: str, since: float, born: str | None = None) -> bool:
    """Tell whether a process lives, as far as this host can tell.

    Args:
        pid, host: Which; one of another host is believed to.
        since: Seconds since the epoch at which it had begun.
        born: From `stemcls.runs.birth_of`, where it is known.
    """
    if host != socket.gethostname():
        return True
    if pid in _children:
        return _children[pid].poll() is None
    return is_alive(pid, since, born)


def ask_to_stop(
    what: str, pid: Any, host: Any, since: float, born: str | None = None
) -> None:
    """Send a process SIGTERM.

    Args:
        what: Its name for people.
        pid, host, since, born: Which; see `is_running`.
    Raises:
        InputError: It runs on another host, belongs to another user, or is gone.
    """
    if host != (here := socket.gethostname()):
        raise InputError(f"{what} runs on {host}, this is {here}: stop it there")
    if not isinstance(pid, int) or pid <= 1 or not is_running(pid, host, since, born):
        raise InputError(f"the process of {what} is gone")
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise InputError(f"{what} belongs to another user: you may not stop it") from None
    except ProcessLookupError:
        raise InputError(f"the process of {what} is gone") from None


def reap() -> None:
    """Collect processes of ours that ended."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]
