"""Find a store by path or name, and the store that a run was made from wherever it lies now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stemcls.errors import InputError, StemclsError, nearest
from stemcls.store.cropstore import CropStore
from stemcls.store.verify import open_verified

FOLDER = "datasets"
SUFFIX = ".h5"


def find_store(path: Path, workspace: Path) -> Path:
    """Return the file of a store: `path` itself, or below `workspace`/datasets, .h5 or not.

    Raises:
        InputError: There is none (names the nearest).
    """
    folder = workspace / FOLDER
    for place in (path, folder / path, folder / f"{path}{SUFFIX}"):
        if place.is_file():
            return place
    if path.is_dir():
        raise InputError(
            f"{path} is a folder: expected a crop store, a {SUFFIX} file; `stemcls build {path}` "
            "makes one of images"
        )
    names = [place.stem for place in _stores_in(folder)]
    hint = nearest(path.name.removesuffix(SUFFIX), names) if names else ""
    raise InputError(
        f"there is no store {path}, here or in {folder}{hint}; `stemcls build SRC` makes one"
    )


def find_input(path: Path, workspace: Path) -> Path:
    """Return `path` where it exists, else the store that it names in the workspace, else `path`."""
    if path.exists():
        return path
    try:
        return find_store(path, workspace)
    except InputError:
        return path


def open_same(
    recorded: Path | str, content_hash: str, home: Path, workspace: Path | None = None,
    verified: bool = True,
) -> CropStore:
    """Open the store of a run by the path that the run recorded, else by its content.

    A store that is not where it was, or holds other crops by now, is looked for in the datasets/
    of the workspaces that may hold it: the one given, and every folder that the run lies in.

    Args:
        recorded: Path of the store when the run was made.
        content_hash: Of its crops, or the beginning of it; empty where unknown.
        home: Folder of the run.
        workspace: Where the command looks, too.
        verified: Read all of it once, see `open_verified`; without, only what opening reads.
    Raises:
        InputError: It is nowhere, or its path holds other crops now.
    """
    recorded = Path(recorded)
    opened = open_verified if verified else CropStore.open
    first: StemclsError | None = None
    folders = list(_folders(home, workspace))
    places = [recorded, *(folder.parent / recorded for folder in folders), *(
        folder / recorded.name for folder in folders
    )]
    for place in dict.fromkeys(places):
        if not place.is_file():
            continue
        try:
            store = CropStore.open(place)
        except StemclsError as error:
            first = first or error
            continue
        if not content_hash or store.content_hash.startswith(content_hash):
            return opened(place)
        first = first or InputError(
            f"{place} is not the store that {home} was made from: its images, labels or groups "
            f"differ (expected content {content_hash[:12]}, found "
            f"{store.content_hash[:12]})"
        )
    for place in (one for folder in folders for one in _stores_in(folder)):
        if content_hash and _holds(place, content_hash):
            return opened(place)
    looked = ", ".join(map(str, folders)) or "no workspace"
    if first is None:
        first = InputError(f"the store that {home} was made from is not at {recorded} any more")
    message = (
        f"{first}; no store with its crops is in {looked} either. Put it into a datasets/ folder "
        "of the workspace, under any name; use the old store, or train anew"
    )
    raise InputError(message) from first


def _holds(place: Path, content_hash: str) -> bool:
    try:
        return CropStore.open(place).content_hash.startswith(content_hash)
    except (StemclsError, OSError, RuntimeError, ValueError):
        return False


def _folders(home: Path, workspace: Path | None) -> Iterator[Path]:
    """Yield the datasets/ folders to look in, the nearest first."""
    seen = set()
    for root in (*([] if workspace is None else [workspace]), *home.resolve().parents, Path()):
        folder = root.resolve() / FOLDER
        if folder not in seen and folder.is_dir():
            seen.add(folder)
            yield folder


def _stores_in(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
