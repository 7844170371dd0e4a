"""Time two ways of doing the same thing against each other."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stemcls.errors import InputError, StemclsError

# A process starts with the peak of the one that forked it, so a small one stands between.
_MEASURED = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, "-m", "stemcls", *sys.argv[1:]]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def interleave(
    ours: Callable[[], Any], baseline: Callable[[], Any], rounds: int = 3
) -> tuple[float, float]:
    """Return the median seconds of what is measured, and of its baseline; see `in_turn`."""
    seconds, _ = in_turn({"ours": ours, "baseline": baseline}, rounds)
    return seconds["ours"], seconds["baseline"]


def in_turn(
    works: dict[str, Callable[[], Any]], rounds: int = 3
) -> tuple[dict[str, float], dict[str, Any]]:
    """Run every work in turn, backwards every other round, so that a busy machine slows all alike.

    Args:
        works: By name.
        rounds: How often each runs, at least 3.
    Returns: Median seconds of each, and what each returned last.
    """
    if rounds < 3:
        raise ValueError(f"a median needs at least 3 rounds, not {rounds}")
    spent: dict[str, list[float]] = {name: [] for name in works}
    found: dict[str, Any] = {}
    for number in range(rounds):
        order = list(works) if number % 2 == 0 else list(reversed(works))
        for name in order:
            start = time.perf_counter()
            found[name] = works[name]()
            spent[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}, found


def result(
    name: str,
    ours: float,
    baseline: float,
    unit: str,
    target: float,
    equal_outputs: bool | None,
    higher_is_better: bool = False,
    **details: Any,
) -> dict[str, Any]:
    """Return one row of `stemcls bench`.

    Args:
        name: Of the benchmark.
        ours, baseline: What was measured, in `unit`.
        unit: Of both.
        target: Least ratio wanted.
        equal_outputs: Both gave the same result; None where there is nothing to compare.
        higher_is_better: True for rates and scores, False for times.
        details: Anything else worth keeping.
    Returns: The row; `ratio` above 1 means that ours is better.
    """
    better, worse = (ours, baseline) if higher_is_better else (baseline, ours)
    return {
        "name": name,
        "ours": ours,
        "baseline": baseline,
        "ratio": better / worse if worse else float("inf"),
        "unit": unit,
        "target": target,
        "equal_outputs": None if equal_outputs is None else bool(equal_outputs),
        **details,
    }


def run_measured(*arguments: str) -> tuple[Any, int]:
    """Run a command of stemcls; return its JSON document, and its peak of resident memory in bytes.

    Raises:
        StemclsError: It failed.
    """
    command = [sys.executable, "-c", _MEASURED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    if done.returncode:
        told = lines[-2] if len(lines) > 1 else ""
        raise StemclsError(f"`stemcls {arguments[0]}` failed with code {done.returncode}: {told}")
    return json.loads(done.stdout), int(lines[-1]) * 1024


def stemcls_json(*arguments: object) -> dict[str, Any]:
    """Run a command of stemcls with --json; return its document, and let its progress be seen.

    Raises:
        StemclsError: It failed.
    """
    command = [sys.executable, "-m", "stemcls", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise StemclsError(f"`{' '.join(command[2:])}` ended with {done.returncode}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def need(*paths: Path) -> None:
    """Refuse to go on without these files of the data folder.

    Raises:
        InputError: Names the first that is missing.
    """
    for path in paths:
        if not path.exists():
            raise InputError(f"this benchmark needs {path}; say where it is: --data FOLDER")


def passed(row: dict[str, Any]) -> bool:
    """Say whether a row reached its target, and with equal outputs where these are compared.

    A row without a target is a fact that nothing is asked of.
    """
    if row["equal_outputs"] is False:
        return False
    if row["target"] is None:
        return True
    if row["ratio"] is None:
        return False
    return bool(row["ratio"] >= row["target"])
