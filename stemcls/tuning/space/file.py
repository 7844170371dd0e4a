"""Read a search space from TOML: one table for each setting, under its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stemcls.config.experiment import Experiment
from stemcls.config.options import read_toml
from stemcls.errors import InputError, check_known
from stemcls.tuning.space import keys
from stemcls.tuning.space.dimensions import Condition, Dimension
from stemcls.tuning.space.space import SearchSpace

SETTINGS = ("kind", "low", "high", "step", "log", "choices", "default", "when")


def read_space(path: Path, base: Experiment) -> SearchSpace:
    """Read a space, checked against the experiment that it varies.

    Where a table leaves `default` out it is the value that `base` has, or the nearest one of the
    dimension.

    Args:
        path: TOML; `[model.dropout]` and `["model.dropout"]` are the same.
        base: What trials have in common; its stages may be named.
    Raises:
        InputError: Not TOML, an unknown key (names the nearest), or what `SearchSpace.check` says.
    """
    tables = read_toml(path)
    try:
        space = SearchSpace(tuple(_dimension(base, key, table) for key, table in _tables(tables)))
        if not space.dimensions:
            raise InputError("names no setting: expected tables such as [model.dropout]")
        space.check(base)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return space


def _tables(
    nested: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, table in nested.items():
        key = f"{prefix}{name}"
        if not isinstance(table, Mapping):
            raise InputError(
                f"expected a table under {key}, found {table!r}; as in [{key}] with "
                "low and high, or choices"
            )
        if any(setting in SETTINGS or not isinstance(value, Mapping)
               for setting, value in table.items()):
            yield key, table
        else:
            yield from _tables(table, f"{key}.")


def _dimension(base: Experiment, key: str, table: Mapping[str, Any]) -> Dimension:
    for setting in table:
        check_known(setting, SETTINGS, f"{key}.{setting} is not known")
    settings = dict(table)
    kind = keys.kind_of(base, key)
    if "choices" in settings:
        settings["choices"] = _choices(settings["choices"], key)
        kind = "boolean" if set(settings["choices"]) == {False, True} and kind == "boolean" else (
            "choice"
        )
        if kind == "boolean":
            del settings["choices"]
    wanted = settings.setdefault("kind", kind)
    if wanted != kind:
        raise InputError(f"{key} is {_article(kind)}, not {_article(str(wanted))}")
    if "when" in settings:
        settings["when"] = _condition(settings["when"], key)
    if "default" in settings:
        settings["default"] = _plain(settings["default"])
        return Dimension(key=key, **settings)
    dimension = Dimension(key=key, **settings)
    return Dimension(key=key, **settings, default=keys.default_in(base, dimension))


def _choices(written: Any, key: str) -> tuple[Any, ...]:
    if not isinstance(written, list):
        raise InputError(f"{key}.choices: expected a list, found {written!r}")
    return tuple(_plain(choice) for choice in written)


def _plain(value: Any) -> Any:
    """Return a list as the text that `--set` takes; other values as they are."""
    return str(value) if isinstance(value, list) else value


def _condition(written: Any, key: str) -> Condition:
    if not isinstance(written, Mapping) or len(written) != 1:
        raise InputError(
            f"{key}.when: expected one parent and its values, as in "
            f'{{ "{keys.DEPTH}" = [1, 2] }}, found {written!r}'
        )
    ((parent, values),) = written.items()
    return Condition(parent, tuple(values) if isinstance(values, list) else (values,))


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "int" else f"a {kind}"
