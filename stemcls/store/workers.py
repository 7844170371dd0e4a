"""Run functions over items in processes of their own, a few ahead, results in order.

Each worker is a fresh interpreter, because a fork would copy OpenCV's threads in any state. It
hangs on one end of a socket pair: it ends when its parent does, however that ended, and a worker
that dies takes with it only the item it had.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from stemcls.errors import InputError, StemclsError

Item = TypeVar("Item")
Result = TypeVar("Result")
_AHEAD = 2  # items under way per worker: one at work, one waiting or done
_WATCH_SECONDS = 0.5
# One thread each: the processes are the parallelism.
_SETTINGS = dict.fromkeys(
    (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TIFFFILE_NUM_THREADS",
        "IMAGECODECS_NUM_THREADS",
    ),
    "1",
) | {
    # glibc hands every large array back to the system and asks for it again, page by page, which
    # is a quarter of the time that reading takes; a worker keeps the memory of one field instead.
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}


class WorkerStartError(StemclsError):
    """No worker process can start, so it is no item's fault."""


class _DiedError(Exception):
    """The worker process ended in the middle of an item."""


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Crew:
    """Processes that stay for several rounds of work; a context manager, at whose end they go.

    Args:
        workers: Processes, started when they are needed; 1: none, work is done in this one.
    """

    def __init__(self, workers: int) -> None:
        self._size = workers
        self._lock = threading.Lock()
        self._all: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._dismissed = False

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        self._dismiss()
        for worker in self._all:
            worker.close()

    def in_order(
        self, items: Iterable[Item], work: Callable[[Item], Result]
    ) -> Iterator[tuple[Item, Callable[[], Result]]]:
        """Yield each item, in order, with a call that gives its result or raises what it raised.

        Args:
            items: Taken as they are needed; no more than twice the workers are under way at a time.
            work: With more than one worker it must be picklable, and so must items and results.

        Raises:
            InputError: By the call, where two workers in a row died of this item.
            WorkerStartError: By the call, where workers do not start at all.
        """
        if self._size <= 1:
            for item in items:
                yield item, partial(work, item)
            return
        waiting: deque[tuple[Item, Future[Result]]] = deque()
        threads = ThreadPoolExecutor(self._size)
        finished = False
        try:
            for item in items:
                waiting.append((item, threads.submit(self._do, work, item)))
                if len(waiting) >= _AHEAD * self._size:
                    first, future = waiting.popleft()
                    yield first, future.result
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result
            finished = True
        finally:
            if not finished:  # nobody wants what is still under way
                self._dismiss()
            threads.shutdown(wait=True, cancel_futures=True)

    def _do(self, work: Callable[[Item], Result], item: Item) -> Result:
        ends: list[str] = []
        for _ in range(2):
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            worker = worker or self._hire()
            try:
                return worker.do(work, item)
            except _DiedError:
                ends.append(worker.end())
            finally:
                if worker.is_alive():
                    with self._lock:
                        self._idle.append(worker)
        raise InputError(
            f"the process that worked on it died twice ({', then '.join(ends)}); if memory ran "
            "out, fewer --workers need less"
        )

    def _dismiss(self) -> None:
        with self._lock:
            self._dismissed = True
            for worker in self._all:
                worker.end()

    def _hire(self) -> _Worker:
        with self._lock:
            if self._dismissed:
                raise _DiedError
            worker = _Worker()
            self._all.append(worker)
        worker.wait_until_ready()
        return worker


class _Worker:
    def __init__(self) -> None:
        ours, theirs = Pipe()
        with theirs:
            program = (
                f"import sys; sys.path[:] = {sys.path!r}; "
                f"from stemcls.store.workers import serve; serve({theirs.fileno()})"
            )
            self._process = subprocess.Popen(
                [sys.executable, "-c", program], pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                env={**os.environ, **_SETTINGS},
                process_group=0,  # out of reach of Ctrl-C, which is for the parent to handle
            )
        self._connection = ours

    def wait_until_ready(self) -> None:
        try:
            self._receive()
        except _DiedError:
            raise WorkerStartError(
                f"worker processes do not start ({self.end()}); --workers 1 does without them"
            ) from None

    def do(self, work: Callable[[Any], Any], item: Any) -> Any:
        try:
            self._connection.send((work, item))
        except OSError:
            raise _DiedError from None
        done, value = self._receive()
        if done:
            return value
        raise value

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self.end()
        self._connection.close()

    def end(self) -> str:
        """Kill the process if it still runs; return how it ended, in words."""
        self._process.kill()
        code = self._process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _receive(self) -> tuple[bool, Any]:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            raise _DiedError from None


def serve(number: int) -> None:
    """Work on what comes through the socket with this file number, until its other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    import cv2

    cv2.setNumThreads(1)
    connection = Connection(number)
    try:
        connection.send((True, None))
        while True:
            work, item = connection.recv()
            connection.send(_outcome(work, item))
    except (EOFError, OSError):
        return


def _outcome(work: Callable[[Any], Any], item: Any) -> tuple[bool, Any]:
    try:
        return True, work(item)
    except Exception as error:  # noqa: BLE001 - raised again in the parent
        if not isinstance(error, StemclsError | OSError):
            error.add_note("in a worker process:\n" + traceback.format_exc())
        return False, error


def _end_with_parent(parent: int) -> None:
    """End at once when the parent is gone, even in the middle of an item."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
