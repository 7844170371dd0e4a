"""The jobs of a search, as plain data and functions that any process can be asked to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.documents import read_object, sealed
from stemcls.errors import explained_disk_errors
from stemcls.interruption import Interruption
from stemcls.runs import Run
from stemcls.training.lock import alone
from stemcls.tuning.study.journal import KEPT, FoldResult

LOOK_SECONDS = 1.0
_RESULT = frozenset(column.name for column in fields(FoldResult))
STOP = "stop"


class FileInterruption(Interruption):
    """Asked to stop by a file, which other machines can make too.

    Args:
        path: Looked for at most once a second.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._looked = 0.0

    def is_asked(self) -> bool:
        """Return whether the file is there."""
        now = time.monotonic()
        if self.asked_by is None and now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if self._path.exists():
                self.ask("the search")
        return super().is_asked()

    def check(self) -> None:
        """Raise CancelledError if the file is there."""
        self.is_asked()
        super().check()


def fold_job(
    trial: Path, fold: Path, split: Path, outer: Path, objective: str, backend: str
) -> dict[str, Any]:
    """Describe a fold for `run_fold`.

    Args:
        trial: Folder with the trial's config.toml; a file `stop` there ends the fold.
        fold: Folder for its results.
        split: JSON of its split; the test rows are scored.
        outer: JSON of the study's split; features are computed of all its rows, once for all.
        objective: What is kept as its score.
        backend: Of Keras.
    """
    return {
        "trial": str(trial.resolve()), "fold": str(fold.resolve()), "split": str(split.resolve()),
        "outer": str(outer.resolve()), "objective": objective, "backend": backend,
    }


def run_fold(job: dict[str, Any]) -> dict[str, Any]:
    """Train and score a fold, or return what an earlier process has left of it.

    Returns: a `FoldResult` as plain values.
    """

    def train(interruption: Interruption) -> FoldResult:
        from stemcls.models.backend import start_keras

        start_keras(job["backend"])
        from stemcls.tuning.running.foldtraining import train_fold

        return train_fold(
            Path(job["trial"]) / "config.toml", Path(job["split"]), Path(job["outer"]),
            Path(job["fold"]), job["objective"], interruption,
        )

    return once(job, train)


def once(job: dict[str, Any], train: Callable[[Interruption], FoldResult]) -> dict[str, Any]:
    """Call `train` unless the fold has a result, which is kept in its folder."""
    folder = Path(job["fold"])
    interruption = FileInterruption(Path(job["trial"]) / STOP)
    with explained_disk_errors(folder, KEPT):
        folder.mkdir(parents=True, exist_ok=True)
        # The process of a search that was killed may still be at it.
        with alone(folder / ".lock", interruption.check):
            path = folder / "result.json"
            if path.is_file():
                kept = read_object(path, "remove it, and the fold is trained again")
                return {key: value for key, value in kept.items() if key in _RESULT}
            result = asdict(train(interruption))
            atomic.write_json(path, sealed(result))
    return result


def final_job(config: Path, split: Path, folder: Path, backend: str) -> dict[str, Any]:
    """Describe a training on all folds merged for `run_final`."""
    return {
        "config": str(config.resolve()), "split": str(split.resolve()),
        "folder": str(folder.resolve()), "backend": backend,
    }


def run_final(job: dict[str, Any]) -> dict[str, Any]:
    """Train an ordinary run, or go on with it; return its metrics."""
    run = Run(Path(job["folder"]))
    finished = run.read_json("evaluation/metrics.json")
    if finished and run.summary()["state"] == "finished":
        metrics: dict[str, Any] = finished["metrics"]
        return metrics
    from stemcls.models.backend import start_keras

    start_keras(job["backend"])
    from stemcls.tuning.running.foldtraining import train_final

    return train_final(
        Path(job["config"]), Path(job["split"]), run.path, FileInterruption(run.path / STOP)
    )
