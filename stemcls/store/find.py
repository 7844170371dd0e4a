"""Find a store that the user names by path, or by its name in the workspace."""

from __future__ import annotations

from pathlib import Path

from stemcls.errors import InputError


def find_store(path: Path, workspace: Path) -> Path:
    """Return the file of a store: `path` itself, or below `workspace`/datasets, .h5 or not.

    Raises:
        InputError: There is none.
    """
    folder = workspace / "datasets"
    for place in (path, folder / path, folder / f"{path}.h5"):
        if place.is_file():
            return place
    raise InputError(f"there is no store {path}, here or in {folder}; `stemcls build` makes one")
