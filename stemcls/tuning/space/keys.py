"""The keys of a search space: settings of an experiment, and two that stand for several."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, cast

from stemcls.config.experiment import AugmentConfig, Experiment, StageConfig
from stemcls.config.options import (
    Option,
    from_mapping,
    merged,
    options_of,
    parse_assignment,
    to_mapping,
)
from stemcls.errors import InputError, nearest
from stemcls.tuning.space.dimensions import Dimension

# How many dense layers; each layer's units are a dimension of their own, from 1 on.
DEPTH, WIDTH = "model.dense.depth", "model.dense.width_"
USUAL_WIDTH = 128
# Every range of the augmentation times this: 0 leaves the flips alone, 1 is the base's own.
STRENGTH = "augment.strength"
# Trials with another of these would not be scored on the same crops, or not be of one search.
FIXED = ("store", "name", "seed", "split.", "test_views")


def settings_of(base: Experiment) -> dict[str, Option]:
    """Return the settings that can be searched, by key; stages under the names that `base` has."""
    found = {
        ".".join(entry.keys): entry
        for entry in options_of(Experiment)
        if entry.keys[0] != "stages"
    }
    for stage in base.stages:
        for entry in options_of(StageConfig):
            if entry.keys != ("name",):
                default = getattr(stage, entry.keys[0])
                found[f"stages.{stage.name}.{entry.keys[0]}"] = replace(entry, default=default)
    return {key: entry for key, entry in found.items() if not key.startswith(FIXED)}


def width_key(layer: int) -> str:
    """Return the key of the units of dense layer `layer`, from 1."""
    return f"{WIDTH}{layer}"


def kind_of(base: Experiment, key: str) -> str:
    """Return whether a setting is a float, int, boolean or choice.

    Raises:
        InputError: There is no such setting; names the nearest.
    """
    check(base, key)
    if key == STRENGTH:
        return "float"
    if key == DEPTH or _is_width(key):
        return "int"
    kinds = {float: "float", int: "int", bool: "boolean"}
    return kinds.get(settings_of(base)[key].type, "choice")


def check(base: Experiment, key: str) -> None:
    """Check that a key can be searched.

    Raises:
        InputError: It cannot; names the nearest that can.
    """
    known = settings_of(base)
    if key in known or key in (DEPTH, STRENGTH) or _is_width(key):
        return
    if key.startswith(FIXED):
        raise InputError(
            f"{key} cannot be searched: trials that differ in it cannot be compared; set it in the "
            "config of the search"
        )
    raise InputError(
        f"{key} is not a setting{nearest(key, [*known, DEPTH, width_key(1), STRENGTH])}"
    )


def check_dense_layers(dimensions: Iterable[Dimension]) -> None:
    """Check that each dense layer that can exist has a width, and each width a layer.

    Raises:
        InputError: Names what is missing.
    """
    by_key = {dimension.key: dimension for dimension in dimensions}
    widths = sorted(int(key.removeprefix(WIDTH)) for key in by_key if _is_width(key))
    if DEPTH not in by_key:
        if widths:
            raise InputError(f"{width_key(widths[0])} needs {DEPTH}, the number of dense layers")
        return
    deepest = max(by_key[DEPTH].values())
    for layer in range(1, deepest + 1):
        if layer not in widths:
            raise InputError(
                f"{DEPTH} goes up to {deepest}, but {width_key(layer)} is not in the space"
            )
        _check_width(by_key[width_key(layer)], by_key[DEPTH], layer)
    if widths and widths[-1] > deepest:
        raise InputError(f"{width_key(widths[-1])}: {DEPTH} goes up to {deepest} only")


def apply(base: Experiment, values: Mapping[str, Any]) -> Experiment:
    """Return `base` with these settings; a text is read as `--set KEY=VALUE` reads it.

    Raises:
        InputError: A key or a value that the experiment refuses.
    """
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key == DEPTH:
            widths = [values[width_key(layer)] for layer in range(1, value + 1)]
            changes = merged(changes, {"model": {"dense": widths}})
        elif key == STRENGTH:
            changes = merged(changes, {"augment": _strengthened(base.augment, value)})
        elif not _is_width(key):
            written = value if isinstance(value, str) else _as_toml(value)
            changes = merged(changes, parse_assignment(f"{key}={written}"))
    return from_mapping(Experiment, merged(to_mapping(base), changes))


def default_in(base: Experiment, dimension: Dimension) -> Any:
    """Return the value that `base` has, or the nearest one that the dimension takes."""
    value = _value_of(base, dimension.key)
    written = str(value) if dimension.choices and isinstance(dimension.choices[0], str) else value
    if dimension.choices:
        if dimension.holds(written):
            return written
        numbers = dimension.ordered and isinstance(value, int | float)
        return (
            min(dimension.choices, key=lambda choice: abs(choice - value))
            if numbers else dimension.choices[0]
        )
    near = min(max(value, cast(float, dimension.low)), cast(float, dimension.high))
    return dimension.at(dimension.position_of(near))


def _value_of(base: Experiment, key: str) -> Any:
    dense = base.model.dense
    if key == STRENGTH:
        return 1.0
    if key == DEPTH:
        return len(dense)
    if _is_width(key):
        layer = int(key.removeprefix(WIDTH))
        return dense[layer - 1] if layer <= len(dense) else (*dense, USUAL_WIDTH)[0]
    *sections, name = key.split(".")
    owner: Any = base
    if sections[:1] == ["stages"]:
        owner = next(stage for stage in base.stages if stage.name == sections[1])
    elif sections:
        owner = getattr(base, sections[0])
    value = getattr(owner, name)
    if not isinstance(value, tuple):
        return value
    # As `--set` takes it: one value stands for a list of it.
    return str(value[0]) if len(value) == 1 else str(sorted(value))


def _is_width(key: str) -> bool:
    return re.fullmatch(re.escape(WIDTH) + r"[1-9]\d?", key) is not None


def _check_width(width: Dimension, depth: Dimension, layer: int) -> None:
    needed = tuple(d for d in depth.values() if d >= layer)
    always = len(needed) == len(depth.values())
    if always and width.when is None:
        return
    if width.when is None or width.when.key != DEPTH or set(width.when.values) != set(needed):
        raise InputError(
            f"{width.key} must exist exactly where the layer does: expected "
            f'when = {{ "{DEPTH}" = {list(needed)} }}'
        )


def _strengthened(augment: AugmentConfig, strength: float) -> dict[str, Any]:
    """Return the augmentation's ranges times `strength`, each up to the most it may be."""
    changed = {}
    for field in fields(augment):
        value = getattr(augment, field.name)
        if not isinstance(value, bool):
            changed[field.name] = min(value * strength, field.metadata["most"])
    return changed


def _as_toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
