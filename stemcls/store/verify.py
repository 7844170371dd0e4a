"""Read all that a crop store holds and compare it with its digest, once per state of its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py

from stemcls.atomic import write_json
from stemcls.cachefolder import cache_folder
from stemcls.errors import InputError
from stemcls.progress import Update
from stemcls.store.columns import changed_store, read_parts
from stemcls.store.cropstore import CropStore
from stemcls.store.digest import (
    BLOCK_BYTES,
    HASH_VERSION,
    blocks_of,
    columns_digest,
    combined_digest,
    first_version_digest,
)

_REMEMBERED = 500


def open_verified(path: Path | str, update: Update | None = None) -> CropStore:
    """Open a store whose images and columns are those it was written with.

    All of it is read, at the speed of SHA-256, unless this was done before with the file as it
    is: same path, size, times and inode. What was verified is remembered in the user's cache.

    Args:
        path: The store.
        update: Called with MiB read, MiB in all and a note, while the images are read.
    Raises:
        InputError: It cannot be opened; ChangedStoreError where it was changed.
    """
    store = CropStore.open(path)
    verify(store, update)
    return store


def verify(store: CropStore, update: Update | None = None, again: bool = False) -> bool:
    """Compare images and columns with the digest of a store; sets its `verified_hash`.

    Args:
        store: It was opened just now, which compared its columns with their digest.
        update: Called with MiB read, MiB in all and a note.
        again: Read it even if this state of the file is known.
    Returns: Whether there was a digest to compare with; other programs may write stores whose
        `content_hash` is their own.
    Raises:
        ChangedStoreError: They differ.
        InputError: The file changed meanwhile, or ended early.
    """
    checkable = 1 <= store.digests.version <= HASH_VERSION
    state = _state(store.path)
    wanted = {**state, "content_hash": store.content_hash}
    known = {} if again else _remembered().get(state["path"], {})
    if {key: known.get(key) for key in wanted} == wanted and known.get("verified_hash"):
        store.verified_hash = str(known["verified_hash"])
        return checkable
    found = _digest(store, update)
    if checkable and found != store.content_hash:
        raise changed_store(store.path, "the images are" if store.digests.version > 1 else (
            "the images, labels or groups are"
        ))
    if _state(store.path) != state:
        raise InputError(
            f"crop store {store.path} was written to while it was read; wait until it is complete"
        )
    store.verified_hash = found
    _remember({**wanted, "verified_hash": found})
    return checkable


def _digest(store: CropStore, update: Update | None) -> str:
    """Return the digest of what the file holds now, as the version of its digest asks."""
    blocks = _blocks(store, update)
    if store.digests.version == 1:
        with h5py.File(store.path, "r", locking=False) as file:
            parts = dict(read_parts(store.path, file))  # names as they are, not as they are shown
        return first_version_digest(
            blocks, store.labels, store.group_index, parts["label@names"],
            parts.get("group@names", parts["fields/path"]),
        )
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    columns = store.digests.columns_hash or columns_digest({
        "label": store.labels, "label@names": store.classes, "group": store.group_index,
        "group@names": store.group_names, "field": store.field_index,
    })
    return combined_digest(columns, digest.hexdigest())


def _blocks(store: CropStore, update: Update | None) -> Iterator[Any]:
    total, done = store.n_bytes, 0
    for block in _raw(store):
        yield block
        done += len(block)
        if update is not None:
            update(done // 2**20, total // 2**20, f"{store.path.name} compared with its digest")


def _raw(store: CropStore) -> Iterator[Any]:
    if store.layout.offset is not None:
        try:
            yield from blocks_of(store.path, store.layout.offset, store.n_bytes)
        except EOFError as error:
            raise store.cut_short() from error
        return
    step = max(1, BLOCK_BYTES // max(store.n_bytes // max(len(store), 1), 1))
    chunk = store.layout.chunks[0] if store.layout.chunks else 1
    step = max(step // chunk, 1) * chunk
    for start in range(0, len(store), step):
        yield store.read(slice(start, start + step)).data.cast("B")


def _state(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {
        "path": str(path.resolve()), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns,
        "ctime_ns": stat.st_ctime_ns, "inode": stat.st_ino,
    }


def _file() -> Path:
    return cache_folder() / "verified.json"


def _remembered() -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
        return {str(entry["path"]): dict(entry) for entry in found}
    except (OSError, ValueError, TypeError, KeyError):
        return {}  # none yet, or no use: a store is read again


def _remember(entry: dict[str, Any]) -> None:
    entries = _remembered()
    entries.pop(entry["path"], None)
    kept = [*entries.values(), entry][-_REMEMBERED:]
    with suppress(OSError):  # a cache that cannot be written costs time only
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_json(_file(), kept)
