"""The epochs of runs as curves; a growing file is read once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcls.runs import Run, parse_events
from tui.board import Lines

# In this order they are offered; others that a run tells come after them.
USUAL = ("val_loss", "loss", "val_accuracy", "accuracy")
_NO_CURVES = {"time", "event", "stage", "epoch", "epochs", "pid"}


@dataclass(frozen=True)
class Curve:
    """One value over the epochs of a run or a fold, all stages in a row.

    Attributes:
        key: Path of the run, or of the fold.
        x: Epochs from 1 on that tell the value.
        y: It.
    """

    key: str
    x: tuple[int, ...]
    y: tuple[float, ...]


class Epochs:
    """The epochs of one run or fold.

    Args:
        path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = Lines(path / "events.jsonl")
        self._known: dict[tuple[Any, Any], dict[str, Any]] = {}

    def read(self) -> list[dict[str, Any]]:
        """Return every epoch so far; one repeated after a resume replaces the first."""
        try:
            text = self._lines.read()
        except OSError:
            return []
        if self._lines.begun_anew:
            self._known.clear()
        for event in parse_events(text):
            if event.get("event") == "epoch":
                key = event.get("stage"), event.get("epoch")
                self._known.pop(key, None)
                self._known[key] = event
        return list(self._known.values())


class CurveReader:
    """The curves of some runs; forgets those that it is not asked for."""

    def __init__(self) -> None:
        self._known: dict[str, Epochs] = {}

    def read(self, runs: Sequence[str], wanted: str) -> tuple[list[Curve], list[str]]:
        """Return curves and what other values there are.

        Args:
            runs: Folders of runs; of a cross-validation every fold gives a curve.
            wanted: Name of the value.
        """
        curves: list[Curve] = []
        names: dict[str, None] = dict.fromkeys(USUAL)
        there: set[str] = set()
        seen: dict[str, Epochs] = {}
        for path in _parts(runs):
            reader = seen[path] = self._known.get(path) or Epochs(Path(path))
            epochs = reader.read()
            for epoch in epochs:
                there |= {name for name, value in epoch.items() if _is_number(value)}
            points = [(place, epoch[wanted]) for place, epoch in enumerate(epochs, start=1)
                      if _is_number(epoch.get(wanted))]
            if points:
                x, y = zip(*points, strict=True)
                curves.append(Curve(path, x, y))
        self._known = seen
        names |= dict.fromkeys(sorted(there - _NO_CURVES))
        return curves, [name for name in names if name in there]


def _parts(runs: Iterable[str]) -> list[str]:
    parts: list[str] = []
    for path in runs:
        folds = Run(Path(path)).folds()
        parts += [str(fold.path) for fold in folds] or [path]
    return parts


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
