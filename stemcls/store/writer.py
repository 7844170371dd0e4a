"""Write the finished HDF5 file of a crop store from the working folder of its build."""

from __future__ import annotations

import array
import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stemcls.atomic import dump_json
from stemcls.errors import CancelledError
from stemcls.store.journal import Journal
from stemcls.store.layout import FIELD_COLUMNS, FORMAT, UNLABELLED, VERSION

_BLOCK_BYTES = 4 * 2**20
_TEXT = h5py.string_dtype("utf-8")


@dataclass(eq=False)
class Columns:
    """Everything in a store but its images, gathered image by image."""

    labels: list[str | None] = field(default_factory=list)
    groups: list[str | None] = field(default_factory=list)
    field_index: array.array = field(default_factory=lambda: array.array("i"))
    centers_px: list[np.ndarray] = field(default_factory=list)
    radius_px: list[np.ndarray] = field(default_factory=list)
    intensity: list[np.ndarray] = field(default_factory=list)
    table: dict[str, list[Any]] = field(default_factory=dict)
    crop_pixel_um: set[float | None] = field(default_factory=set)
    source_channels: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()

    def add(self, entry: dict[str, Any]) -> None:
        """Append one image's journal entry."""
        row = len(self.table.setdefault("path", []))
        for column in FIELD_COLUMNS:
            self.table.setdefault(column, []).append(entry.get(column))
        self.slices = self.slices or tuple(entry["slices"])
        if not entry["n"]:
            return
        self.labels += entry["labels"]
        self.groups += entry["groups"]
        self.field_index.extend([row] * entry["n"])
        self.centers_px.append(np.array(entry["centers_px"], np.float32))
        self.radius_px.append(np.array(entry["radius_px"], np.float32))
        self.intensity.append(np.array(entry["intensity"], np.float32))
        size_um = entry["crop_pixel_um"]
        self.crop_pixel_um.add(None if size_um is None else round(size_um, 6))
        if len(entry["channels"]) > len(self.source_channels):
            self.source_channels = tuple(entry["channels"])

    def crop_size_um(self) -> float | None:
        """Edge of a crop's pixel, None where unknown or not the same for all."""
        return next(iter(self.crop_pixel_um)) if len(self.crop_pixel_um) == 1 else None

    def classes(self) -> tuple[str, ...]:
        """Names of the classes that have crops, sorted."""
        return tuple(sorted({label for label in self.labels if label is not None}))

    def grouped(self, what: str) -> tuple[np.ndarray, tuple[str, ...] | None, str]:
        """Return group index, names (None: the fields' own) and what a group is."""
        index = np.array(self.field_index, np.int32)
        if not any(self.groups):
            return index, None, "field"
        paths = self.table["path"]
        # A crop without a named group is kept apart by its field.
        filled = [
            name or paths[row] for name, row in zip(self.groups, self.field_index, strict=True)
        ]
        names = tuple(sorted(set(filled)))
        place = {name: number for number, name in enumerate(names)}
        return np.array([place[name] for name in filled], np.int32), names, what


def write_store(
    journal: Journal, columns: Columns, config: dict[str, Any], source: Path, out: Path,
    stopped: Callable[[], bool],
) -> None:
    """Write `out` from a complete journal: metadata by HDF5, then the crops as one block.

    Args:
        journal: Holds the crops; its folder takes the temporary file.
        columns: The columns of the store.
        config: Resolved settings, plain values; `group_what` says what a named group is.
        source: Folder the images came from.
        out: The store; it appears only when complete and on disk.
        stopped: Says whether somebody asked to stop.
    Raises:
        CancelledError: Stopped; the working folder stays.
    """
    if journal.layout is None:
        raise ValueError("the journal holds no crops")
    dtype, *crop = journal.layout
    n_crops = len(columns.labels)
    classes = columns.classes()
    place = {name: number for number, name in enumerate(classes)}
    labels = np.array(
        [UNLABELLED if name is None else place[name] for name in columns.labels], np.int32
    )
    group_index, group_names, what = columns.grouped(config["group_what"])
    digest = hashlib.sha256()
    for block in _blocks(journal.images_path, stopped):
        digest.update(block)
    names = columns.table["path"] if group_names is None else group_names
    for part in (labels, group_index, "\0".join(classes), "\0".join(names)):
        digest.update(part.encode() if isinstance(part, str) else part.tobytes())

    temporary = journal.folder / "store.h5"
    temporary.unlink(missing_ok=True)
    # Version 1.8 of the format, because older object headers hold attributes up to 64 KiB only.
    with _disk_errors(), h5py.File(temporary, "w", libver=("v108", "v108")) as file:
        offset = _reserve(file, (n_crops, *crop), np.dtype(dtype))
        file["label"] = labels
        file["label"].attrs["names"] = _texts(classes)
        file["field"] = np.array(columns.field_index, np.int32)
        file["group"] = group_index
        file["group"].attrs["what"] = what
        if group_names is not None:
            file["group"].attrs["names"] = _texts(group_names)
        file["center_px"] = np.concatenate(columns.centers_px)
        file["radius_px"] = np.concatenate(columns.radius_px)
        file["intensity"] = _padded(columns.intensity)
        file["intensity"].attrs["names"] = _texts(columns.source_channels)
        _write_fields(file.create_group("fields"), columns.table)
        file.attrs.update({
            "format": FORMAT,
            "version": VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "stemcls_version": version("stemcls"),
            "config": dump_json(config),
            "source": os.fsencode(source.resolve()).decode("utf-8", "backslashreplace"),
            "channels": _texts(_channel_names(crop[-1], columns.slices)),
            "slices": _texts(columns.slices),
            "pixel_size_um": columns.crop_size_um() or np.nan,
            "content_hash": digest.hexdigest(),
        })
    with temporary.open("rb+") as target:
        target.seek(offset)
        for block in _blocks(journal.images_path, stopped):
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    temporary.rename(out)
    folder = os.open(out.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _reserve(file: h5py.File, shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Create /images contiguous and unwritten; return the offset of its first byte."""
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_layout(h5py.h5d.CONTIGUOUS)
    how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape)
    dataset = h5py.h5d.create(file.id, b"images", h5py.h5t.py_create(dtype), space, dcpl=how)
    return int(dataset.get_offset())


def _write_fields(group: h5py.Group, table: dict[str, list[Any]]) -> None:
    group["path"] = _texts(table["path"])
    group["sha256"] = _texts(table["sha256"])
    group["shape"] = np.array(table["shape"], np.int32)
    group["pixel_size_um"] = np.array([s or np.nan for s in table["pixel_size_um"]], np.float64)
    group["n_cells"] = np.array(table["n_cells"], np.int32)
    for column in ("brightness", "focus", "saturated", "unevenness"):
        group[column] = np.array(table[column], np.float32)
    for column in ("scale_low", "scale_high"):
        group[column] = _padded([np.array([row], np.float64) for row in table[column]])
    unknown = (np.nan, np.nan)
    group["position_um"] = np.array([p or unknown for p in table["position_um"]], np.float64)
    group["acquired"] = _texts(table["acquired"])
    group["dropped"] = _texts(dump_json(reasons) for reasons in table["dropped"])
    if any(table["metadata"]):
        texts = _texts(dump_json(values or {}) for values in table["metadata"])
        group.create_dataset("metadata", data=texts)


def _padded(parts: list[np.ndarray]) -> np.ndarray:
    """Join (n, k) blocks to (N, K), NaN where a field had fewer channels."""
    shape = (sum(map(len, parts)), max(part.shape[1] for part in parts))
    result = np.full(shape, np.nan, parts[0].dtype)
    at = 0
    for part in parts:
        result[at : at + len(part), : part.shape[1]] = part
        at += len(part)
    return result


def _channel_names(channels: int, slices: tuple[str, ...]) -> tuple[str, ...]:
    if channels == 3:
        return ("red", "green", "blue")
    if len(slices) == channels:
        return slices
    return tuple("grey" if channels == 1 else f"channel {k}" for k in range(channels))


def _texts(values: Any) -> np.ndarray:
    return np.array(list(values), dtype=_TEXT)


def _blocks(path: Path, stopped: Callable[[], bool]) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            if stopped():
                raise CancelledError(
                    "stopped while the store was being written; run the same command again and it "
                    "goes on from there"
                )
            yield block


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
