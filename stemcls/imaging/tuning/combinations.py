"""Read which detection settings to try."""

from __future__ import annotations

import itertools
import math
import shlex
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stemcls.config.imaging import DetectConfig
from stemcls.config.options import Option, from_mapping, merged, options_of
from stemcls.errors import InputError, nearest

MOST_COMBINATIONS = 12


@dataclass(frozen=True)
class Combination:
    """One column of the sheet.

    Attributes:
        settings: What was varied, by the name of the setting.
        flags: The same as it is typed on the command line.
        config: All settings.
    """

    settings: dict[str, Any]
    flags: tuple[str, ...]
    config: DetectConfig


def combinations_of(texts: Sequence[str], base: Mapping[str, Any]) -> list[Combination]:
    """Read `KEY=V1,V2` texts and return every combination of the values, first key slowest.

    Args:
        texts: KEY is a setting of `DetectConfig` or its flag.
        base: Settings that all combinations share.

    Raises:
        InputError: An unknown key, a value that the setting does not allow, a key given twice, or
            too many combinations.
    """
    known = {entry.flag: entry for entry in options_of(DetectConfig)}
    also = {entry.keys[0].replace("_", "-"): entry for entry in known.values()}
    axes: dict[str, tuple[Option, list[str]]] = {}
    for text in texts:
        key, _, values = text.partition("=")
        flag = key.strip().lstrip("-").replace("_", "-")
        listed = [value.strip() for value in values.split(",") if value.strip()]
        if not listed:
            raise InputError(f"--grid {text!r}: expected KEY=V1,V2, as in threshold=0.3,0.4,0.5")
        entry = known.get(flag) or also.get(flag)
        if entry is None:
            raise InputError(f"--grid: {key!r} is not a setting{nearest(flag, known)}")
        if entry.flag in axes:
            raise InputError(f"--grid {key} was given twice; list all its values in one")
        axes[entry.flag] = entry, list(dict.fromkeys(listed))
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
