"""Read and check everything in a crop store but its images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stemcls.errors import InputError
from stemcls.store.layout import DATASETS, FIELD_COLUMNS, FORMAT, VERSION, FieldTable


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
    """Read the small arrays and attributes of an open store, and how its images lie.

    Raises:
        InputError: Not a crop store, a newer version, or something missing or contradictory.
    """
    found = file.attrs.get("format")
    if found != FORMAT:
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
    for key in DATASETS:
        if not isinstance(file.get(key), h5py.Dataset):
            error = InputError(
                f"crop store {path} has no dataset {key!r}: it is incomplete; build it again"
            )
            error.add_note(f"at HDF5 key '/{key}'")
            raise error
    key = "/"
    try:
        columns: dict[str, Any] = {"version": version, **_attributes(file)}
        for key in ("label", "field", "group", "center_px", "radius_px", "intensity"):
            columns[key] = file[key][()]
        key = "label"
        columns["classes"] = _names(file["label"].attrs["names"])
        table: dict[str, Any] = {}
        for column in FIELD_COLUMNS:
            key = f"fields/{column}"
            if key not in file and key not in DATASETS:
                continue
            data = file[key]
            text = h5py.check_string_dtype(data.dtype) is not None
            table[column] = tuple(data.asstr()[()]) if text else data[()]
        columns["fields"] = FieldTable(**table)
        key = "group"
        columns["group_what"] = str(file["group"].attrs["what"])
        names = file["group"].attrs.get("names")
        columns["group_names"] = table["path"] if names is None else _names(names)
        key = "intensity"
        names = file["intensity"].attrs.get("names")
        columns["intensity_channels"] = () if names is None else _names(names)
        key = "images"
        layout = _layout(path, file["images"])
        columns["shape"] = file["images"].shape
        columns["dtype"] = file["images"].dtype
        _check_lengths(path, columns)
    except (KeyError, OSError, ValueError, TypeError) as cause:
        error = InputError(f"crop store {path} is damaged: {cause}; build it again")
        error.add_note(f"at HDF5 key '/{key.lstrip('/')}'")
        raise error from cause
    return columns, layout


def _attributes(file: h5py.File) -> dict[str, Any]:
    size = float(file.attrs.get("pixel_size_um", np.nan))
    return {
        "channels": _names(file.attrs["channels"]),
        "slices": _names(file.attrs.get("slices", ())),
        "pixel_size_um": size if np.isfinite(size) and size > 0 else None,
        "config": json.loads(file.attrs.get("config", "{}")),
        "content_hash": str(file.attrs["content_hash"]),
        "created": str(file.attrs.get("created", "")),
        "source": str(file.attrs.get("source", "")),
    }


def _layout(path: Path, images: h5py.Dataset) -> Layout:
    if images.ndim != 4 or images.dtype.kind != "u" or images.dtype.itemsize > 2:
        raise ValueError(
            f"expected images (N, H, W, C) of uint8 or uint16, found {images.shape} {images.dtype}"
        )
    plain = images.chunks is None and not images.external and not images.is_virtual
    offset = images.id.get_offset() if plain else None
    if offset is not None and offset + images.nbytes > path.stat().st_size:
        error = InputError(
            f"crop store {path} is cut short: its images need {offset + images.nbytes} bytes, the "
            f"file has {path.stat().st_size}; copy or build it again"
        )
        error.add_note("at HDF5 key '/images'")
        raise error
    kind = "contiguous" if offset is not None else "chunked"
    return Layout(kind, offset, images.chunks, images.compression)


def _check_lengths(path: Path, columns: dict[str, Any]) -> None:
    n_crops = columns["shape"][0]
    for key in ("label", "field", "group", "center_px", "radius_px", "intensity"):
        if len(columns[key]) != n_crops:
            error = InputError(
                f"crop store {path} contradicts itself: {n_crops} images but {len(columns[key])} "
                f"rows of {key}; build it again"
            )
            error.add_note(f"at HDF5 key '/{key}'")
            raise error
    for key, most in (
        ("label", len(columns["classes"])), ("field", len(columns["fields"])),
        ("group", len(columns["group_names"])),
    ):
        if n_crops and int(columns[key].max()) >= most:
            error = InputError(
                f"crop store {path} contradicts itself: {key} reaches {columns[key].max()} but "
                f"there are {most} names; build it again"
            )
            error.add_note(f"at HDF5 key '/{key}'")
            raise error


def _names(values: Any) -> tuple[str, ...]:
    return tuple(v.decode("utf-8") if isinstance(v, bytes) else str(v) for v in values)
