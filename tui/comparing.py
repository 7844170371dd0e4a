"""Read the scores of several runs side by side, and what `stemcls compare` said of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcls.errors import StemclsError
from stemcls.runs import Run

COMPARISONS = "comparisons"
DOCUMENT = "comparison.json"


@dataclass(frozen=True)
class SideBySide:
    """The scores of some runs.

    Attributes:
        runs: Folders.
        metrics: Of each, from its own evaluation; empty where it cannot be read.
        problems: Of each, why it cannot be read; "" where it can.
        comparison: What `stemcls compare` wrote of just these runs, the newest, or None.
    """

    runs: tuple[Path, ...]
    metrics: tuple[dict[str, Any], ...]
    problems: tuple[str, ...]
    comparison: dict[str, Any] | None


def read_side_by_side(workspace: Path, runs: Sequence[Path]) -> SideBySide:
    """Read the scores of runs, and a comparison of them where there is one."""
    metrics, problems = [], []
    for path in runs:
        found, problem = {}, ""
        try:
            document = Run(path).read_json("evaluation/metrics.json")
            found = dict(document["metrics"]) if document else {}
            problem = "" if found else f"{path.name} has no evaluation"
        except (StemclsError, OSError, KeyError, TypeError) as error:
            problem = str(error)
        metrics.append(found)
        problems.append(problem)
    return SideBySide(
        tuple(runs), tuple(metrics), tuple(problems), _comparison(workspace, runs)
    )


def _comparison(workspace: Path, runs: Sequence[Path]) -> dict[str, Any] | None:
    wanted = {path.resolve() for path in runs}
    for path in sorted((workspace / COMPARISONS).glob(f"*/{DOCUMENT}"), reverse=True):
        try:
            document: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if {Path(run["path"]).resolve() for run in document["runs"]} == wanted:
                return document
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half gone; another one may be whole
    return None
