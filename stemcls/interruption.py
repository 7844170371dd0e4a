"""Let Ctrl-C, SIGTERM and a hang-up end commands cleanly, and long jobs where nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from stemcls.errors import CancelledError

# Windows has no hang-up.
_NUMBERS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
EXIT_CODE = CancelledError.exit_code


class InterruptedByUser(KeyboardInterrupt):
    """A signal came.

    A class of its own, because Python kills itself by SIGINT after a plain KeyboardInterrupt that
    left a piece of generated code, as dataclasses are, though it was caught.
    """


class Interruption:
    """Whether the job was asked to stop; a second request stops it at once."""

    def __init__(self) -> None:
        self._asked: str | None = None

    def is_asked(self) -> bool:
        """Return whether somebody asked the job to stop."""
        return self._asked is not None

    @property
    def asked_by(self) -> str | None:
        """Who asked: the name of a signal, or what `ask` was told."""
        return self._asked

    def ask(self, who: str) -> None:
        """Ask the job to stop; `who` is named in its message."""
        self._asked = who

    def check(self) -> None:
        """Raise CancelledError if the job was asked to stop."""
        if self._asked:
            raise CancelledError(f"stopped by {self._asked}; what was finished is kept")

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise InterruptedByUser
        self.ask(signal.Signals(number).name)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into a request that `Interruption` answers for.

    In a thread other than the main one signals cannot be caught, and none are.
    """
    interruption = Interruption()
    with _handled(interruption._on_signal):
        yield interruption


@contextmanager
def raising() -> Iterator[Interruption]:
    """Raise KeyboardInterrupt at Ctrl-C, SIGTERM or SIGHUP, so that temporary files are removed.

    Yields who asked: libraries may turn the exception into one of their own.
    """
    interruption = Interruption()

    def stop(number: int, _frame: FrameType | None) -> None:
        interruption.ask(signal.Signals(number).name)
        raise InterruptedByUser

    with _handled(stop):
        yield interruption


def stopped_line(who: str | None) -> str:
    """Return what a stopped command says last."""
    return "stemcls: interrupted" if who in (None, "SIGINT") else f"stemcls: interrupted by {who}"


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.signal(number, handler) for number in _caught()}
    try:
        yield
    finally:
        for number, before in old.items():
            signal.signal(number, before)


def _caught() -> list[signal.Signals]:
    """Return the signals to answer: `nohup`, say, lets a hang-up be ignored, and it stays so."""
    return [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
