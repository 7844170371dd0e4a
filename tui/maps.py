"""Read the maps of `stemcls explain` and lay them over their crops; no Textual, no matplotlib."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stemcls.errors import InputError
from tui.pixels import as_rgb

ARRAYS = "maps.h5"
_COVER = 0.6
# Corners of matplotlib's inferno (0 to 1) and of its RdBu_r (-1 to 1), as sRGB.
_HEAT = np.array([
    (0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21),
    (250, 193, 39), (252, 255, 164),
], dtype=np.float64)  # fmt: skip
_FOR_AND_AGAINST = np.array([
    (5, 48, 97), (67, 147, 195), (209, 229, 240), (247, 247, 247), (253, 219, 199),
    (214, 96, 77), (103, 0, 31),
], dtype=np.float64)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Explained:
    """The cells of one explanation, without their maps.

    Attributes:
        path: maps.h5.
        store: The store that `rows` count in, as the explanation names it.
        rows: (N,) int.
        truth, predicted: (N,) int indices into `classes`; truth is -1 where unknown.
        score: (N,) probability of the predicted class.
        classes: Names.
        methods: Names.
    """

    path: Path
    store: str
    rows: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    score: np.ndarray
    classes: tuple[str, ...]
    methods: tuple[str, ...]

    def caption(self, at: int) -> str:
        """Return a short line on one cell: row, whether it was rightly called, score."""
        right = "✓" if self.truth[at] == self.predicted[at] else "✗"
        return f"{self.rows[at]} {right if self.truth[at] >= 0 else '?'} {self.score[at]:.2f}"

    def in_words(self, at: int) -> str:
        """Return what a cell is and was called."""
        truth = self.classes[self.truth[at]] if self.truth[at] >= 0 else "unlabelled"
        called = self.classes[self.predicted[at]]
        return f"Row {self.rows[at]}: {truth}, called {called} ({self.score[at]:.2f})"


@dataclass(frozen=True, eq=False)
class Maps:
    """The maps of one method.

    Attributes:
        crops: (N, H, W, C) as stored.
        heatmaps: (N, H, W) in [-1, 1].
        pixel_score: (N,) in [0, 1].
        layer: Where in the network; "" where that says nothing.
    """

    crops: np.ndarray
    heatmaps: np.ndarray
    pixel_score: np.ndarray
    layer: str


def read_explained(folder: Path) -> Explained:
    """Read which cells an explanation is of.

    Raises:
        InputError: maps.h5 is missing or damaged.
    """
    path = folder / ARRAYS
    try:
        with h5py.File(path, "r", locking=False) as file:
            rows, truth = file["rows"][...], file["truth"][...]
            return Explained(
                path, _store_of(folder), rows, truth, file["predicted"][...], file["score"][...],
                tuple(map(_text, file.attrs["classes"])), tuple(file["methods"]),
            )
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(f"the maps at {path} cannot be read: {error}") from None


def read_maps(path: Path, method: str, places: slice | list[int] = slice(None)) -> Maps:
    """Read crops and maps of one method.

    Args:
        path: maps.h5.
        method: Its name.
        places: Which of the cells, ascending.
    Raises:
        InputError: The file is gone or damaged, or holds no such method.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            found = file[f"methods/{method}"]
            return Maps(
                file["crops"][places], found["heatmaps"][places], found["pixel_score"][places],
                _text(found.attrs["layer"]),
            )
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(f"the maps of {method} at {path} cannot be read: {error}") from None


def maps_of_rows(run: Path, stores: set[str]) -> dict[int, list[tuple[Explained, int]]]:
    """Return the explanations that there are of each row of a store, newest first.

    Args:
        run: A run's folder.
        stores: Paths that the store has or had.
    """
    found: dict[int, list[tuple[Explained, int]]] = {}
    for path in sorted((run / "explanations").glob(f"*/{ARRAYS}"), reverse=True):
        try:
            explained = read_explained(path.parent)
        except InputError:
            continue  # the tab of explanations says what is wrong with it
        if explained.store in stores:
            for place, row in enumerate(explained.rows.tolist()):
                found.setdefault(row, []).append((explained, place))
    return found


def overlaid(crop: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lay a map over a grey crop, the more opaque the stronger it is.

    Args:
        crop: (H, W, C) as stored.
        heat: (H, W) in [-1, 1].
    Returns: (H, W, 3) uint8.
    """
    grey = as_rgb(crop).mean(axis=2, keepdims=True)
    cover = _COVER * np.abs(heat)[..., None]
    return np.rint((1 - cover) * grey + cover * _coloured(heat)).astype(np.uint8)


def beside(crop: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return a crop and its overlay next to each other, (H, 2 W, 3) uint8."""
    return np.concatenate([as_rgb(crop), overlaid(crop, heat)], axis=1)


def _coloured(heat: np.ndarray) -> np.ndarray:
    corners, low = (_FOR_AND_AGAINST, -1.0) if heat.min() < 0 else (_HEAT, 0.0)
    share = np.clip((heat - low) / (1 - low), 0, 1) * (len(corners) - 1)
    places = np.arange(len(corners))
    return np.stack([np.interp(share, places, corners[:, c]) for c in range(3)], axis=-1)


def _store_of(folder: Path) -> str:
    try:
        document: Any = json.loads((folder / "explanation.json").read_text("utf-8"))
        return str(document["store"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
