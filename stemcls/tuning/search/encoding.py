"""Turn settings into points between which a distance means something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stemcls.tuning.space.dimensions import Dimension
from stemcls.tuning.space.space import SearchSpace

INACTIVE = 0.5


class Encoding:
    """Points of a space: a column for each number, one for each choice between names.

    A number runs from 0 to 1. Two different names are 1 apart. A dimension that is not active has
    the same place in every setting: the middle, and between all names.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._dimensions = [d for d in space.dimensions if d.n_values != 1]
        self._places = {d.key: _places(d) for d in self._dimensions}

    @property
    def groups(self) -> tuple[int, ...]:
        """How many columns each dimension has, in order."""
        return tuple(1 if d.ordered else len(d.choices) for d in self._dimensions)

    def points(self, settings: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return (N, D) float64 for N settings."""
        columns = [self._columns(d, [s.get(d.key) for s in settings]) for d in self._dimensions]
        return np.concatenate(columns, axis=1)

    def _columns(self, dimension: Dimension, values: list[Any]) -> np.ndarray:
        places = self._places[dimension.key]
        if places is not None:
            return np.array([places[value] for value in values])
        first, last = dimension.position_of(dimension.low), dimension.position_of(dimension.high)
        positions = [
            INACTIVE if value is None else (dimension.position_of(value) - first) / (last - first)
            for value in values
        ]
        return np.array(positions)[:, None]


def _places(dimension: Dimension) -> dict[Any, np.ndarray] | None:
    """Return the columns of every value of a choice, and of None: not active."""
    if not dimension.choices:
        return None
    values = dimension.values()
    if dimension.ordered:
        line = {value: np.array([i / (len(values) - 1)]) for i, value in enumerate(values)}
        return {**line, None: np.array([INACTIVE])}
    corners = np.eye(len(values)) / np.sqrt(2.0)
    names: dict[Any, np.ndarray] = dict(zip(values, corners, strict=True))
    return {**names, None: corners.mean(axis=0)}
