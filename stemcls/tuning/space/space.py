"""A search space: which settings are tried, in which ranges, and where under conditions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from stemcls.config.experiment import Experiment, with_views_learned
from stemcls.errors import InputError, check_known, nearest
from stemcls.tuning.space import keys
from stemcls.tuning.space.dimensions import Condition, Dimension

__all__ = ["Condition", "Dimension", "SearchSpace"]


@dataclass(frozen=True)
class SearchSpace:
    """Dimensions, parents ahead of those that depend on them.

    A setting of the space is a mapping of key to value that holds its active dimensions only.
    """

    dimensions: tuple[Dimension, ...]

    def __post_init__(self) -> None:
        """Check conditions, and put parents first.

        Raises:
            InputError: A key comes twice, or a condition can never hold.
        """
        names = [dimension.key for dimension in self.dimensions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"the space names a setting twice: {', '.join(twice)}")
        object.__setattr__(self, "dimensions", _parents_first(self.dimensions))
        for dimension in self.dimensions:
            if dimension.when is not None:
                _check_condition(dimension.key, dimension.when, self[dimension.when.key])

    def __getitem__(self, key: str) -> Dimension:
        return next(dimension for dimension in self.dimensions if dimension.key == key)

    def active(self, values: Mapping[str, Any]) -> tuple[Dimension, ...]:
        """Return the dimensions that count where the others have these values."""
        found: list[Dimension] = []
        known: dict[str, Any] = {}
        for dimension in self.dimensions:
            if _holds(dimension.when, known):
                found.append(dimension)
                known[dimension.key] = values.get(dimension.key)
        return tuple(found)

    def pruned(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of active dimensions alone, in the order of the space."""
        return {d.key: values[d.key] for d in self.active(values)}

    def defaults(self) -> dict[str, Any]:
        """Return the initial configuration: every active dimension at its default."""
        return self.pruned({d.key: d.default for d in self.dimensions})

    def at(self, positions: Mapping[str, float]) -> dict[str, Any]:
        """Return the setting at these positions, 0 to 1, of every dimension's line."""
        return self.pruned({d.key: d.at(positions[d.key]) for d in self.dimensions})

    def size(self) -> int | None:
        """How many settings it holds; None: infinitely many."""
        sizes = [self._size_of(d) for d in self.dimensions if d.when is None]
        known = [size for size in sizes if size is not None]
        return None if len(known) < len(sizes) else math.prod(known)

    def settings(self) -> Iterator[dict[str, Any]]:
        """Yield every setting of a finite space, once."""
        return self._settings_after(0, {})

    def experiment(self, base: Experiment, values: Mapping[str, Any]) -> Experiment:
        """Return `base` with the values of the active dimensions.

        Raises:
            InputError: A value that no dimension holds, or that the experiment refuses.
        """
        there = {d.key for d in self.dimensions}
        for key in values:
            check_known(key, there, f"the space has no {key!r}")
        return with_views_learned(keys.apply(base, self.pruned(values)))

    def check(self, base: Experiment) -> None:
        """Check that every setting makes an experiment, and that there is something to search.

        Raises:
            InputError: A key that is no setting (names the nearest), a value out of the setting's
                range, a dense layer without width, or a space of one point.
        """
        for dimension in self.dimensions:
            keys.check(base, dimension.key)
        keys.check_dense_layers(self.dimensions)
        keys.apply(base, self.defaults())
        for dimension in self.dimensions:
            ends = dimension.values() if dimension.choices else (dimension.low, dimension.high)
            for value in ends:
                keys.apply(base, self._with(dimension, value))
        if self.size() == 1:
            raise InputError(
                "the space holds one point, so there is nothing to search: give a dimension at "
                "least two values"
            )

    def declare(self, hp: Any) -> dict[str, Any]:
        """Declare the dimensions on a keras_tuner.HyperParameters, conditions in its own scopes.

        Returns: the values that `hp` gives the active ones.
        """
        values = {}
        for dimension in self.dimensions:
            with ExitStack() as scopes:
                for condition in self._conditions(dimension):
                    scopes.enter_context(
                        hp.conditional_scope(condition.key, list(condition.values))
                    )
                values[dimension.key] = _declared(hp, dimension)
        return {d.key: values[d.key] for d in self.active(values)}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_dict` turns them back."""
        return {"dimensions": [dimension.to_dict() for dimension in self.dimensions]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> SearchSpace:
        """Return the space that `to_dict` described."""
        return cls(tuple(Dimension.from_dict(entry) for entry in plain["dimensions"]))

    def _conditions(self, dimension: Dimension) -> tuple[Condition, ...]:
        """Return what must hold for the dimension, outermost first."""
        if dimension.when is None:
            return ()
        return (*self._conditions(self[dimension.when.key]), dimension.when)

    def _with(self, dimension: Dimension, value: Any) -> dict[str, Any]:
        """Return a setting in which the dimension is active and has `value`, others defaults."""
        chosen = {condition.key: condition.values[0] for condition in self._conditions(dimension)}
        defaults = {d.key: d.default for d in self.dimensions}
        return self.pruned({**defaults, **chosen, dimension.key: value})

    def _settings_after(self, place: int, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if place == len(self.dimensions):
            yield values
            return
        dimension = self.dimensions[place]
        if not _holds(dimension.when, values):
            yield from self._settings_after(place + 1, values)
            return
        for value in dimension.values():
            yield from self._settings_after(place + 1, {**values, dimension.key: value})

    def _size_of(self, dimension: Dimension) -> int | None:
        children = [d for d in self.dimensions if d.when and d.when.key == dimension.key]
        if not children or dimension.n_values is None:
            return dimension.n_values
        total = 0
        for value in dimension.values():
            sizes = [self._size_of(c) for c in children if c.when and value in c.when.values]
            known = [size for size in sizes if size is not None]
            if len(known) < len(sizes):
                return None
            total += math.prod(known)
        return total


def _holds(condition: Condition | None, values: Mapping[str, Any]) -> bool:
    return condition is None or (
        condition.key in values and values[condition.key] in condition.values
    )


def _parents_first(dimensions: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    waiting, placed = list(dimensions), dict[str, Dimension]()
    while waiting:
        ready = [d for d in waiting if d.when is None or d.when.key in placed]
        if not ready:
            first = waiting[0]
            key = first.when.key if first.when else ""
            if key in {d.key for d in dimensions}:
                raise InputError(f"{first.key}: its condition on {key} leads back to itself")
            raise InputError(
                f"{first.key}: its condition is on {key!r}, which is no dimension"
                + nearest(key, (d.key for d in dimensions if d is not first))
            )
        # One at a time keeps the order that was given wherever that is possible.
        placed[ready[0].key] = ready[0]
        waiting.remove(ready[0])
    return tuple(placed.values())


def _check_condition(key: str, when: Condition, parent: Dimension) -> None:
    if parent.n_values is None:
        raise InputError(
            f"{key}: its condition is on {parent.key}, which takes any value of "
            f"{parent.range}; conditions need a choice, a boolean or an int"
        )
    missing = [value for value in when.values if not parent.holds(value)]
    if missing:
        raise InputError(
            f"{key}: its condition asks for {parent.key} = {missing[0]!r}, which it never has; "
            f"it takes {parent.range}"
        )


def _declared(hp: Any, dimension: Dimension) -> Any:
    if dimension.kind == "boolean":
        return hp.Boolean(dimension.key, default=dimension.default)
    if dimension.kind == "choice":
        return hp.Choice(
            dimension.key, list(dimension.values()), ordered=dimension.ordered,
            default=dimension.default,
        )
    number = hp.Int if dimension.kind == "int" else hp.Float
    return number(
        dimension.key, dimension.low, dimension.high, step=dimension.step,
        sampling="log" if dimension.log else "linear", default=dimension.default,
    )
