"""Read which detection settings to try, and keep what each combination of them found."""

from __future__ import annotations

import itertools
import math
import shlex
import types
import typing
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stemcls.config.imaging import DetectConfig
from stemcls.config.options import Option, from_mapping, merged, options_of
from stemcls.errors import InputError, nearest
from stemcls.imaging.tuning.scoring import FieldScore, summarise

MOST_COMBINATIONS = 12


@dataclass(eq=False)
class Combination:
    """One column of the sheet, and what it found so far.

    Attributes:
        settings: What was varied, by the name of the setting.
        flags: The same as it is typed on the command line.
        config: All settings; the diameter may be filled in from the fields.
        n_cells: Cells found in each field.
        rejected: Why candidates were turned down.
        scores: Of each field that the truth knows.
    """

    settings: dict[str, Any]
    flags: tuple[str, ...]
    config: DetectConfig
    n_cells: list[int] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    scores: list[FieldScore] = field(default_factory=list)

    def to_document(self, scored: bool) -> dict[str, Any]:
        """Return plain values: settings, flags, cells, diameter_px, rejected[, score]."""
        raw = self.config.modality == "raw"
        document: dict[str, Any] = {
            "settings": self.settings,
            "flags": " ".join(self.flags),
            "cells": sum(self.n_cells),
            "diameter_px": None if raw else self.config.diameter_px or None,
            "rejected": dict(self.rejected),
        }
        if scored:
            document["score"] = summarise(self.scores)
        return document


def combinations_of(texts: Sequence[str], base: Mapping[str, Any]) -> list[Combination]:
    """Read `KEY=V1,V2` texts and return every combination of the values, first key slowest.

    Args:
        texts: KEY is a setting of `DetectConfig` or its flag.
        base: Settings that all combinations share.

    Raises:
        InputError: An unknown key, a value that the setting does not allow, a key given twice, or
            too many combinations.
    """
    known = {}
    for entry in options_of(DetectConfig):
        known.update(dict.fromkeys((entry.flag, entry.keys[0], entry.parameter), entry))
    axes: dict[str, tuple[Option, list[str]]] = {}
    for text in texts:
        key, _, values = text.partition("=")
        key = key.strip().lstrip("-")
        listed = [value.strip() for value in values.split(",") if value.strip()]
        if not listed:
            raise InputError(f"--grid {text!r}: expected KEY=V1,V2, as in threshold=0.3,0.4,0.5")
        if key not in known:
            raise InputError(f"--grid: {key!r} is not a setting{nearest(key, known)}")
        name = known[key].keys[0]
        if name in axes:
            raise InputError(f"--grid {key} was given twice; list all its values in one")
        axes[name] = known[key], list(dict.fromkeys(listed))
    count = math.prod(len(values) for _, values in axes.values())
    if count > MOST_COMBINATIONS:
        raise InputError(
            f"--grid asks for {count} combinations, a sheet holds {MOST_COMBINATIONS}; vary fewer "
            "settings at once, keep the best, then vary the others"
        )
    made = []
    entries = [entry for entry, _ in axes.values()]
    for chosen in itertools.product(*(values for _, values in axes.values())):
        pairs = list(zip(entries, chosen, strict=True))
        settings = {entry.keys[0]: _parsed(value, entry.type) for entry, value in pairs}
        flags = tuple(f"--{entry.flag} {shlex.quote(value)}" for entry, value in pairs)
        config = from_mapping(DetectConfig, merged(base, settings), "--grid")
        made.append(Combination(settings, flags, config))
    return made


def _parsed(text: str, hint: Any) -> Any:
    """Return the text as a value of the setting's type, or as it is where it is none."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            return text
    return text
