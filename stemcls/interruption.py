"""Let SIGTERM and Ctrl-C end a long job cleanly, at a point where it loses nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from stemcls.errors import CancelledError


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
            raise KeyboardInterrupt
        self.ask(signal.Signals(number).name)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Turn SIGTERM and SIGINT into a request that `Interruption` answers for.

    In a thread other than the main one signals cannot be caught, and none are.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    old = [signal.signal(number, interruption._on_signal) for number in numbers]
    try:
        yield interruption
    finally:
        for number, handler in zip(numbers, old, strict=True):
            signal.signal(number, handler)
