"""Turn settings into points between which a distance means something, many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stemcls.tuning.space.dimensions import Condition, Dimension
from stemcls.tuning.space.space import SearchSpace

INACTIVE = 0.5


class Encoding:
    """Positions and points of a space's settings.

    Positions (N, D) have a column for each dimension: 0 to 1 along its line, NaN where it is not
    active. Points (N, C) have a column for each number, and one for each choice between names. A
    number runs from 0 to 1. Two different names are 1 apart. A dimension that is not active has
    the same place in every setting: the middle, and between all names.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._lines = [_Line(dimension) for dimension in space.dimensions]
        self._places = {d.key: place for place, d in enumerate(space.dimensions)}

    @property
    def groups(self) -> tuple[int, ...]:
        """How many columns of the points each dimension has, in order; some have none."""
        return tuple(line.n_columns for line in self._lines if line.n_columns)

    @property
    def n_dimensions(self) -> int:
        """How many columns positions have."""
        return len(self._lines)

    @property
    def ordered(self) -> np.ndarray:
        """Which dimensions are numbers, (D,)."""
        return np.array([line.dimension.ordered for line in self._lines])

    @property
    def least_steps(self) -> np.ndarray:
        """How far the next value is on each line, (D,); 0 where any number is one."""
        return np.array([1 / (line.dimension.n_values or np.inf) for line in self._lines])

    def positions(self, settings: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Return the positions of settings."""
        return np.array([
            [_position(line.dimension, setting.get(line.dimension.key)) for line in self._lines]
            for setting in settings
        ])

    def snapped(self, positions: np.ndarray) -> np.ndarray:
        """Return positions moved to the nearest values, NaN where they are not active."""
        found = np.clip(positions, 0.0, 1.0)
        for place, line in enumerate(self._lines):
            found[:, place] = line.snapped(found[:, place])
            when = line.dimension.when
            if when is not None:
                found[~self._holds(when, found), place] = np.nan
        return found

    def points(self, positions: np.ndarray) -> np.ndarray:
        """Return the points of snapped positions."""
        return np.concatenate(
            [line.columns(positions[:, place]) for place, line in enumerate(self._lines)], axis=1
        )

    def setting(self, positions: np.ndarray) -> dict[str, Any]:
        """Return the setting at positions (D,)."""
        filled = np.where(np.isnan(positions), INACTIVE, positions).tolist()
        return self._space.at({key: filled[place] for key, place in self._places.items()})

    def _holds(self, when: Condition, positions: np.ndarray) -> np.ndarray:
        """Say where a condition holds, (N,); its parent is to the left of what depends on it."""
        place = self._places[when.key]
        parent = self._lines[place].dimension
        allowed = np.array([parent.position_of(value) for value in when.values])
        gaps = np.abs(positions[:, place, None] - allowed)
        return np.asarray((gaps < 1e-9).any(axis=1))


class _Line:
    """A dimension's line, for arrays of positions."""

    def __init__(self, dimension: Dimension) -> None:
        self.dimension = dimension
        n = dimension.n_values
        # Values in equal shares of the line; numbers on a log scale lie where their logarithm is.
        self._shares = n if dimension.choices or dimension.step is not None else None
        if n == 1:
            self.n_columns = 0
        elif dimension.ordered:
            self.n_columns = 1
            ends = dimension.values() if dimension.choices else (dimension.low, dimension.high)
            self._first = dimension.position_of(ends[0])
            self._length = dimension.position_of(ends[-1]) - self._first
        else:
            self.n_columns = len(dimension.choices)

    def snapped(self, positions: np.ndarray) -> np.ndarray:
        if self._shares is not None:
            number = np.minimum((positions * self._shares).astype(int), self._shares - 1)
            return np.asarray((number + 0.5) / self._shares)
        if self.dimension.kind == "int":
            return self._at_whole_numbers(positions)
        return positions

    def columns(self, positions: np.ndarray) -> np.ndarray:
        if self.n_columns == 0:
            return np.zeros((len(positions), 0))
        inactive = np.isnan(positions)
        if self.dimension.ordered:
            along = (positions - self._first) / self._length
            return np.where(inactive, INACTIVE, along)[:, None]
        corners = np.eye(self.n_columns) / np.sqrt(2.0)
        names = (np.where(inactive, 0.0, positions) * self.n_columns).astype(int)
        return np.where(inactive[:, None], corners.mean(axis=0), corners[names])

    def _at_whole_numbers(self, positions: np.ndarray) -> np.ndarray:
        low, high = float(self.dimension.low or 0), float(self.dimension.high or 0)
        below, above = low - 0.5, high + 0.5
        if self.dimension.log:
            reach = np.log(above / below)
            number = np.clip(np.rint(below * np.exp(positions * reach)), low, high)
            return np.asarray(np.log(number / below) / reach)
        number = np.clip(np.rint(below + positions * (above - below)), low, high)
        return np.asarray((number - below) / (above - below))


def _position(dimension: Dimension, value: Any) -> float:
    return np.nan if value is None else dimension.position_of(value)
