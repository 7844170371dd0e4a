"""One dimension of a search space: the values that it takes, and how they lie on a unit line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from stemcls.errors import InputError, check_known

KINDS = ("float", "int", "choice", "boolean")
# Digits that a suggested number keeps: files stay legible, and equal settings are equal.
DIGITS = 6


@dataclass(frozen=True)
class Condition:
    """What must hold for a dimension to count: its parent has one of these values."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A setting to search over.

    Attributes:
        key: As `stemcls train --set KEY=VALUE` takes it, or one of `stemcls.tuning.space.keys`.
        kind: float, int, choice or boolean.
        low, high: Bounds of a number, both included.
        step: Distance of its values from low on; their ratio where `log`. None: 1 for an int that
            is not `log`, else any value.
        log: Spread evenly over orders of magnitude.
        choices: Of a choice: strings, numbers or booleans.
        default: Where a search begins; None: low, or the first choice.
        when: None: always active.
    """

    key: str
    kind: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()
    default: Any = None
    when: Condition | None = None

    def __post_init__(self) -> None:
        """Check the dimension alone, and fill in what was left out.

        Raises:
            InputError: It cannot be searched.
        """
        check_known(self.kind, KINDS, f"{self.key}: {self.kind!r} is not a kind")
        if self.kind == "boolean":
            object.__setattr__(self, "choices", (False, True))
        if self.kind in ("choice", "boolean"):
            self._check_choices()
        else:
            self._check_numbers()
        if self.default is None:
            object.__setattr__(self, "default", self.choices[0] if self.choices else self.low)
        if not self.holds(self.default):
            raise InputError(f"{self.key}: default {self.default!r} is not among {self.range}")
        if not self.choices:
            kind = int if self.kind == "int" else float
            object.__setattr__(self, "default", kind(self.default))
        if self.when is not None and not self.when.values:
            raise InputError(f"{self.key}: its condition on {self.when.key} names no value")

    def _check_choices(self) -> None:
        if self.low is not None or self.high is not None or self.step is not None or self.log:
            raise InputError(
                f"{self.key}: a {self.kind} takes no low, high, step or log; give numbers a low "
                "and a high, and no choices"
            )
        if not self.choices:
            raise InputError(f"{self.key}: expected choices, found none")
        if len({(type(c), c) for c in self.choices}) < len(self.choices):
            raise InputError(f"{self.key}: a choice is given twice: {list(self.choices)}")
        if len({str if isinstance(c, str) else bool if isinstance(c, bool) else float
                for c in self.choices}) > 1:
            raise InputError(
                f"{self.key}: choices must be of one type, found {list(self.choices)}"
            )

    def _check_numbers(self) -> None:
        if self.choices:
            raise InputError(f"{self.key}: give either choices, or low and high")
        for name in ("low", "high", "step"):
            self._check_number(name, getattr(self, name))
        if self.low is None or self.high is None:
            raise InputError(f"{self.key}: expected low and high, or choices")
        if self.low > self.high:
            raise InputError(f"{self.key}: low {self.low:g} is above high {self.high:g}")
        if self.log and self.low <= 0:
            raise InputError(
                f"{self.key}: a log scale has no {self.low:g}; set low above 0, or log = false"
            )
        if self.kind == "int" and not self.log and self.step is None:
            object.__setattr__(self, "step", 1)
        if self.step is not None and self.step <= (1 if self.log else 0):
            raise InputError(
                f"{self.key}: step {self.step:g} must be above "
                + ("1: on a log scale it is a ratio" if self.log else "0")
            )

    def _check_number(self, name: str, value: Any) -> None:
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(
            value
        ):
            raise InputError(f"{self.key}.{name}: expected a number, found {value!r}")
        if self.kind == "int" and not float(value).is_integer():
            raise InputError(f"{self.key}.{name}: expected a whole number, found {value!r}")
        object.__setattr__(self, name, int(value) if self.kind == "int" else float(value))

    @property
    def range(self) -> str:
        """Its values, in words."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        how = " on a log scale" if self.log else ""
        steps = ""
        if self.step is not None and not (self.kind == "int" and self.step == 1 and not self.log):
            steps = f", each {self.step:g} times the last" if self.log else f" by {self.step:g}"
        return f"{self.low:g} to {self.high:g}{steps}{how}"

    @cached_property
    def ordered(self) -> bool:
        """Whether its values lie on a line: numbers, and choices among numbers."""
        return not self.choices or (
            self.kind == "choice" and not isinstance(self.choices[0], str | bool)
        )

    @cached_property
    def n_values(self) -> int | None:
        """How many values it takes; None: any number between its bounds."""
        if self.choices:
            return len(self.choices)
        if self.kind == "int" and self.step is None:
            return int(self._high - self._low) + 1
        if self.step is None:
            return None if self._high > self._low else 1
        return self._n_steps + 1

    def values(self) -> tuple[Any, ...]:
        """Return all of its values, in order.

        Raises:
            ValueError: There are infinitely many.
        """
        if self.choices:
            return self._in_order
        if self.kind == "int" and self.step is None:
            return tuple(range(int(self._low), int(self._high) + 1))
        if self.n_values is None:
            raise ValueError(f"{self.key} has infinitely many values")
        if self.step is None:
            return (self._low,)
        return tuple(dict.fromkeys(self._at_step(k) for k in range(self._n_steps + 1)))

    def holds(self, value: Any) -> bool:
        """Say whether `value` is one of its values (of a stepped one: between its bounds)."""
        if self.choices:
            return any(type(value) is type(c) and value == c for c in self.choices) or (
                self.ordered and not isinstance(value, bool | str) and value in self.choices
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        whole = self.kind == "float" or float(value).is_integer()
        return bool(whole and self._low <= value <= self._high)

    def at(self, position: float) -> Any:
        """Return the value that lies at `position` of its line, 0 to 1, snapped to its values."""
        position = min(max(position, 0.0), 1.0)
        if self.choices:
            values = self._in_order
            return values[min(int(position * len(values)), len(values) - 1)]
        if self.step is not None:
            return self._at_step(min(int(position * (self._n_steps + 1)), self._n_steps))
        if self.kind == "int":
            # Half a value more at either end, so that the ends are as likely as the rest.
            value = self._between(self._low - 0.5, self._high + 0.5, position)
            return int(min(max(round(value), self._low), self._high))
        value = float(f"{self._between(self._low, self._high, position):.{DIGITS}g}")
        return min(max(value, self._low), self._high)

    def position_of(self, value: Any) -> float:
        """Return where `value` lies on its line, 0 to 1; `at` turns it back into the value."""
        if self.choices:
            return (self._in_order.index(value) + 0.5) / len(self.choices)
        if self.step is not None:
            return (self._step_of(value) + 0.5) / (self._n_steps + 1)
        low, high = self._low, self._high
        if self.kind == "int":
            low, high = low - 0.5, high + 0.5
        if high == low:
            return 0.5
        if self.log:
            return math.log(value / low) / math.log(high / low)
        return float((value - low) / (high - low))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, without those left out; `from_dict` turns them back."""
        plain: dict[str, Any] = {"key": self.key, "kind": self.kind}
        if self.kind == "choice":
            plain["choices"] = list(self.choices)
        elif self.kind != "boolean":
            plain |= {"low": self.low, "high": self.high, "log": self.log}
            if self.step is not None:
                plain["step"] = self.step
        plain["default"] = self.default
        if self.when is not None:
            plain["when"] = {self.when.key: list(self.when.values)}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Dimension:
        """Return the dimension that `to_dict` described."""
        settings = dict(plain)
        when = settings.pop("when", None)
        condition = None
        if when is not None:
            ((key, values),) = when.items()
            condition = Condition(key, tuple(values))
        if "choices" in settings:
            settings["choices"] = tuple(settings["choices"])
        return cls(**settings, when=condition)

    @property
    def _low(self) -> float:
        return cast(float, self.low)

    @property
    def _high(self) -> float:
        return cast(float, self.high)

    @property
    def _step(self) -> float:
        return cast(float, self.step)

    @cached_property
    def _in_order(self) -> tuple[Any, ...]:
        return tuple(sorted(self.choices)) if self.ordered else self.choices

    @cached_property
    def _n_steps(self) -> int:
        return math.floor(self._steps_to(self._high) + 1e-9)

    def _steps_to(self, value: float) -> float:
        if self.log:
            return math.log(value / self._low) / math.log(self._step)
        return (value - self._low) / self._step

    def _step_of(self, value: float) -> int:
        return min(max(round(self._steps_to(value)), 0), self._n_steps)

    def _at_step(self, number: int) -> Any:
        step = self._step
        value = self._low * step**number if self.log else self._low + step * number
        return round(value) if self.kind == "int" else float(f"{value:.12g}")

    def _between(self, low: float, high: float, position: float) -> float:
        if self.log:
            return float(low * (high / low) ** position)
        return float(low + position * (high - low))
