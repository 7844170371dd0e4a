"""What a training run tells the world while it works: events, history and a progress callback."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stemcls import atomic
from stemcls.errors import CancelledError, StemclsError
from stemcls.models.devices import device_in_use
from stemcls.progress import Update
from stemcls.runs import Run, process_identity

HEARTBEAT_SECONDS = 15.0


class Journal:
    """Writes a run's events.jsonl, history.csv and log.txt, and passes progress on.

    Args:
        run: The run that is under way.
        update: Called as update(done, total, note) for a progress bar, or None.
    """

    def __init__(self, run: Run, update: Update | None = None) -> None:
        self.run = run
        self._update = update
        self._history: list[dict[str, Any]] = []

    def stage(self, name: str, epochs: int, **values: Any) -> None:
        """Note that a stage begins."""
        self.run.append("stage", stage=name, epochs=epochs, **values)
        self.log(f"stage {name}: at most {epochs} epochs")

    def begin_fold(self, number: int, folds: int) -> None:
        """Note that fold `number` (1-based) of a cross-validation begins."""
        self.run.append("stage", stage=f"fold {number}/{folds}")
        self.log(f"fold {number} of {folds}")

    def epoch(self, stage: str, epoch: int, epochs: int, values: dict[str, float]) -> None:
        """Note a finished epoch (1-based) with its losses and metrics."""
        self.run.append("epoch", stage=stage, epoch=epoch, epochs=epochs, **values)
        self._history.append({"stage": stage, "epoch": epoch, **values})
        self._write_history()
        shown = "  ".join(f"{key} {value:.4g}" for key, value in values.items())
        self.log(f"{stage} epoch {epoch}/{epochs}: {shown}")
        self.progress(epoch, epochs, f"{stage}: {shown}")

    def progress(self, done: int, total: int, note: str) -> None:
        """Move the progress bar."""
        if self._update:
            self._update(done, total, note)

    def log(self, message: str, level: int = logging.INFO) -> None:
        """Add a line to log.txt; at level WARNING the user sees it too."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        with (self.run.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{stamp}  {message}\n")
        logging.getLogger("stemcls").log(level, message)

    def warn(self, message: str) -> None:
        """Add a line to log.txt and show it to the user."""
        self.log(message, logging.WARNING)

    def restore(self, history: list[dict[str, Any]]) -> None:
        """Continue the history of an interrupted run."""
        self._history = list(history)

    @property
    def history(self) -> list[dict[str, Any]]:
        """Every epoch so far."""
        return list(self._history)

    def _write_history(self) -> None:
        names = list(dict.fromkeys(key for row in self._history for key in row))
        with atomic.csv_writer(self.run.path / "history.csv") as writer:
            writer.writerow(names)
            writer.writerows([row.get(name) for name in names] for row in self._history)


@contextmanager
def reported(run: Run, update: Update | None, **started: Any) -> Iterator[Journal]:
    """Bracket a job: `started` first, heartbeats while it lives, and how it ended last.

    Yields the journal. `finished` is written by the job itself, with its metrics; an exception
    writes `failed` or `cancelled` and is raised again.
    """
    run.append("started", **process_identity(), **{"device": device_in_use(), **started})
    journal = Journal(run, update)
    over = threading.Event()
    heart = threading.Thread(target=_beat, args=(run, over), name="heartbeat", daemon=True)
    heart.start()
    try:
        yield journal
    except (CancelledError, KeyboardInterrupt) as error:
        run.append("cancelled", message=str(error) or "interrupted")
        raise
    except BaseException as error:
        told = str(error) if isinstance(error, StemclsError) else f"{type(error).__name__}: {error}"
        # On a full disk even these may fail; the first error is the one to show.
        with contextlib.suppress(OSError):
            run.append("failed", message=told)
            journal.log(traceback.format_exc())
        raise
    finally:
        over.set()
        heart.join()


def _beat(run: Run, over: threading.Event) -> None:
    while not over.wait(HEARTBEAT_SECONDS):
        run.append("heartbeat")
