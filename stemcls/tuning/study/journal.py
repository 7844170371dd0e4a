"""The journal of a study, trials.jsonl: only ever appended to, and what its lines add up to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stemcls.documents import last_check, linked, read_linked
from stemcls.errors import InputError, explained_disk_errors
from stemcls.tuning.search.history import Trial

KEPT = (
    "every finished fold is kept; free some space, then `stemcls tune --resume` goes on with the "
    "study"
)


@dataclass(frozen=True)
class FoldResult:
    """What one fold of one trial came to.

    Attributes:
        score: Its objective.
        metrics: Headline metrics on the fold.
        parameters: Weights of the model.
        epochs: Epochs trained, all stages together.
        seconds: Wall time.
    """

    score: float
    metrics: Mapping[str, Any] = field(default_factory=dict)
    parameters: int = 0
    epochs: int = 0
    seconds: float = 0.0


@dataclass
class Record:
    """One trial as its study knows it.

    Attributes:
        number: From 0.
        values: As suggested.
        folds: Results of finished folds by number from 0, in any order.
        state: pending, finished, stopped or failed.
        reason: Why it was stopped or failed.
        scored: How many folds count; those after were begun before a trial was given up.
    """

    number: int
    values: dict[str, Any]
    folds: dict[int, FoldResult] = field(default_factory=dict)
    state: str = "pending"
    reason: str = ""
    scored: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state != "pending"

    @property
    def scores(self) -> tuple[float, ...]:
        """The scores that count, in order of the folds."""
        return tuple(self.folds[fold].score for fold in range(self.scored))

    @property
    def seconds(self) -> float:
        """Time of all its folds together."""
        return sum(result.seconds for result in self.folds.values())

    @property
    def parameters(self) -> int:
        """Weights of its model; 0 where no fold is finished."""
        return max((result.parameters for result in self.folds.values()), default=0)

    def as_trial(self) -> Trial:
        """Return what suggestions and decisions are made from."""
        if not self.ended:
            return Trial(self.number, self.values)
        return Trial(self.number, self.values, self.state, self.scores)


class Journal:
    """Appends lines that are on the disk when `append` returns.

    Args:
        path: The file; made where it is missing. A last line without its end, of a process that
            was killed, is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            with path.open("ab"):
                pass
            _cut_torn_line(path)
            self._check = last_check(path)

    def append(self, entry: str, **values: Any) -> None:
        """Add one line.

        Raises:
            StemclsError: The disk is full; the file is as it was before.
        """
        line, check = linked({"entry": entry, **values}, self._check)
        with self._explained():
            before = self.path.stat().st_size
            try:
                with self.path.open("ab", buffering=0) as file:
                    written = file.write(line)
                    if written < len(line):
                        file.write(line[written:])
                    os.fsync(file.fileno())
            except OSError:
                os.truncate(self.path, before)
                raise
        self._check = check

    def _explained(self) -> Any:
        return explained_disk_errors(self.path, KEPT)


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal, a torn last one left out.

    Raises:
        InputError: A line is not as a study wrote it.
    """
    return read_linked(
        path,
        "take the file from a backup, or remove this line and all after it: the folds' own results "
        "are found again",
    )


def read_records(path: Path) -> list[Record]:
    """Return the trials that a journal tells of, in order.

    Raises:
        InputError: It is damaged.
    """
    records: list[Record] = []
    for line in read_entries(path):
        try:
            _apply(line, records)
        except (KeyError, IndexError, TypeError) as error:
            raise InputError(
                f"{path} tells of what cannot have been: {line} ({type(error).__name__}: {error})"
            ) from error
    return records


def _apply(line: Mapping[str, Any], records: list[Record]) -> None:
    entry = line["entry"]
    if entry == "trial":
        if line["trial"] != len(records):
            raise IndexError(f"trial {len(records)} was expected")
        records.append(Record(line["trial"], line["values"]))
    elif entry == "fold":
        records[line["trial"]].folds[line["fold"]] = FoldResult(**line["result"])
    elif entry == "end":
        record = records[line["trial"]]
        record.state, record.reason = line["state"], line["reason"]
        record.scored = line["scored"]


def _cut_torn_line(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
