"""What a search knows of its trials; suggestions are made from these records alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stemcls.errors import InputError

STATES = ("pending", "finished", "stopped", "failed")


@dataclass(frozen=True)
class Trial:
    """One setting that was, or is being, tried.

    Attributes:
        number: From 0, in order of suggestion.
        values: Of the active dimensions of the space.
        state: `pending`; `finished`: every fold has a score; `stopped`: given up after some folds;
            `failed`: no usable score.
        scores: Of the folds that are done, in order.
    """

    number: int
    values: Mapping[str, Any]
    state: str = "pending"
    scores: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check the state."""
        if self.state not in STATES:
            raise InputError(
                f"trial {self.number} is {self.state!r}; expected one of {', '.join(STATES)}"
            )

    @property
    def score(self) -> float | None:
        """Mean of the folds; None where there is none, or it is not finite."""
        if self.state == "failed" or not self.scores:
            return None
        mean = math.fsum(self.scores) / len(self.scores)
        return mean if math.isfinite(mean) else None

    @property
    def counts(self) -> bool:
        """Whether every fold was scored and their mean can be compared."""
        return self.state == "finished" and self.score is not None

    @property
    def sd(self) -> float | None:
        """Standard deviation over the folds, n - 1 in the denominator; None below two folds."""
        if self.score is None or len(self.scores) < 2:
            return None
        return statistics.stdev(self.scores)

    @property
    def lost(self) -> bool:
        """Whether it ended without a score that can be compared: it counts as the worst."""
        return self.state == "failed" or (self.state != "pending" and self.score is None)
