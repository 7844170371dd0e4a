"""Write the finished HDF5 file of a crop store from the working folder of its build."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stemcls.atomic import dump_json, place_new
from stemcls.errors import CancelledError, StemclsError
from stemcls.store.columns import read_parts
from stemcls.store.digest import (
    HASH_VERSION,
    Part,
    blocks_of,
    columns_digest,
    combined_digest,
    sample_digest,
)
from stemcls.store.gather import Columns
from stemcls.store.journal import Journal
from stemcls.store.layout import FORMAT, UNLABELLED, VERSION

_TEXT = h5py.string_dtype("utf-8")
_TEXTS = 10_000
# Version 1.8 of the format, because older object headers hold attributes up to 64 KiB only.
_HDF5: dict[str, Any] = {"libver": ("v108", "v108")}


def write_store(
    journal: Journal, columns: Columns, config: dict[str, Any], source: Path, out: Path,
    stopped: Callable[[], bool],
) -> None:
    """Write `out` from a complete journal: metadata by HDF5, then the crops as one block.

    The finished file is read back and compared before it takes its name.

    Args:
        journal: Holds the crops; its folder takes the temporary file.
        columns: The columns of the store.
        config: Resolved settings, plain values; `group_what` says what a named group is.
        source: Folder the images came from.
        out: The store; it appears only when complete and on disk.
        stopped: Says whether somebody asked to stop.
    Raises:
        CancelledError: Stopped; the working folder stays.
        InputError: Something else took the name `out` in the meantime; the working folder stays.
        StemclsError: What lies in the file is not what was written; the working folder stays.
    """
    if journal.layout is None:
        raise ValueError("the journal holds no crops")
    dtype, *crop = journal.layout
    shape = (len(columns.labels), *crop)
    parts = _parts(columns, config["group_what"], crop[-1])

    def check() -> None:
        if stopped():
            raise CancelledError(
                "stopped while the store was being written; run the same command again and it "
                "goes on from there"
            )

    temporary = journal.folder / "store.h5"
    temporary.unlink(missing_ok=True)
    with _disk_errors():
        with h5py.File(temporary, "w", **_HDF5) as file:
            offset = _reserve(file, shape, np.dtype(dtype))
            write_parts(file, parts)
            file.attrs.update({
                "format": FORMAT,
                "version": VERSION,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "stemcls_version": version("stemcls"),
                "config": dump_json(config),
                "source": os.fsencode(source.resolve()).decode("utf-8", "backslashreplace"),
            })
        digest = hashlib.sha256()
        with temporary.open("rb+") as target:
            target.seek(offset)
            for block in blocks_of(journal.images_path, check=check):
                digest.update(block)
                target.write(block)
        _read_back(temporary, parts, shape, digest.hexdigest(), check)
        with h5py.File(temporary, "r+", **_HDF5) as file:
            stamp(file, temporary, digest.hexdigest(), parts)
    with temporary.open("rb+") as target:
        os.fsync(target.fileno())
    place_new(temporary, out)


def _parts(columns: Columns, what: str, n_channels: int) -> dict[str, Part]:
    """Return every column, its names and the store's own names: arrays, and tuples of text."""
    classes = columns.classes()
    place = {name: number for number, name in enumerate(classes)}
    group_index, group_names, group_what = columns.grouped(what)
    parts: dict[str, Part] = {
        "label": np.array(
            [UNLABELLED if name is None else place[name] for name in columns.labels], np.int32
        ),
        "label@names": classes,
        "field": np.array(columns.field_index, np.int32),
        "group": group_index,
        "group@what": (group_what,),
        "center_px": columns.centers_px.table(np.float32),
        "radius_px": np.array(columns.radius_px, np.float32),
        "at_border": np.array(columns.at_border, np.uint8),
        "intensity": columns.intensity.table(np.float32),
        "intensity@names": columns.source_channels,
        "@channels": _channel_names(n_channels, columns.slices),
        "@slices": columns.slices,
        "@pixel_size_um": np.array(columns.crop_size_um() or np.nan),
    }
    if group_names is not None:
        parts["group@names"] = group_names
    for column, values in columns.field_table().items():
        parts[f"fields/{column}"] = tuple(values) if isinstance(values, list) else values
    return parts


def write_parts(file: h5py.File, parts: Mapping[str, Part]) -> None:
    """Write datasets, and attributes where a name has an @, each under its own name.

    Assigning to a group, `file[name] = values`, links the name to another object once tens of
    thousands of texts are written (HDF5 1.14.6 and 2.0); `create_dataset` does not.
    """
    for name, part in parts.items():
        path, _, attribute = name.partition("@")
        if attribute:
            owner = file[path] if path else file
            if isinstance(part, np.ndarray):
                owner.attrs[attribute] = part[()]
            elif attribute == "what":
                owner.attrs[attribute] = part[0]
            else:
                owner.attrs.create(attribute, np.array(part, dtype=_TEXT))
        elif isinstance(part, np.ndarray):
            file.create_dataset(name, data=part)
        else:
            dataset = file.create_dataset(name, (len(part),), _TEXT)
            for start in range(0, len(part), _TEXTS):
                # One block of texts at a time, because HDF5 takes copies of all it is given.
                dataset[start : start + _TEXTS] = np.array(part[start : start + _TEXTS], _TEXT)


def _read_back(
    path: Path, parts: Mapping[str, Part], shape: tuple[int, ...], images_hash: str,
    check: Callable[[], None],
) -> None:
    """Compare what lies in a finished file with what was to be written.

    Raises:
        StemclsError: They differ.
    """
    with h5py.File(path, "r", locking=False) as file:
        missing, wrong = set(parts), []
        for name, found in read_parts(path, file):
            missing.discard(name)
            if name not in parts or not _equal(found, parts[name]):
                wrong.append(name)
        images = file["images"]
        same = images.shape == shape
        offset, n_bytes = images.id.get_offset(), images.nbytes
    wrong += sorted(missing)
    digest = hashlib.sha256()
    for block in blocks_of(path, offset, n_bytes, check):
        digest.update(block)
    if not same or digest.hexdigest() != images_hash:
        wrong.append("images")
    if wrong:
        raise StemclsError(
            f"the store was written but reads back wrong ({', '.join(wrong)}), so it was not put "
            f"in place; the crops are kept in {path.parent}: free or check the disk, and run the "
            "same command again"
        )


def _equal(found: Part, part: Part) -> bool:
    if isinstance(part, tuple) or isinstance(found, tuple):
        return type(found) is type(part) and found == part
    return np.array_equal(found, part, equal_nan=part.dtype.kind == "f")


def stamp(
    file: h5py.File, path: Path, images_hash: str, parts: Mapping[str, Part] | None = None
) -> None:
    """Write the digests of a complete store, open for writing, into its attributes.

    Args:
        file: The store.
        path: Where it is.
        images_hash: SHA-256 of the images, hexadecimal.
        parts: Its columns; None: they are read from it.
    """
    parts = dict(read_parts(path, file)) if parts is None else parts
    columns_hash = columns_digest(parts)
    images = file["images"]
    offset = images.id.get_offset()
    file.attrs.create("content_parts", np.array(sorted(parts), dtype=_TEXT))
    file.attrs.update({
        "content_hash_version": HASH_VERSION,
        "content_hash": combined_digest(columns_hash, images_hash),
        "columns_hash": columns_hash,
        "images_hash": images_hash,
        "sample_hash": "" if offset is None else sample_digest(path, offset, images.nbytes),
    })


def _reserve(file: h5py.File, shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Create /images contiguous and unwritten; return the offset of its first byte."""
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_layout(h5py.h5d.CONTIGUOUS)
    how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape)
    dataset = h5py.h5d.create(file.id, b"images", h5py.h5t.py_create(dtype), space, dcpl=how)
    return int(dataset.get_offset())


def _channel_names(channels: int, slices: tuple[str, ...]) -> tuple[str, ...]:
    if channels == 3:
        return ("red", "green", "blue")
    if len(slices) == channels:
        return slices
    return tuple("grey" if channels == 1 else f"channel {k}" for k in range(channels))


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Give a full disk its error number back, which HDF5 leaves only in its text."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        found = re.search(r"errno = (\d+)", str(error))
        number = getattr(error, "errno", None) or (int(found.group(1)) if found else None)
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise OSError(number, os.strerror(number)) from error
        raise
