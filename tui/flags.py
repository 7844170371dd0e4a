"""Settings as options of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stemcls.config.options import Option


def flags(settings: Iterable[tuple[Option, Any]]) -> list[str]:
    """Return settings and their values as options of the command line."""
    argv = []
    for option, value in settings:
        if isinstance(value, bool):
            argv.append(f"--{'' if value else 'no-'}{option.flag}")
        else:
            values = value if isinstance(value, list | tuple) else [value]
            many = isinstance(value, list | tuple)
            # A comma parts the items of a list.
            texts = [str(one).replace(",", "\\,") if many else one for one in values]
            argv += [f"--{option.flag}={one}" for one in texts]
    return argv


def changed(entries: Iterable[Option], values: Mapping[str, Any]) -> list[tuple[Option, Any]]:
    """Return those settings that are not at their default, with their values.

    Args:
        entries: The settings, their defaults as the command would choose them.
        values: Nested plain values of them, as a form gives them.
    """
    found = []
    for entry in entries:
        value: Any = values
        for key in entry.keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        value = tuple(value) if isinstance(value, list) else value
        if value not in (None, entry.default):
            found.append((entry, value))
    return found
