"""What every command shares: options from configs, progress on stderr, data on stdout."""

from __future__ import annotations

import functools
import inspect
import math
import os
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from stemcls.config.options import Option, from_mapping, merged, options_of, split_list
from stemcls.errors import InputError
from stemcls.evaluation.numbertext import interval_text, number_text
from stemcls.notices import Notice, worded
from stemcls.paths import check_ordinary, given_folder
from stemcls.progress import Update
from stemcls.safetext import safe_text

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 10.0
# Whoever follows a log, such as the terminal UI, may want its lines more often.
SECONDS_VARIABLE = "STEMCLS_PROGRESS_SECONDS"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Backend = Annotated[
    str | None, typer.Option(help="tensorflow, jax or torch (default: KERAS_BACKEND).")
]
Device = Annotated[
    str, typer.Option(
        help="auto, cpu, or the number of a GPU as nvidia-smi counts; to train on several: 0,1."
    )
]
Workspace = Annotated[
    Path,
    typer.Option(
        envvar="STEMCLS_WORKSPACE", help="Folder that holds datasets/ and saved_models/."
    ),
]


def config_options(cls: type, skip: tuple[str, ...] = ()) -> Callable[[Callable], Callable]:
    """Add one command-line option per setting of config class `cls` to a Typer command.

    The command receives them as `given`, a nested mapping of only those the user typed;
    `from_mapping(cls, given)` makes the config.

    Args:
        cls: A config dataclass; nested sections are flattened.
        skip: Flags to leave out, because the command has an argument of its own for them.
    """
    offered = [entry for entry in options_of(cls) if entry.flag not in skip]

    def decorate(command: Callable) -> Callable:
        own = inspect.signature(command, eval_str=True)
        taken = [parameter for name, parameter in own.parameters.items() if name != "given"]
        added = [_parameter(entry) for entry in offered]

        @functools.wraps(command)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            given: dict[str, Any] = {}
            for entry in offered:
                value = kwargs.pop(entry.parameter)
                if value is None or value == []:
                    continue
                nested: Any = _items(entry, value) if isinstance(value, list) else value
                for key in reversed(entry.keys):
                    nested = {key: nested}
                given = merged(given, nested)
            return command(*args, given=given, **kwargs)

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*taken, *added)]
        wrapper.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper

    return decorate


def with_home(command: Callable) -> Callable:
    """Read a leading ~ in every path that a command takes as the home folder, as shells do.

    Shells leave it alone in --option=~/folder, in quotes and in variables such as
    STEMCLS_WORKSPACE.
    """
    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return command(*args, **{name: _at_home(value) for name, value in kwargs.items()})

    return wrapper


def _at_home(value: Any) -> Any:
    if isinstance(value, list):
        return [_at_home(one) for one in value]
    if not isinstance(value, Path):
        return value
    try:
        return value.expanduser()
    except RuntimeError:  # no user of that name: a folder may be called so
        return value


def with_checked_arguments(command: Callable) -> Callable:
    """Return a command that refuses what no option can mean, before it does anything.

    A path must not be a pipe, a device or a link to nothing, the workspace must not be a file, and
    a number must be one. What each command expects beyond that it says itself.
    """

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for name, given in kwargs.items():
            flag = f"--{name.rstrip('_').replace('_', '-')}"
            for value in given if isinstance(given, list | tuple) else (given,):
                if isinstance(value, Path):
                    found = check_ordinary(value)
                    if name == "workspace" and found is not None:
                        given_folder(value, flag)
                elif isinstance(value, float) and math.isnan(value):
                    raise InputError(f"{flag}: nan is no number; `--help` says what it may be")
        return command(*args, **kwargs)

    return wrapper


def resolved(cls: type[Item], given: dict[str, Any], base: dict[str, Any] | None = None) -> Item:
    """Return the config of class `cls` for what a file (`base`) and the user (`given`) say."""
    return from_mapping(cls, merged(base or {}, given))


def _parameter(entry: Option) -> inspect.Parameter:
    hint = entry.type
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    many = typing.get_origin(hint) is tuple
    kind = list[str] if many else hint
    flag = f"--{entry.flag}/--no-{entry.flag}" if hint is bool else f"--{entry.flag}"
    # Square brackets would be taken for the help's own mark-up.
    text = f"{entry.help} One of: {', '.join(entry.choices)}." if entry.choices else entry.help
    text += " Several: with commas between, or repeated." if many else ""
    shown = "" if entry.default in (None, "", ()) else f" (default: {entry.default})"
    return inspect.Parameter(
        entry.parameter,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            kind | None,
            typer.Option(
                flag, help=text + shown, show_default=False, rich_help_panel=entry.panel or None
            ),
        ],
    )


def _items(entry: Option, texts: list[str]) -> list[Any]:
    """Return the items of a list on the command line, as the setting's type.

    Raises:
        InputError: One is no number.
    """
    hint = entry.type
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    return numbers_of(texts, typing.get_args(hint)[0], f"--{entry.flag}")


def numbers_of(
    texts: Iterable[str], kind: type, flag: str, least: float = -math.inf, most: float = math.inf
) -> list[Any]:
    """Return the items of lists as the numbers (or texts) that they are.

    Args:
        texts: Each holds items with commas between.
        kind: int, float or str.
        flag: Name of the option, for the error.
        least, most: Inclusive bounds of a number; of settings, `from_mapping` holds them.

    Raises:
        InputError: One is no number, or out of bounds.
    """
    items: list[Any] = []
    for item in split_list(texts):
        try:
            items.append(kind(item))
        except ValueError:
            raise InputError(
                f"{flag}: {item!r} is no {'whole number' if kind is int else 'number'}; give "
                "several with commas between, as in 1,2"
            ) from None
        if kind is not str and most < math.inf and not least <= items[-1] <= most:
            raise InputError(f"{flag}: {item} is out of range; expected {least:g} to {most:g}")
    return items


def print_json(document: Any) -> None:
    """Print one JSON document on stdout; where that is not UTF-8, all else than ASCII as \\u."""
    import sys

    from stemcls.atomic import dump_json

    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "").replace("_", "")
    print(dump_json(document, indent=2, only_ascii=encoding not in ("utf8", "utf8sig")))


def say(message: str) -> None:
    """Print one line for a person on stderr; stdout carries data only."""
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True).print(
        safe_text(message, keep="\n"), markup=False
    )


def say_skipped(skipped: Iterable[Mapping[str, str]]) -> None:
    """Say which files were passed over and why: a reason once, with the first of its files."""
    for reason, paths in _by_reason(skipped).items():
        say(f"skipped {_some(paths)}: {reason}")


def say_ignored(ignored: Iterable[Mapping[str, str]]) -> None:
    """Say in one line what is no image, so that nobody has to wonder."""
    reasons = _by_reason(ignored)
    if reasons:
        told = "; ".join(f"{_some(paths, 2)} ({reason})" for reason, paths in reasons.items())
        say(f"ignored: {told}")


def _by_reason(entries: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the paths of every reason; a path is cut off the beginning of its reason."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        path, reason = entry["path"], entry["reason"]
        folder, there, rest = reason.partition(path)
        if there and (not folder or folder.endswith("/")):
            reason = rest.lstrip(": ")
        found.setdefault(reason, []).append(path)
    return found


def _some(paths: list[str], most: int = 4) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + more


def say_warnings(warnings: Iterable[Mapping[str, Any]], total: int | None = None) -> None:
    """Say each warning of a document in one line, with the first few files that it is about."""
    for entry in warnings:
        notice = Notice(entry["kind"], entry["message"], tuple(entry["paths"]))
        say(f"warning: {worded(notice, total)}")


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a small table on stdout for people; scripts ask for `--json`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(header_style="bold")
    for column in columns:
        table.add_column(escape(safe_text(column)), overflow="fold")
    for row in rows:
        cells = (f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row)
        table.add_row(*(escape(safe_text(cell, keep="\n")) for cell in cells))
    console = Console()
    console.print(safe_text(title, keep="\n"), style="bold", markup=False, soft_wrap=True)
    console.print(table)


@contextmanager
def progress(title: str) -> Iterator[Update]:
    """Show a progress bar with an ETA on stderr; yields `update(done, total, note)`.

    Where stderr is no terminal (a log file, a scheduler) a line is printed every 10 seconds
    instead, or every $STEMCLS_PROGRESS_SECONDS.

    Raises:
        InputError: That variable is no number of seconds.
    """
    import time

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        said = time.monotonic()
        wait = _seconds_between_lines()

        def note_now_and_then(done: int, total: int, note: str = "") -> None:
            nonlocal said
            if time.monotonic() - said >= wait:
                said = time.monotonic()
                say(f"{title}: {done}/{total} {note}".rstrip())

        yield note_now_and_then
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=None, note="")

        def update(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=safe_text(note))

        yield update


def _seconds_between_lines() -> float:
    text = os.environ.get(SECONDS_VARIABLE) or str(SECONDS_BETWEEN_LINES)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(
            f"the environment variable {SECONDS_VARIABLE} is {text!r}: expected a number of "
            f"seconds, 0 or more; without it a line comes every {SECONDS_BETWEEN_LINES:g} s"
        )
    return seconds


def print_metrics(
    title: str,
    metrics: dict[str, Any],
    spread: dict[str, Any] | None = None,
    beside: dict[str, Any] | None = None,
) -> None:
    """Print the headline metrics with their intervals, and each class, as two tables.

    Args:
        title: Above the tables.
        metrics: Of `compute_metrics`.
        spread: Mean and SD over folds.
        beside: The same metrics of the run's own test crops, where `metrics` are of other ones.
    """
    from stemcls.evaluation.naming import CONSISTENCY, CONSISTENCY_NOTE, class_title_of, title_of

    if metrics.get("evaluated_on") == "validation":
        say("no test split: these are the crops that chose the weights, so it is optimistic")
    if metrics.get("naming") == CONSISTENCY:
        say(CONSISTENCY_NOTE)
    keys = (
        "mean_recall", "balanced_accuracy", "auroc", "accuracy", "f1_macro", "f1_weighted",
        "precision_macro", "ece",
    )
    rows = []
    for key in keys:
        row = [title_of(key, metrics), *_scored(metrics, key)]
        if beside:
            row += _scored(beside, key)
        if spread:
            row.append(f"{number_text(spread.get(key))} +- {number_text(spread.get(f'{key}_sd'))}")
        rows.append(row)
    columns = ["metric", "value", "95 % interval"]
    if beside:
        columns = ["metric", "external", "95 % interval", "internal", "95 % interval"]
    columns += ["mean +- SD over folds"] if spread else []
    print_table(title, columns, rows)
    names = ("sensitivity", "specificity", "ppv", "npv", "f1", "auroc")
    print_table(
        "per class",
        ("class", "n", *(class_title_of(name, metrics) for name in names)),
        ([name, *(number_text(row.get(key)) for key in ("n", *names))]
         for name, row in metrics["per_class"].items()),
    )


def print_verdict(lines: Iterable[Any]) -> None:
    """Print the lines of a verdict, each with what it is about, on stdout.

    Args:
        lines: Of `stemcls.evaluation.verdict.verdict`.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console, last = Console(highlight=False), ""
    for line in lines:
        if line.about != last:
            console.print(Text(line.about.upper(), style="bold"))
        last = line.about
        console.print(Padding(Text(line.text, style="yellow" if line.grave else ""), (0, 0, 0, 2)))


def _scored(metrics: dict[str, Any], key: str) -> list[str]:
    return [number_text(metrics.get(key)), interval_text(metrics.get(f"{key}_ci"))]
