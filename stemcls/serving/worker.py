"""One thread owns the model; requests wait in line for it, and the line has an end."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")
Job = Callable[[Any], Any]
Check = Callable[[], None]

LOADING, READY, FAILED, STOPPED = "loading", "ready", "failed", "stopped"


class FullError(Exception):
    """The line is full."""


class AbandonedError(Exception):
    """Nobody waits for the result."""


class Worker:
    """A thread that loads a model and then does one job after another with it.

    A backend is used in the thread that loaded it, and two jobs at once would only share its cores.
    """

    def __init__(
        self, load: Callable[[], Any], places: int, told: Callable[[str], None] | None = None
    ) -> None:
        """Keep what is to be loaded; `start` loads it.

        Args:
            load: Called once in the thread; what it returns is handed to every job.
            places: Most requests in line, the one at work counted.
            told: Called with the new state, in the thread.
        """
        self._load = load
        self._places = places
        self._told = told
        self._taken = 0
        self._jobs: queue.SimpleQueue[tuple[Job, Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="stemcls-model", daemon=True)
        self.state = LOADING
        self.failure: BaseException | None = None

    @property
    def taken(self) -> int:
        """Requests in line, the one at work counted."""
        return self._taken

    def start(self) -> None:
        """Begin to load the model."""
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Do no more jobs; wait `seconds` for the one at work."""
        self._jobs.put(None)
        self._thread.join(seconds)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in line; entered by the event loop's thread alone.

        Raises:
            FullError: All are taken.
        """
        if self._taken >= self._places:
            raise FullError
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def run(self, job: Callable[[Any, Check], Result]) -> Result:
        """Wait for the thread to do a job; one that is cancelled before its turn is never done.

        Args:
            job: Called with the model and with a function to call now and then, which raises
                `AbandonedError` when nobody waits any more.
        """
        done: Future[Any] = Future()
        waited_for = threading.Event()
        waited_for.set()

        def check() -> None:
            if not waited_for.is_set():
                raise AbandonedError

        self._jobs.put((lambda loaded: job(loaded, check), done))
        try:
            result: Result = await asyncio.wrap_future(done)
        finally:
            waited_for.clear()
        return result

    def _work(self) -> None:
        try:
            loaded = self._load()
        except BaseException as error:  # noqa: BLE001 - it is raised again by whoever waits
            self.failure = error
            self._enter(FAILED)
            return
        self._enter(READY)
        while (entry := self._jobs.get()) is not None:
            job, done = entry
            if not done.set_running_or_notify_cancel():
                continue
            try:
                done.set_result(job(loaded))
            except InvalidStateError:
                continue  # whoever waited has left
            except BaseException as error:  # noqa: BLE001 - it is raised again by `run`
                with contextlib.suppress(InvalidStateError):
                    done.set_exception(error)
        self._enter(STOPPED)

    def _enter(self, state: str) -> None:
        self.state = state
        if self._told is not None:
            self._told(state)
