"""Run a model over crops in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from stemcls.config.experiment import VIEWS
from stemcls.errors import InputError
from stemcls.models.parallel import predict_batches
from stemcls.progress import Update

# Name of a model whose head was solved for on features averaged over views. The mean of features is
# the mean of logits, so that is what is taken of the views of a new crop too.
SOLVED = "stemcls_solved"
_LEAST = 1e-30
CHUNK_BYTES = 256 * 2**20  # every call of Keras costs as much as a few steps


def dihedral(crops: np.ndarray, view: int) -> np.ndarray:
    """Return one of the exact flips and turns of crops: eight of square ones, else four.

    Args:
        crops: (N, H, W, C).
        view: 0 (as is) to 7; 0-3 quarter turns, 4-7 the same of the mirrored crop. The order is
            such that the first 2 are a half turn and the first 4 all turns and half of them.
    Returns: (N, H, W, C), a view or copy.
    Raises:
        ValueError: No such view, or a quarter turn of crops that are not square.
    """
    if view not in view_numbers(crops.shape[1:3], 8):
        raise ValueError(f"crops of shape {crops.shape[1:3]} have no view {view}")
    turned = np.rot90(crops, k=(0, 2, 1, 3)[view % 4], axes=(1, 2))
    return turned[:, :, ::-1] if view >= 4 else turned


def view_numbers(size_px: tuple[int, ...], views: int) -> tuple[int, ...]:
    """Return which views to take when `views` are asked for.

    Args:
        size_px: Height and width of the crops; those that are not square have no quarter turns, so
            four views are all they have.
        views: 1, 2, 4 or 8.
    """
    height, width = size_px
    numbers = range(8) if height == width else (0, 1, 4, 5)
    return tuple(numbers[:views])


def predict(
    model: Any,
    read: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    *,
    batch_size: int = 64,
    views: int = 1,
    update: Update | None = None,
) -> np.ndarray:
    """Return the model's output for many crops, averaged over `views` of each.

    Of a model called `SOLVED` logits are averaged, of others the outputs.

    Args:
        model: keras.Model of (N, H, W, C) to (N, K).
        read: Rows to crops, e.g. `CropStore.read`.
        rows: (N,) what to read.
        batch_size: Crops per step of the network.
        views: 1, 2, 4 or 8 dihedral views (a cell on a slide has no up); crops that are not square
            have 4 at most.
        update: Called as update(done, total, note).
    Returns: (N, K) float32.
    Raises:
        InputError: The crops do not have the shape that the model takes.
    """
    if views not in VIEWS:
        raise InputError(f"views must be 1, 2, 4 or 8, found {views}")
    by_logits = model.name == SOLVED and views > 1
    outputs: list[np.ndarray] = []
    n_done = 0
    for crops in _chunks(read, rows, batch_size):
        _check_shape(model, crops)
        total: Any = 0
        numbers = view_numbers(crops.shape[1:3], views)
        done = n_done * len(numbers)
        for view in numbers:
            turned = np.ascontiguousarray(dihedral(crops, view))
            told = _progress(update, done, len(numbers), len(crops), len(rows), batch_size)
            found = predict_batches(model, turned, batch_size, told)
            total = total + (np.log(np.maximum(found, _LEAST)) if by_logits else found)
            done += len(crops)
        n_done += len(crops)
        mean = np.asarray(total, dtype=np.float32) / len(numbers)
        outputs.append(_shares(mean) if by_logits else mean)
    width = model.output_shape[-1]
    return np.concatenate(outputs) if outputs else np.zeros((0, width), dtype=np.float32)


def _shares(logs: np.ndarray) -> np.ndarray:
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _chunks(
    read: Callable[[np.ndarray], np.ndarray], rows: np.ndarray, batch_size: int
) -> Iterable[np.ndarray]:
    if not len(rows):
        return
    one = read(rows[:1])
    size = max(1, CHUNK_BYTES // max(one.nbytes, 1) // batch_size) * batch_size
    for start in range(0, len(rows), size):
        yield read(rows[start : start + size])


def _progress(
    update: Update | None, done: int, n_views: int, n_crops: int,
    total: int, batch_size: int,
) -> list[Any]:
    """Return callbacks that count crops, each a fraction 1 / n_views for every view of it."""
    if update is None:
        return []
    tell = update
    import keras

    class Progress(keras.callbacks.Callback):
        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
            seen = min((batch + 1) * batch_size, n_crops)
            tell((done + seen) // n_views, total, "crops")

    return [Progress()]


def _check_shape(model: Any, crops: np.ndarray) -> None:
    wanted = tuple(model.input_shape[1:])
    if crops.shape[1:] != wanted:
        raise InputError(
            f"the model takes crops of {_shape(wanted)}, these are {_shape(crops.shape[1:])}; "
            "rebuild the crops with the --crop-px and --channels of its training store"
        )


def _shape(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{height}x{width} px with {channels} channel{'s' if channels != 1 else ''}"
