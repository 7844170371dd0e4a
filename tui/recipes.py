"""Read the recipes of the package and their runs in a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stemcls.config.protocol import ProtocolConfig
from stemcls.errors import StemclsError
from stemcls.recipes.read import read_protocol, recipe_names
from stemcls.recipes.words import expected
from stemcls.recipes.work import FOLDER, list_begun
from stemcls.runs import Run
from tui import tasks
from tui.records import new_path
from tui.tasks import Task

KIND = "recipes"
REPORT, DOCUMENT = "report.html", "report.json"


@dataclass(frozen=True)
class RecipeRun:
    """One run of a recipe.

    Attributes:
        summary: `Run.summary`, with `path` and `title`.
        document: report.json once it has ended, or None.
        problem: Why that cannot be read, "" where it can.
    """

    summary: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] | None = None
    problem: str = ""

    @property
    def path(self) -> Path:
        """Its folder."""
        return Path(self.summary["path"])


def read_recipes() -> list[ProtocolConfig]:
    """Return the recipes that come with the package."""
    return [read_protocol(name) for name in recipe_names()]


def layout_of(protocol: ProtocolConfig) -> str:
    """Return in words how the folder of images is to be laid out."""
    return expected(Path("DATA"), protocol.layout)


def read_runs(workspace: Path) -> list[RecipeRun]:
    """Return the runs of recipes in a workspace, newest first."""
    return [_read(run) for run in list_begun(workspace)]


def start(workspace: Path, recipe: str, data: Path) -> Task:
    """Start a recipe on a folder of images.

    Raises:
        StemclsError: It cannot be started.
        OSError: The folder of the task cannot be made.
    """
    folder = new_path(workspace / FOLDER, recipe)
    arguments = ["run", recipe, "--data", str(data), "--name", folder.name]
    return tasks.start(workspace, KIND, folder.name, arguments, folder / DOCUMENT)


def resume(workspace: Path, run: Path) -> Task:
    """Go on with an interrupted run of a recipe.

    Raises:
        StemclsError: It cannot be started.
        OSError: The folder of the task cannot be made.
    """
    arguments = ["run", "--resume", str(run)]
    return tasks.start(workspace, KIND, run.name, arguments, run / DOCUMENT)


def changes(document: dict[str, Any]) -> Sequence[str]:
    """Return what a reader must know before the figures: settings changed, steps not done."""
    changed = document.get("changed") or ()
    settings = "1 setting was" if len(changed) == 1 else f"{len(changed)} settings were"
    return [
        *([f"Not the recipe: {settings} changed, which the report names."] if changed else ()),
        *(f"not done: {step}: {why}" for step, why in (document.get("not_done") or {}).items()),
    ]


def _read(run: Run) -> RecipeRun:
    summary = {**run.summary(), "path": str(run.path), "title": run.name}
    try:
        document = run.read_json(DOCUMENT)
        if document is not None and "figures" not in document:
            return RecipeRun(summary, problem=f"{run.path / DOCUMENT} has an unknown form")
    except (StemclsError, OSError) as error:
        return RecipeRun(summary, problem=str(error))
    return RecipeRun(summary, document)
