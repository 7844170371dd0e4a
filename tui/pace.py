"""How long a run will still take, from how long its epochs, folds or trials took."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

RECENT = 5

Later = Callable[[str], Sequence[tuple[str, int]] | None]


@dataclass(frozen=True)
class Left:
    """What is left of a run.

    Attributes:
        seconds: About so long.
        at_most: Whether stages may stop early, so that it is at most that.
    """

    seconds: float
    at_most: bool


class Pace:
    """Times of a run's parts; fed with its events one by one.

    A run is made of epochs in stages, a cross-validation of folds, a search of trials.
    """

    def __init__(self) -> None:
        self._kind = ""
        self._at = 0.0
        self._stage, self._epoch, self._epochs = "", 0, 0
        self._of_stage: dict[str, deque[float]] = {}
        self._parts, self._done = 0, 0
        self._part_times: deque[float] = deque(maxlen=RECENT)

    def add(self, event: dict[str, Any]) -> None:
        """Take the next event into account."""
        kind, now = event.get("event"), float(event.get("time") or 0.0)
        if kind == "started":
            self._kind, self._at = str(event.get("kind") or ""), now
            self._parts = int(event.get("folds") or event.get("trials") or 0)
            self._done = 0 if self._kind == "folds" else self._done
        elif kind == "stage":
            self._stage, self._epoch = str(event.get("stage")), 0
            self._epochs = int(event.get("epochs") or 0)
            self._at = self._at if self._kind == "tune" else now
        elif kind == "epoch":
            self._epoch, self._epochs = int(event.get("epoch") or 0), int(event.get("epochs") or 0)
            times = self._of_stage.setdefault(self._stage, deque(maxlen=RECENT))
            times.append(now - self._at)
            self._at = now
        elif kind == "metric":
            self._done += 1
            self._part_times.append(now - self._at)
            self._at = now

    def left(self, now: float, later: Later) -> Left | None:
        """Return what is left at time `now`; None while nothing says it.

        Args:
            now: Seconds since the epoch.
            later: Returns names and epochs of the stages after the one of that name, or None.
        """
        since = max(0.0, now - self._at)
        if self._kind in ("folds", "tune"):
            if not self._part_times or self._done >= self._parts:
                return None
            # Folds that an earlier session finished pass at once, and tell nothing.
            times = [time for time in self._part_times if time > 1.0] or self._part_times
            whole = (self._parts - self._done) * statistics.fmean(times)
            return _left(whole - since, False)
        stages = later(self._stage)
        if stages is None or not self._epochs:
            return None
        seconds = -since
        for name, epochs in ((self._stage, self._epochs - self._epoch), *stages):
            if not epochs:
                continue
            if not (seen := self._of_stage.get(name)):
                return None
            seconds += epochs * statistics.fmean(seen)
        return _left(seconds, True)


def _left(seconds: float, at_most: bool) -> Left | None:
    # What takes longer than it ever did is not known any more.
    return Left(seconds, at_most) if seconds > 0 else None
