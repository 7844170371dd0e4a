"""What the steps of one recipe share: its settings, its folder, and what came of earlier steps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, read_toml, to_toml
from stemcls.config.protocol import ProtocolConfig
from stemcls.errors import InputError, nearest
from stemcls.progress import Update
from stemcls.runs import Run, find_folder
from stemcls.store.cropstore import CropStore
from stemcls.store.verify import open_verified

FORMAT = 1
FOLDER = "recipes"
DONE, BEGUN, NOT_DONE = "done", "begun", "not done"


@dataclass(frozen=True)
class Work:
    """One run of a recipe.

    Attributes:
        run: Its folder, `recipes/<name>-<UTC time>/`: recipe.toml, results.json, manifest.csv and,
            in the end, report.html.
        protocol: Its settings.
        data: Folder of the images.
        backend: Of Keras.
        results: Step to what came of it; `state` is done, begun or not done.
        show: Given a title, opens a progress bar.
        say: Tells a person.
        slots, scheduler: Of a search, as `stemcls tune` takes them.
    """

    run: Run
    protocol: ProtocolConfig
    data: Path
    backend: str
    results: dict[str, dict[str, Any]]
    show: Callable[[str], AbstractContextManager[Update]]
    say: Callable[[str], None]
    slots: int | None = None
    scheduler: str | None = None

    @property
    def workspace(self) -> Path:
        """The workspace that holds datasets/ and saved_models/ too."""
        return self.run.path.parents[1]

    @property
    def store_path(self) -> Path:
        """The crop store of this run."""
        return self.workspace / "datasets" / f"{self.run.name}.h5"

    def store(self) -> CropStore:
        """Open the store that was built."""
        return open_verified(self.store_path)

    def experiment(self) -> Experiment:
        """Return the settings of training, on the store that was built."""
        return replace(
            self.protocol.experiment, store=str(self.store_path), name=self.run.name
        )

    def trained(self) -> Run:
        """Return the run whose model the later steps look at."""
        if "search" in self.results:
            return Run(Path(self.results["search"]["best"]["run"]))
        return Run(Path(self.results["train"]["run"]))

    def is_done(self, step: str) -> bool:
        """Tell whether a step needs no more work."""
        return self.results.get(step, {}).get("state") == DONE

    def keep(self, step: str, state: str, **values: Any) -> None:
        """Remember what a step came to, so that a later process knows."""
        self.results[step] = {"state": state, **values}
        atomic.write_json(self.run.path / "results.json", self.results)

    def fresh(self, step: str) -> Path:
        """Return the folder of a step without what an interrupted one left there."""
        folder = self.run.path / step
        shutil.rmtree(folder, ignore_errors=True)
        return folder


def create(
    protocol: ProtocolConfig, data: Path, workspace: Path, backend: str, name: str = ""
) -> Run:
    """Make the folder of a new run of a recipe.

    Args:
        protocol, data, backend: As in `Work`.
        workspace: Its recipes/ takes the folder.
        name: Of the folder; "": the recipe's name and the time.
    Raises:
        InputError: The name is no name of a folder, or taken.
    """
    root = workspace.resolve()
    run = (
        Run.create_named(root / FOLDER, name) if name else
        Run.create(root, protocol.name, FOLDER)
    )
    atomic.write_text(run.path / "recipe.toml", to_toml(protocol))
    atomic.write_json(
        run.path / "source.json",
        {"format": FORMAT, "data": str(data.resolve()), "backend": backend},
    )
    return run


def reopen(path: Path, workspace: Path) -> tuple[Run, ProtocolConfig, Path, str]:
    """Return an interrupted run of a recipe: folder, settings, data and backend.

    Raises:
        InputError: There is none; names the nearest.
    """
    place = find_folder(path, workspace, "recipe.toml", FOLDER)
    if place is None:
        names = [run.name for run in list_begun(workspace)]
        hint = nearest(path.name, names) if names else "; `stemcls recipes run NAME` begins one"
        raise InputError(f"there is no run of a recipe {path}{hint}")
    run = Run(place.resolve())
    source = run.read_json("source.json")
    if not source or source.get("format") != FORMAT:
        raise InputError(
            f"{place} is no run of a recipe that this version reads (expected format {FORMAT} in "
            "its source.json); begin a new one"
        )
    protocol = from_mapping(ProtocolConfig, read_toml(run.path / "recipe.toml"), "recipe.toml")
    return run, protocol, Path(source["data"]), str(source["backend"])


def list_begun(workspace: Path) -> list[Run]:
    """Return the runs of recipes in a workspace, newest first."""
    found = [path.parent for path in (workspace / FOLDER).glob("*/recipe.toml")]
    return [Run(path) for path in sorted(found, reverse=True)]
