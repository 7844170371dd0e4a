"""Read what a run's model was made ready for: exports to other programs, other sites."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stemcls.errors import StemclsError
from stemcls.runs import Run

EXPORTS = "exports"
DOCUMENT = "export.json"
# The formats of `stemcls export --to`; a test compares them with its table.
FORMATS = ("onnx", "saved_model", "litert", "bioimageio")
_EXPORTED = {"format", "n", "side", "largest_difference", "tolerance"}
_COMPARED = {"store", "source", "metric", "test", "unadapted", "points", "verdict", "why"}


@dataclass(frozen=True)
class Use:
    """What was found in a run's folder.

    Attributes:
        exports: What export.json of each holds, and its `folder`; a damaged one has `problem`.
        plan: adapt/plan.json of a run of `stemcls adapt`, or None.
        comparison: adapt/comparison.json once it has ended, or None.
        problem: Why the adaptation cannot be read, "" where it can.
    """

    exports: list[dict[str, Any]] = field(default_factory=list)
    plan: dict[str, Any] | None = None
    comparison: dict[str, Any] | None = None
    problem: str = ""


def read_use(run: Run) -> Use:
    """Read the exports in a run's own folder, and the comparison where the run was adapted."""
    exports = [_read_export(run, path) for path in sorted(run.path.glob(f"{EXPORTS}/*/{DOCUMENT}"))]
    try:
        plan = run.read_json("adapt/plan.json")
        comparison = run.read_json("adapt/comparison.json")
    except (StemclsError, OSError) as error:
        return Use(exports, problem=str(error))
    if comparison is not None and not comparison.keys() >= _COMPARED:
        problem = f"{run.path}/adapt/comparison.json has an unknown form"
        return Use(exports, plan, problem=problem)
    return Use(exports, plan, comparison)


def export_folder(run: Run, target: str, calibrated: bool) -> Path:
    """Return where `stemcls export` puts a model unless told."""
    return run.path / EXPORTS / (f"{target}-calibrated" if calibrated else target)


def _read_export(run: Run, path: Path) -> dict[str, Any]:
    folder = {"folder": str(path.parent.relative_to(run.path))}
    try:
        document = run.read_json(str(path.relative_to(run.path))) or {}
    except (StemclsError, OSError) as error:
        return {**folder, "problem": str(error)}
    if not document.keys() >= _EXPORTED:
        return {**folder, "problem": f"{path} has an unknown form"}
    return {**document, **folder}
