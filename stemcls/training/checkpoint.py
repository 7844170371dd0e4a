"""Keep what an interrupted stage needs to go on: weights, optimiser, best weights, place."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.documents import read_object, sealed
from stemcls.errors import InputError, explained_disk_errors


@dataclass(frozen=True, eq=False)
class Progress:
    """Where a stage stands.

    Attributes:
        stage: Its name.
        epoch: Epochs finished.
        best_loss: Least validation loss so far.
        best_epoch: Where that was, 1-based; 0 before the first epoch.
        waited: Epochs since then.
        drops: How often a plateau has lowered the learning rate.
        best: Weights of that epoch.
        found_loss, found: Validation loss and weights that the stages before have left; none before
            the first.
    """

    stage: str
    epoch: int = 0
    best_loss: float = float("inf")
    best_epoch: int = 0
    waited: int = 0
    drops: int = 0
    best: list[np.ndarray] = field(default_factory=list)
    found_loss: float = float("inf")
    found: list[np.ndarray] = field(default_factory=list)

    def after(self, epoch: int, loss: float, network: Any) -> Progress:
        """Return the progress after an epoch that ended with validation loss `loss`."""
        if loss < self.best_loss:
            return replace(
                self, epoch=epoch, best_loss=loss, best_epoch=epoch, waited=0,
                best=network.get_weights(),
            )
        return replace(self, epoch=epoch, waited=self.waited + 1)


class Checkpoint:
    """The checkpoint/ folder of a run: one complete epoch, or nothing.

    Files of an epoch are written under names of their own before `state.json`, which names them,
    is replaced; older ones are removed after.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save_base(self, stage: str, model: Any) -> None:
        """Keep the whole model as a stage finds it, for one that saves its head alone."""
        self.folder.mkdir(exist_ok=True)
        with explained_disk_errors(self.folder, "the last checkpoint before is kept; `--resume`"):
            _write_arrays(self.folder / _base_name(stage), model.get_weights())

    def restore_base(self, stage: str, model: Any) -> None:
        """Put the whole model where a stage found it, if that was kept."""
        path = self.folder / _base_name(stage)
        if path.is_file():
            with self._explained():
                model.set_weights(_read_arrays(path))

    def save(self, progress: Progress, network: Any, history: list[dict[str, Any]]) -> None:
        """Keep the state after an epoch."""
        self.folder.mkdir(exist_ok=True)
        label = f"{progress.stage}-{progress.epoch}"
        current, best = f"{label}.weights.npz", f"{progress.stage}-{progress.best_epoch}.best.npz"
        found = f"{progress.stage}.found.npz"
        with explained_disk_errors(self.folder, "the last checkpoint before is kept; `--resume`"):
            _write_arrays(self.folder / current, _state_of(network))
            if progress.best_epoch == progress.epoch or not (self.folder / best).exists():
                _write_arrays(self.folder / best, progress.best)
            if progress.found and not (self.folder / found).exists():
                _write_arrays(self.folder / found, progress.found)
            document = {
                "stage": progress.stage,
                "epoch": progress.epoch,
                "best_loss": progress.best_loss,
                "best_epoch": progress.best_epoch,
                "waited": progress.waited,
                "drops": progress.drops,
                "current": current,
                "best_file": best,
                "found_loss": progress.found_loss,
                "found_file": found if progress.found else None,
                "history": history,
            }
            atomic.write_json(self.folder / "state.json", sealed(document))
        for path in self.folder.iterdir():
            if path.name not in (current, best, found, "state.json", _base_name(progress.stage)):
                path.unlink()

    def read(self) -> dict[str, Any] | None:
        """Return `stage`, `epoch`, `history` and the rest, or None where nothing was kept."""
        try:
            return read_object(self.folder / "state.json", self._way_out)
        except FileNotFoundError:
            return None

    def restore(self, stage: str, network: Any) -> Progress | None:
        """Put a compiled `network` where it was in `stage`, or return None for another stage."""
        kept = self.read()
        if kept is None or kept.get("stage") != stage:
            return None
        with self._explained():
            _set_state(network, _read_arrays(self.folder / kept["current"]))
            return Progress(
                stage=stage,
                epoch=kept["epoch"],
                best_loss=_loss_of(kept["best_loss"]),
                best_epoch=kept["best_epoch"],
                waited=kept["waited"],
                drops=kept["drops"],
                best=_read_arrays(self.folder / kept["best_file"]),
                found_loss=_loss_of(kept["found_loss"]),
                found=_read_arrays(self.folder / kept["found_file"]) if kept["found_file"] else [],
            )

    @property
    def _way_out(self) -> str:
        return f"remove the folder {self.folder}, and `--resume` trains from the first stage on"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what a damaged file of weights makes NumPy and Keras raise into an error."""
        try:
            yield
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(
                f"the checkpoint {self.folder} is damaged ({error}): {self._way_out}"
            ) from error

    def clear(self) -> None:
        """Remove it all: the run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)


class NoCheckpoint(Checkpoint):
    """Keeps nothing: for what is done again sooner than it is written down."""

    def __init__(self) -> None:
        super().__init__(Path())

    def save_base(self, stage: str, model: Any) -> None:
        """Keep nothing."""

    def restore_base(self, stage: str, model: Any) -> None:
        """Restore nothing."""

    def save(self, progress: Progress, network: Any, history: list[dict[str, Any]]) -> None:
        """Keep nothing."""

    def read(self) -> dict[str, Any] | None:
        """Return None."""
        return None

    def clear(self) -> None:
        """Remove nothing."""


def _base_name(stage: str) -> str:
    return f"{stage}.base.npz"


def _loss_of(kept: float | None) -> float:
    """Return a loss as it was before JSON, which has no infinity."""
    return float("inf") if kept is None else kept


def _variables(network: Any) -> list[Any]:
    if not network.optimizer.built:
        network.optimizer.build(network.trainable_variables)
    return [*network.variables, *network.optimizer.variables]


def _state_of(network: Any) -> list[np.ndarray]:
    import keras

    return [keras.ops.convert_to_numpy(variable) for variable in _variables(network)]


def _set_state(network: Any, arrays: list[np.ndarray]) -> None:
    for variable, array in zip(_variables(network), arrays, strict=True):
        variable.assign(array)


def _write_arrays(path: Path, arrays: list[np.ndarray]) -> None:
    with atomic.replacing(path) as temporary:
        np.savez(temporary, *arrays)


def _read_arrays(path: Path) -> list[np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return [file[f"arr_{index}"] for index in range(len(file.files))]
