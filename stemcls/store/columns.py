"""Read and check everything in a crop store but its images."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stemcls.errors import InputError
from stemcls.store.digest import HASH_VERSION, Part, columns_digest, combined_digest
from stemcls.store.layout import DATASETS, FIELD_COLUMNS, FORMAT, OPTIONAL, VERSION, FieldTable

COLUMNS = ("label", "field", "group", "center_px", "radius_px", "intensity")
# Deflate, the filter that squeezes most of what HDF5 brings, takes 1032 bytes to one.
_MOST_SQUEEZED = 1100
_TEXTS = 10_000  # read at once: each is held several times over while HDF5 hands it out
# What HDF5, h5py, NumPy and JSON raise for damaged files.
_UNREADABLE = (
    KeyError, OSError, ValueError, TypeError, RuntimeError, AttributeError, ArithmeticError,
    IndexError, MemoryError, NotImplementedError,
)


class ChangedStoreError(InputError):
    """A store does not hold what it was written with."""


def changed_store(path: Path, what: str) -> ChangedStoreError:
    """Return the error that says `what` of a store is not as it was written."""
    return ChangedStoreError(
        f"crop store {path} was changed after it was built: {what} not what its digest says; get "
        "an unchanged copy, or build it again (stores are never changed in place: label or group "
        "anew with a manifest)"
    )


@dataclass(frozen=True)
class Layout:
    """How the images lie in the file.

    Attributes:
        kind: contiguous (mapped into memory) or chunked (read through HDF5).
        offset: First byte of contiguous images in the file, else None.
        chunks: Shape of a chunk, or None.
        compression: Name of the filter, or None.
    """

    kind: str
    offset: int | None
    chunks: tuple[int, ...] | None
    compression: str | None


@dataclass(frozen=True)
class Digests:
    """The digests that a store carries; see `stemcls.store.digest`.

    Attributes:
        content_hash: Of everything that `version` covers.
        version: What is covered; 0: another program wrote the store, with a digest of its own.
        columns_hash: Of the columns; empty before version 2, as are the others.
        images_hash: Of the images.
        sample_hash: Of a sample of the images.
        parts: Names of what `columns_hash` covers.
    """

    content_hash: str
    version: int
    columns_hash: str
    images_hash: str
    sample_hash: str
    parts: tuple[str, ...]

    @classmethod
    def of(cls, file: h5py.File) -> Digests:
        """Read the attributes of an open store."""
        attrs = file.attrs
        content_hash = str(attrs["content_hash"])
        ours = "stemcls_version" in attrs and re.fullmatch("[0-9a-f]{64}", content_hash)
        version = attrs.get("content_hash_version", 1 if ours else 0)
        columns, images, sample = (
            str(attrs.get(f"{part}_hash", "")) for part in ("columns", "images", "sample")
        )
        return cls(
            content_hash, int(version), columns, images, sample,
            names_of(attrs.get("content_parts", ())),
        )

    def check_columns(self, path: Path, parts: dict[str, Part]) -> None:
        """Compare the columns with their digest, and the digests with one another.

        Raises:
            ChangedStoreError: They differ.
        """
        if self.version != HASH_VERSION:
            return
        covered = {name: parts[name] for name in self.parts if name in parts}
        if columns_digest(covered) != self.columns_hash:
            raise changed_store(
                path, "labels, groups, fields or another of its columns (all but the images) are"
            )
        if combined_digest(self.columns_hash, self.images_hash) != self.content_hash:
            raise changed_store(path, "its digest of the images is")


def explain_unopened(path: Path, error: OSError) -> str:
    """Say why HDF5 could not open the file at `path`, and what to do."""
    with path.open("rb") as file:
        ours = file.read(8) == b"\x89HDF\r\n\x1a\n"
    if ours and "truncated" in str(error):
        return (
            f"crop store {path} is cut short ({path.stat().st_size} bytes): its copy or download "
            "did not finish; copy or build it again"
        )
    if ours:
        return f"crop store {path} is damaged, HDF5 cannot open it ({error}); build it again"
    return (
        f"{path} is not an HDF5 file: expected a crop store; `stemcls build SRC --out STORE` makes "
        "one from images"
    )


def read_columns(path: Path, file: h5py.File) -> tuple[dict[str, Any], Layout]:
    """Read and check the small arrays and attributes of an open store, and how its images lie.

    Raises:
        InputError: Not a crop store, a newer version, something missing or contradictory, data
            that lie in another file, or changed since it was written.
    """
    key = "/"
    try:
        version = _checked_version(path, file)
        parts = dict(read_parts(path, file))
        for key in DATASETS:
            if key not in parts and key != "images":
                raise _missing(path, key)
        columns: dict[str, Any] = {"version": version, **{key: parts[key] for key in COLUMNS}}
        columns["at_border"] = parts.get("at_border")
        columns["fields"] = FieldTable(**{
            column: parts[f"fields/{column}"]  # type: ignore[arg-type]
            for column in FIELD_COLUMNS if f"fields/{column}" in parts
        })
        key = "label"
        columns["classes"] = parts["label@names"]
        key = "group"
        columns["group_what"] = parts["group@what"][0]
        columns["group_names"] = parts.get("group@names", columns["fields"].path)
        columns["intensity_channels"] = parts.get("intensity@names", ())
        key = "/"
        columns.update(_attributes(file, parts))
        key = "images"
        layout = _layout(_dataset(path, file, key))
        columns["shape"] = file["images"].shape
        columns["dtype"] = file["images"].dtype
        key = "/"
        _check_columns(path, columns)
        columns["digests"] = Digests.of(file)
        columns["digests"].check_columns(path, parts)
    except _UNREADABLE as cause:
        error = InputError(f"crop store {path} is damaged: {cause}; build it again")
        error.add_note(f"at HDF5 key '/{key.lstrip('/')}'")
        raise error from cause
    return columns, layout


def read_parts(path: Path, file: h5py.File) -> Iterator[tuple[str, Part]]:
    """Read every column of an open store and what names its values, one after the other.

    Args:
        path: The file, for messages.
        file: The same, open.
    Yields: HDF5 name and array of numbers or tuple of texts; an attribute is called DATASET@NAME.
    Raises:
        InputError: Something is not in this file, or not as large as it says.
    """
    named = names_of(file.attrs.get("content_parts", ()))
    wanted = {name.partition("@")[0] for name in named} | set(DATASETS) - {"images"}
    wanted |= {*OPTIONAL, *(f"fields/{column}" for column in FIELD_COLUMNS)}
    for name in sorted(wanted - {""}):
        if _present(path, file, name):
            dataset = _dataset(path, file, name)
            try:
                yield name, _values(dataset)
                for attribute in ("names", "what"):
                    if attribute in dataset.attrs:
                        yield f"{name}@{attribute}", names_of(dataset.attrs[attribute])
            except _UNREADABLE as cause:
                error = InputError(f"crop store {path} is damaged: {cause}; build it again")
                error.add_note(f"at HDF5 key '/{name}'")
                raise error from cause
    for attribute in ("channels", "slices"):
        if attribute in file.attrs:
            yield f"@{attribute}", names_of(file.attrs[attribute])
    if "pixel_size_um" in file.attrs:
        yield "@pixel_size_um", np.array(float(file.attrs["pixel_size_um"]))


def names_of(values: Any) -> tuple[str, ...]:
    """Return texts as HDF5 attributes hold them, one or several, as a tuple."""
    several = np.atleast_1d(np.asarray(values, dtype=object))
    return tuple(v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in several)


def _values(dataset: h5py.Dataset) -> Part:
    if h5py.check_string_dtype(dataset.dtype) is None:
        if dataset.dtype.kind not in "iuf":
            raise ValueError(f"expected numbers or texts, found {dataset.dtype}")
        return dataset[()]
    same: dict[str, str] = {}  # equal texts are one object
    texts = dataset.asstr()
    if dataset.ndim != 1:
        raise ValueError(f"expected one axis of texts, found {dataset.shape}")
    return tuple(
        same.setdefault(text, text)
        for start in range(0, len(dataset), _TEXTS) for text in texts[start : start + _TEXTS]
    )


def _present(path: Path, file: h5py.File, name: str) -> bool:
    """Say whether there is an object of that name, and refuse one that lies elsewhere."""
    at: Any = file
    for step in name.split("/"):
        link = at.get(step, getlink=True) if isinstance(at, h5py.Group) else None
        if link is None:
            return False
        if not isinstance(link, h5py.HardLink):
            raise _elsewhere(path, name, "a link to another place")
        at = at[step]
    return True


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    """Return a dataset whose values all lie in this file, as many as it declares."""
    if not _present(path, file, name) or not isinstance(file[name], h5py.Dataset):
        raise _missing(path, name)
    dataset = file[name]
    if dataset.is_virtual:
        raise _elsewhere(path, name, "a virtual dataset, whose values lie in other files")
    if dataset.external:
        raise _elsewhere(path, name, "external storage, whose values lie in other files")
    size = path.stat().st_size
    declared = int(dataset.size or 0) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if dataset.chunks is None:
        whole = stored >= declared
    else:
        wanted = math.prod(
            -(-edge // chunk) for edge, chunk in zip(dataset.shape, dataset.chunks, strict=True)
        )
        whole = dataset.id.get_num_chunks() == wanted and declared <= size * _MOST_SQUEEZED
    offset = dataset.id.get_offset() or 0
    if not whole or stored > size or (dataset.chunks is None and offset + stored > size):
        error = InputError(
            f"crop store {path} is cut short or was never completed: its {name} need "
            f"{offset + declared} bytes, {stored} are stored in a file of {size}; copy or build it "
            "again"
        )
        error.add_note(f"at HDF5 key '/{name}'")
        raise error
    return dataset


def _elsewhere(path: Path, name: str, what: str) -> InputError:
    error = InputError(
        f"crop store {path} is not whole by itself: {name} is {what}; expected all data in the one "
        "file: copy them together, for example with `h5copy` or h5py, or build the store again"
    )
    error.add_note(f"at HDF5 key '/{name}'")
    return error


def _missing(path: Path, name: str) -> InputError:
    error = InputError(
        f"crop store {path} has no dataset {name!r}: it is incomplete; build it again"
    )
    error.add_note(f"at HDF5 key '/{name}'")
    return error


def _checked_version(path: Path, file: h5py.File) -> int:
    found = file.attrs.get("format")
    if not isinstance(found, str) or found != FORMAT:
        error = InputError(
            f"{path} is HDF5 but not a crop store: expected the attribute format = {FORMAT!r}, "
            f"found {found!r}; it holds {', '.join(sorted(file)) or 'nothing'}"
        )
        error.add_note("at HDF5 key '/', attribute 'format'")
        raise error
    version = int(file.attrs.get("version", 0))
    if version > VERSION:
        error = InputError(
            f"crop store {path} has version {version}, this stemcls reads up to {VERSION}: "
            "update stemcls, or build the store again with this one"
        )
        error.add_note("at HDF5 key '/', attribute 'version'")
        raise error
    return version


def _attributes(file: h5py.File, parts: dict[str, Part]) -> dict[str, Any]:
    size = float(file.attrs.get("pixel_size_um", np.nan))
    config = json.loads(file.attrs.get("config", "{}"))
    if not isinstance(config, dict):
        raise ValueError("its config is not a JSON object")
    return {
        "channels": parts["@channels"],
        "slices": parts.get("@slices", ()),
        "pixel_size_um": size if np.isfinite(size) and size > 0 else None,
        "config": config,
        "content_hash": str(file.attrs["content_hash"]),
        "created": str(file.attrs.get("created", "")),
        "source": str(file.attrs.get("source", "")),
    }


def _layout(images: h5py.Dataset) -> Layout:
    if images.ndim != 4 or images.dtype.kind != "u" or images.dtype.itemsize > 2:
        raise ValueError(
            f"expected images (N, H, W, C) of uint8 or uint16, found {images.shape} {images.dtype}"
        )
    if not all(images.shape[1:]):
        raise ValueError(f"its images have no pixels: {images.shape}")
    offset = images.id.get_offset() if images.chunks is None else None
    kind = "contiguous" if offset is not None else "chunked"
    return Layout(kind, offset, images.chunks, images.compression)


def _check_columns(path: Path, columns: dict[str, Any]) -> None:
    n_crops, n_fields = columns["shape"][0], len(columns["fields"])

    def refuse(key: str, why: str) -> None:
        error = InputError(f"crop store {path} contradicts itself: {why}; build it again")
        error.add_note(f"at HDF5 key '/{key}'")
        raise error

    for key in COLUMNS:
        if columns[key].shape[:1] != (n_crops,):
            refuse(key, f"{n_crops} images but {len(columns[key])} rows of {key}")
    border = columns["at_border"]
    if border is not None and border.shape != (n_crops,):
        refuse("at_border", f"{n_crops} images but at_border is {border.shape}")
    for key, axes, kinds in (
        ("label", 1, "iu"), ("field", 1, "iu"), ("group", 1, "iu"), ("center_px", 2, "iuf"),
        ("radius_px", 1, "iuf"), ("intensity", 2, "iuf"),
    ):
        if columns[key].ndim != axes or columns[key].dtype.kind not in kinds:
            refuse(key, f"{key} is {columns[key].shape} {columns[key].dtype}")
    for key, least, most in (
        ("label", -1, len(columns["classes"])), ("field", 0, n_fields),
        ("group", 0, len(columns["group_names"])),
    ):
        if n_crops and int(columns[key].max()) >= most:
            refuse(key, f"{key} reaches {columns[key].max()} but there are {most} names")
        if n_crops and int(columns[key].min()) < least:
            refuse(key, f"{key} goes down to {columns[key].min()}")
    for column in FIELD_COLUMNS:
        values = getattr(columns["fields"], column)
        if values is not None and len(values) != n_fields:
            refuse(f"fields/{column}", f"{n_fields} fields but {len(values)} rows of {column}")
