"""Functions with known minima that searches are measured on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stemcls.tuning.search.history import Trial
from stemcls.tuning.space.dimensions import Condition, Dimension
from stemcls.tuning.space.space import SearchSpace

BOWL_CENTRE = (0.3, 0.7, 0.4, 0.6, 0.35, 0.65, 0.45, 0.55)
FOLDS = 3


@dataclass(frozen=True)
class Objective:
    """A function to minimise.

    Attributes:
        name: In the name of the benchmark.
        space: Where.
        value: Of a setting, without noise.
        least: Its minimum over the space.
        noise_sd: Of what each of three folds adds.
    """

    name: str
    space: SearchSpace
    value: Callable[[Mapping[str, Any]], float]
    least: float
    noise_sd: float = 0.0

    def tried(self, values: Mapping[str, Any], number: int, seed: int) -> Trial:
        """Return the finished trial of a setting; the noise is that of its number and the seed."""
        noise = np.random.default_rng([seed, number]).normal(0.0, self.noise_sd, FOLDS)
        scores = tuple((self.value(values) + noise).tolist())
        return Trial(number, dict(values), "finished", scores)


def bowl(values: Mapping[str, Any]) -> float:
    """Return the mean squared distance from the centre in 8 dimensions."""
    return math.fsum(
        (values[f"x{axis}"] - centre) ** 2 for axis, centre in enumerate(BOWL_CENTRE)
    ) / len(BOWL_CENTRE)


def branin(values: Mapping[str, Any]) -> float:
    """Return Branin's function, three equal minima.

    Source: Dixon & Szego 1978, with the usual constants.
    """
    x, y = values["x"], values["y"]
    b, c, t = 5.1 / (4 * math.pi**2), 5 / math.pi, 1 / (8 * math.pi)
    return (y - b * x * x + c * x - 6) ** 2 + 10 * (1 - t) * math.cos(x) + 10


def head(values: Mapping[str, Any]) -> float:
    """Return a stand-in for the error of a head: choices, scales, and layers that may be absent."""
    network = {"A": 0.0, "B": 0.05, "C": 0.1, "D": 0.2}[values["network"]]
    wanted_rate = {"A": -3.0, "B": -3.0, "C": -2.0, "D": -4.0}[values["network"]]
    depth = values["depth"]
    loss = network + 0.04 * (math.log10(values["rate"]) - wanted_rate) ** 2
    loss += {0: 0.1, 1: 0.0, 2: 0.03}[depth] + 0.5 * (values["dropout"] - 0.1 - 0.2 * depth) ** 2
    for layer in range(1, depth + 1):
        loss += 0.01 * (math.log2(values[f"width_{layer}"]) - 7) ** 2
    loss += 0.01 * (math.log2(values["batch"]) - 5) ** 2
    return loss + (0.2 * (values["strength"] - 0.8) ** 2 if values["augment"] else 0.08)


def _line(key: str, low: float = 0.0, high: float = 1.0, **settings: Any) -> Dimension:
    # The middle is no more special than elsewhere, so a search must not begin near the minimum.
    default = settings.pop("default", low)
    return Dimension(key=key, kind="float", low=low, high=high, default=default, **settings)


BOWL_SPACE = SearchSpace(tuple(_line(f"x{axis}") for axis in range(len(BOWL_CENTRE))))
HEAD_SPACE = SearchSpace((
    Dimension(key="network", kind="choice", choices=("D", "C", "B", "A")),
    Dimension(key="depth", kind="int", low=0, high=2),
    Dimension(
        key="width_1", kind="int", low=16, high=1024, log=True, when=Condition("depth", (1, 2))
    ),
    Dimension(
        key="width_2", kind="int", low=16, high=1024, log=True, when=Condition("depth", (2,))
    ),
    _line("rate", 1e-5, 1e-1, log=True),
    _line("dropout", 0.0, 0.8),
    Dimension(key="batch", kind="choice", choices=(8, 16, 32, 64, 128)),
    Dimension(key="augment", kind="boolean", default=False),
    _line("strength", 0.0, 2.0, when=Condition("augment", (True,))),
))

OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective("bowl", BOWL_SPACE, bowl, 0.0),
        Objective(
            "branin", SearchSpace((_line("x", -5.0, 10.0), _line("y", 0.0, 15.0))), branin,
            0.397887,
        ),
        Objective("mixed", HEAD_SPACE, head, 0.0),
        Objective("noisy", BOWL_SPACE, bowl, 0.0, noise_sd=0.02),
    )
}
