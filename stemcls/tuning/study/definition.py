"""What decides the result of a study, kept in its study.toml and compared when it goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stemcls.atomic import dump_json
from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, to_mapping
from stemcls.tuning.space.space import SearchSpace

SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A search, fully described: the same definition gives the same trials.

    Attributes:
        experiment: What every trial starts from; its seed is that of the search too.
        space: What is varied.
        objective: See `stemcls.tuning.study.objective`.
        folds: Grouped folds of a trial.
        algorithm: How trials are suggested.
        racing: Whether hopeless trials are given up before their last fold.
        width: How many trials may be under way at once: trial n is suggested from the results of
            trials 0 to n - width, whichever of the others have ended by then.
        backend: Of Keras.
        store_hash: `content_hash` of the store.
    """

    experiment: Experiment
    space: SearchSpace
    objective: str
    folds: int
    algorithm: str
    racing: bool
    width: int
    backend: str
    store_hash: str

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for TOML and JSON."""
        return {
            "objective": self.objective,
            "folds": self.folds,
            "algorithm": self.algorithm,
            "racing": self.racing,
            "width": self.width,
            "backend": self.backend,
            "store_hash": self.store_hash,
            "experiment": to_mapping(self.experiment),
            "space": self.space.to_dict(),
        }

    @classmethod
    def from_mapping(cls, plain: Mapping[str, Any]) -> Definition:
        """Return what `to_mapping` described.

        Raises:
            KeyError: Something is missing.
            InputError: Something is no setting, or out of range.
        """
        names = (
            "objective", "folds", "algorithm", "racing", "width", "backend", "store_hash",
        )
        return cls(
            experiment=from_mapping(Experiment, plain["experiment"]),
            space=SearchSpace.from_dict(plain["space"]),
            **{name: plain[name] for name in names},
        )


def hash_of(plain: Mapping[str, Any]) -> str:
    """Return a digest of plain values that does not depend on their order."""
    text = json.dumps(json.loads(dump_json(plain)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return one line for each value that differs, `space.model.dropout.high: 0.5 there, 0.8 now`.

    Entries of lists are told apart by their `key` or `name`.
    """
    old, new = dict(_leaves(there)), dict(_leaves(now))
    lines = []
    for place in [*old, *(place for place in new if place not in old)]:
        before, after = old.get(place, "nothing"), new.get(place, "nothing")
        if before != after:
            lines.append(f"{place}: {before} there, {after} now")
    return lines


def told(lines: list[str]) -> str:
    """Return differences as the end of a message."""
    shown = "".join(f"\n  {line}" for line in lines[:SHOWN])
    return shown + (f"\n  and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            label = item.get("key", item.get("name", number))
            rest = {k: v for k, v in item.items() if k not in ("key", "name")}
            where = place.removesuffix("dimensions").rstrip(".")
            yield from _leaves(rest, f"{where}.{label}")
    else:
        yield place, list(value) if isinstance(value, tuple) else value
