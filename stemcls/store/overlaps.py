"""Recognise cells that an earlier, overlapping field of the same dish has already given."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from stemcls.store.sources import Source

REASON = "seen in an overlapping field"
_SAME_PLACE = 0.5  # of the cells in the shared area must match, else the dishes are different


@dataclass(eq=False)
class _Dish:
    """Fields in one system of stage coordinates, micrometres: (4,) y0, x0, y1, x1 each."""

    frames: list[np.ndarray] = field(default_factory=list)
    cells: list[np.ndarray] = field(default_factory=list)  # (n, 3) y, x, radius


class SeenCells:
    """Places on the stage of the cells of the fields so far.

    Two fields share coordinates if they have the same group, or, without groups, lie in the same
    folder. A cell is taken for one of an earlier field if its centre is within `radii` times the
    larger of the two radii: below 2, two cells would have to lie one upon the other, and what is
    left of 2 is for the stage's error. Fields of different dishes may have equal coordinates, so
    at least half of the cells in the area that two fields share must agree.

    Args:
        radii: Nearest distance of different cells, in radii; 0: nothing is looked for.
    """

    def __init__(self, radii: float) -> None:
        self._radii = radii
        self._dishes: dict[tuple[str, str], _Dish] = {}

    def add(self, source: Source, entry: dict[str, Any]) -> None:
        """Take up the cells of a field, from its journal entry."""
        placed = _placed(entry)
        if not self._radii or placed is None:
            return
        frame, cells = placed
        dish = self._dishes.setdefault(_dish_of(source), _Dish())
        dish.frames.append(frame)
        dish.cells.append(cells)

    def repeated(self, source: Source, entry: dict[str, Any]) -> np.ndarray:
        """Return which cells of a field were seen before: (n,) bool."""
        again = np.zeros(len(entry["centers_px"]), bool)
        placed = _placed(entry)
        dish = self._dishes.get(_dish_of(source))
        if not self._radii or placed is None or dish is None or not len(again):
            return again
        from scipy.spatial import cKDTree

        (top, left, bottom, right), cells = placed
        frames = np.array(dish.frames)
        shared = (
            (frames[:, 0] < bottom) & (frames[:, 2] > top)
            & (frames[:, 1] < right) & (frames[:, 3] > left)
        )
        for number in np.flatnonzero(shared):
            earlier = dish.cells[number]
            if not len(earlier):
                continue
            y0, x0, y1, x1 = frames[number]
            y, x = cells[:, 0], cells[:, 1]
            inside = (y > y0) & (y < y1) & (x > x0) & (x < x1)
            distance, nearest = cKDTree(earlier[:, :2]).query(cells[:, :2])
            limit = self._radii * np.maximum(cells[:, 2], earlier[nearest, 2])
            same = distance < limit
            if inside.any() and same.sum() >= _SAME_PLACE * inside.sum():
                again |= same
        return again


def _dish_of(source: Source) -> tuple[str, str]:
    if source.group is not None:
        return ("group", source.group)
    return ("folder", str(PurePosixPath(source.name).parent))


def _placed(entry: dict[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the area that gives crops (4,) and all its cells (n, 3), or None where unknown."""
    size_um, position = entry.get("pixel_size_um"), entry.get("position_um")
    if not size_um or position is None or "centers_px" not in entry:
        return None
    rows = [
        (y, x, radius)
        for (y, x), radius in zip(entry["centers_px"], entry["measured_px"], strict=True)
    ]
    cells = np.array(rows + [tuple(row) for row in entry.get("repeated_px", ())], np.float64)
    cells = cells.reshape(-1, 3) * size_um
    cells[:, :2] += position
    margin = entry["margin_px"]
    _, height, width = entry["shape"]
    inner = np.array([margin, margin, height - margin, width - margin]) * size_um
    return inner + np.tile(np.asarray(position, np.float64), 2), cells
