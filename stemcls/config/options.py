"""Describe settings once, as dataclass fields, for TOML, the command line and forms alike."""

from __future__ import annotations

import dataclasses
import keyword
import math
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from stemcls.errors import InputError, check_known, nearest
from stemcls.paths import given_file

Config = TypeVar("Config")
# Of NumPy and Keras.
MOST_SEED = 2**32 - 1
# More than any setting has; Python's own limit would be a traceback.
_MOST_LEVELS = 20
_LONGEST = 80


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] | None = None,
    least: float | None = None,
    most: float | None = None,
    flag: str | None = None,
    panel: str | None = None,
) -> Any:
    """Declare one setting of a frozen config dataclass.

    Args:
        default: Its value when nobody says otherwise; immutable.
        help: One sentence, with the unit.
        choices: The only strings allowed.
        least, most: Inclusive bounds of a number.
        flag: Command-line name without dashes, where the field's own name is not unique enough.
        panel: Heading of `--help` that it comes under; "": the options that most people need.
            None: that of its section, or "" outside of sections.
    """
    metadata = {
        "help": help, "choices": choices, "least": least, "most": most, "flag": flag,
        "panel": panel,
    }
    return dataclasses.field(default=default, metadata=metadata)


def split_list(texts: Iterable[str]) -> list[str]:
    """Return the items of lists: each text holds some, with commas between; `\\,` is a comma."""
    parts = [part for text in texts for part in re.split(r"(?<!\\),", text)]
    return [part.strip().replace("\\,", ",") for part in parts if part.strip()]


@dataclasses.dataclass(frozen=True)
class Option:
    """One leaf setting of a config class: where it sits and what it may be."""

    keys: tuple[str, ...]
    type: Any
    default: Any
    help: str
    choices: tuple[str, ...] | None
    least: float | None
    most: float | None
    flag: str
    panel: str = ""

    @property
    def parameter(self) -> str:
        """The command-line flag as a Python identifier."""
        name = self.flag.replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name

    def check(self, value: Any) -> None:
        """Check type and range of a value, whatever else is set.

        Raises:
            InputError: It is of another type, no choice, or out of range.
        """
        about = {"choices": self.choices, "least": self.least, "most": self.most}
        _checked(value, self.type, about, f"config: {'.'.join(self.keys)}")


def options_of(
    cls: type, keys: tuple[str, ...] = (), panel: str = ""
) -> Iterator[Option]:
    """Yield every leaf setting of config class `cls`, sections flattened, in order.

    The metadata of a section's field may hold `panel`, the heading of its options in `--help`
    (default: its name), and `hidden`, true of a section that is for files alone.

    `panel` is the heading of those outside of sections. Of a list of sections those of the default
    list are offered, under their names.
    """
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if field.metadata.get("hidden"):
            continue
        if dataclasses.is_dataclass(hint):
            heading = field.metadata.get("panel") or " ".join((*keys, field.name))
            yield from options_of(typing.cast(type, hint), (*keys, field.name), heading)
            continue
        if kind := _listed_section(hint):
            for one in typing.cast(tuple, field.default):
                yield from _named_options(kind, one, (*keys, field.name, one.name))
            continue
        about = field.metadata
        yield Option(
            keys=(*keys, field.name),
            type=hints[field.name],
            default=field.default,
            help=about.get("help", ""),
            choices=about.get("choices"),
            least=about.get("least"),
            most=about.get("most"),
            flag=about.get("flag") or field.name.replace("_", "-"),
            panel=panel if about.get("panel") is None else about["panel"],
        )


def _named_options(kind: type, section: Any, keys: tuple[str, ...]) -> Iterator[Option]:
    for entry in options_of(kind):
        if entry.keys != ("name",):
            yield dataclasses.replace(
                entry,
                keys=(*keys, *entry.keys),
                default=getattr(section, entry.keys[0]),
                flag=f"{section.name}-{entry.flag}",
                panel=" ".join(keys),
            )


def from_mapping(cls: type[Config], mapping: Mapping[str, Any], where: str = "config") -> Config:
    """Build a config from nested plain values, checking names, types and ranges.

    One value stands for a list of it.

    A list of sections is given whole, as a list of tables, or as a table that changes some of the
    default ones, addressed by name or by position from 0.

    Raises:
        InputError: An unknown key (names the nearest), a wrong type, or a value out of range.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        place = f"{where}: {key}" if where == "config" else f"{where}.{key}"
        check_known(key, known, f"{place} is not a setting")
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise InputError(
                    f"{place} is a section: expected a table, found {shortened(value)}"
                )
            values[key] = from_mapping(typing.cast(type, hint), value, place)
        elif kind := _listed_section(hint):
            values[key] = _sections(kind, value, known[key].default, place)
        else:
            values[key] = _checked(value, hint, known[key].metadata, place)
    return cls(**values)


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a config as nested plain values, without those that are None (TOML has no null)."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            plain[field.name] = to_mapping(value)
        elif isinstance(value, tuple):
            plain[field.name] = [
                to_mapping(item) if dataclasses.is_dataclass(item) else item for item in value
            ]
        elif value is not None:
            plain[field.name] = value
    return plain


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over` laid on top, section by section.

    A table laid on a list of sections changes those that it names (or numbers, from 0); a list
    takes the place of a list.

    Raises:
        InputError: `over` names a section that the list of `base` does not hold.
    """
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            value = merged(old, value)
        elif isinstance(value, Mapping) and isinstance(old, list):
            value = _changed_sections(old, value, key)
        result[key] = value
    return result


def with_assignments(settings: dict[str, Any], changes: Iterable[str] | None) -> dict[str, Any]:
    """Return nested plain values with `KEY=VALUE` each laid on top, see `parse_assignment`."""
    for change in changes or ():
        settings = merged(settings, parse_assignment(change))
    return settings


def parse_assignment(text: str) -> dict[str, Any]:
    """Return `a.b.c=VALUE` as nested plain values; VALUE is written as in TOML, or is text.

    Raises:
        InputError: It is not of that form.
    """
    path, equals, written = text.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys) or len(keys) > _MOST_LEVELS:
        raise InputError(
            f"--set {shortened(text)}: expected SECTION.KEY=VALUE, as in model.dropout=0.5"
        )
    try:
        nested = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        nested = written.strip()
    except (ValueError, RecursionError) as error:  # a number or a nesting without end
        raise InputError(f"--set {shortened(text)} is not a value: {error}") from None
    for key in reversed(keys):
        nested = {key: nested}
    return typing.cast(dict[str, Any], nested)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file into nested plain values.

    Raises:
        InputError: The file is missing or is not TOML.
    """
    given_file(path, "config file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise InputError(f"config file {path} is not valid TOML: nested too deeply") from None
    except ValueError as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise InputError(f"config file {path} is not valid TOML: {error}") from error


def to_toml(config: Any) -> str:
    """Return a config as TOML text that `read_toml` and `from_mapping` turn back into it."""
    import tomli_w

    return tomli_w.dumps(to_mapping(config))


def _listed_section(hint: Any) -> type | None:
    """Return the config class of a list of sections, None for any other type."""
    if typing.get_origin(hint) is not tuple:
        return None
    kind: type = typing.get_args(hint)[0]
    return kind if dataclasses.is_dataclass(kind) else None


def _sections(kind: type, value: Any, default: Any, place: str) -> tuple[Any, ...]:
    if isinstance(value, Mapping):
        value = _changed_sections([to_mapping(section) for section in default], value, place)
    if not isinstance(value, list | tuple) or not all(isinstance(v, Mapping) for v in value):
        raise InputError(f"{place}: expected a list of tables, found {shortened(value)}")
    return tuple(
        from_mapping(kind, section, f"{place}.{section.get('name', number)}")
        for number, section in enumerate(value)
    )


def _changed_sections(sections: list[Any], changes: Mapping[str, Any], place: str) -> list[Any]:
    result = list(sections)
    names = [section.get("name", "") for section in result]
    for key, change in changes.items():
        if key in names:
            at = names.index(key)
        elif key.isdecimal() and len(key) < 5 and int(key) < len(names):
            at = int(key)
        else:
            raise InputError(f"{place}.{key} is not there{nearest(key, names)}")
        if not isinstance(change, Mapping):
            raise InputError(
                f"{place}.{key} is a section: expected a table, found {shortened(change)}"
            )
        result[at] = merged(result[at], change)
    return result


def _checked(value: Any, hint: Any, about: Mapping[str, Any], place: str) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        kind = typing.get_args(hint)[0]
        return tuple(_checked(item, kind, about, place) for item in items)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            value = math.inf if value > 0 else -math.inf
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{place}: expected {hint.__name__}, found {shortened(value)}")
    choices, least, most = about.get("choices"), about.get("least"), about.get("most")
    if choices and value not in choices:
        hint = nearest(str(value), choices)
        raise InputError(f"{place}: {shortened(value)} is not a choice{hint}")
    expected = f"expected {least} to {most}"
    if isinstance(value, float) and math.isnan(value):
        raise InputError(f"{place}: nan is no number; {expected}")
    if least is not None and not value >= least:
        raise InputError(
            f"{place}: {shortened(value)} is below the least allowed, {least}; {expected}"
        )
    if most is not None and not value <= most:
        raise InputError(
            f"{place}: {shortened(value)} is above the most allowed, {most}; {expected}"
        )
    return value


def shortened(value: Any) -> str:
    """Return a value as a message shows it, a long one by its beginning."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a nesting without end
        text = f"a {type(value).__name__} without end"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
