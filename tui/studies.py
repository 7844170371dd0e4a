"""Read searches for the screens: their trials, and what they come to so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcls.config.experiment import Experiment
from stemcls.errors import StemclsError
from stemcls.tuning.results.choice import choose_among
from stemcls.tuning.space.dimensions import Dimension
from stemcls.tuning.study.journal import Record
from stemcls.tuning.study.study import Study

TRIALS_AT_MOST = 1000


@dataclass(frozen=True)
class TrialRow:
    """One trial as a table shows it.

    Attributes:
        number: From 0.
        state: running, finished, stopped or failed.
        folds: How many folds are done.
        scores: Those that count once it has ended, else those there are, in order.
        score: Their mean, None while it runs or where it failed.
        sd: Their standard deviation, None for fewer than two.
        mark: chosen, best, alike (cannot be told apart from the best) or "".
        parameters: Weights of its model, 0 while none is known.
        seconds: Of all its folds together.
        values: Its settings.
        reason: Why it was stopped or failed.
    """

    number: int
    state: str
    folds: int
    scores: tuple[float, ...]
    score: float | None
    sd: float | None
    mark: str
    parameters: int
    seconds: float
    values: dict[str, Any]
    reason: str


@dataclass(frozen=True)
class StudyView:
    """A search at one moment.

    Attributes:
        path: Its folder.
        problem: Why it cannot be read, "" where it can; all else is empty then.
        objective: What is improved.
        folds: Of a trial.
        backend: Of Keras.
        wanted: How many trials there will be.
        dimensions: What is searched.
        trials: In order; the first `TRIALS_AT_MOST`.
        reason: Which trial is chosen so far, and which cannot be told apart from the best.
    """

    path: Path
    problem: str = ""
    objective: str = ""
    folds: int = 0
    backend: str = ""
    wanted: int = 0
    dimensions: tuple[Dimension, ...] = ()
    trials: tuple[TrialRow, ...] = ()
    reason: str = ""


class StudyReader:
    """Reads one search again when its files changed."""

    def __init__(self) -> None:
        self._version: tuple[Any, ...] = ()
        self._view: StudyView | None = None

    def read(self, path: Path) -> StudyView:
        """Return how a search stands; the same object while nothing changed."""
        version = (path, *(_version(path / name) for name in ("study.toml", "trials.jsonl")))
        if self._view is None or version != self._version:
            self._version, self._view = version, read_study(path)
        return self._view


def read_study(path: Path) -> StudyView:
    """Return how a search stands; works while it runs, and of a damaged one says why not."""
    try:
        study = Study.open(path)
        definition, records = study.definition, study.records()
        wanted = study.n_trials
    except (StemclsError, OSError, KeyError, ValueError) as error:
        return StudyView(path, problem=str(error))
    marks: dict[int, str] = {}
    try:
        choice = choose_among(records, definition.space)
    except StemclsError:
        reason = "No trial has all its folds yet."
    else:
        marks = dict.fromkeys((trial.number for trial in choice.alike), "alike")
        marks |= {choice.best.number: "best"}
        marks[choice.trial.number] = "chosen"
        reason = f"So far {choice.reason}."
    return StudyView(
        path, "", definition.objective, definition.folds, definition.backend, wanted,
        definition.space.dimensions,
        tuple(_row(record, marks) for record in records[:TRIALS_AT_MOST]), reason,
    )


def experiment_of(path: Path, number: int) -> Experiment:
    """Return the experiment of one trial.

    Raises:
        StemclsError: There is no such trial, the search cannot be read, or its settings do not go
            together.
    """
    study = Study.open(path)
    records = study.records()
    if not 0 <= number < len(records):
        raise StemclsError(f"{path.name} has no trial {number}")
    definition = study.definition
    return definition.space.experiment(definition.experiment, records[number].values)


def _row(record: Record, marks: dict[int, str]) -> TrialRow:
    trial = record.as_trial()
    scores = trial.scores or tuple(record.folds[fold].score for fold in sorted(record.folds))
    return TrialRow(
        record.number, record.state if record.ended else "running", len(record.folds), scores,
        trial.score, trial.sd, marks.get(record.number, ""), record.parameters, record.seconds,
        dict(record.values), record.reason,
    )


def _version(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
