"""`python -m stemcls.tuning.running.worker`: does jobs one by one, keeping what they have loaded.

A job is a line of JSON on stdin, `{"function": "module:name", "job": {...}}`; the reply a line on
what was stdout: `{"result": ...}` or `{"error": {...}}`. When stdin ends, so does the process, in
the middle of a job if need be: whoever started it is gone.
"""

from __future__ import annotations

import errno
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from stemcls.atomic import dump_json
from stemcls.errors import CancelledError, InputError, StemclsError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main() -> None:
    """Do jobs until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries print to stdout; only replies may go where it led.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()
    while True:
        replies.write(dump_json(answer(**jobs.get())) + "\n")
        replies.flush()


def answer(function: str, job: dict[str, Any]) -> dict[str, Any]:
    """Call a function and return its result, or what is to be known of its failure.

    Args:
        function: `module:name`.
        job: Its one argument.
    """
    try:
        return {"result": _named(function)(job)}
    except Exception as error:  # noqa: BLE001 - told to the search, which decides
        if not isinstance(error, StemclsError):
            traceback.print_exc()
        return {"error": _described(error)}


def _read_jobs(jobs: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)


def _named(function: str) -> Callable[[dict[str, Any]], Any]:
    module, _, name = function.partition(":")
    found: Callable[[dict[str, Any]], Any] = getattr(import_module(module), name)
    return found


def _described(error: Exception) -> Mapping[str, str]:
    """Return `kind` (input, memory, disk, cancelled or failed) and `message`."""
    kind = _kind(error)
    message = str(error)
    if not isinstance(error, StemclsError):
        message = f"{'out of memory: ' * (kind == 'memory')}{type(error).__name__}: {error}"
    return {"kind": kind, "message": message}


def _kind(error: Exception) -> str:
    from stemcls.training.failures import is_out_of_memory

    for cause in (error, error.__cause__):
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return "disk"
    if isinstance(error, CancelledError):
        return "cancelled"
    if is_out_of_memory(error):
        return "memory"
    return "input" if isinstance(error, InputError) else "failed"


if __name__ == "__main__":
    main()
