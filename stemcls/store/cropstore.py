"""Read a crop store: small columns in memory, images mapped from the file without a handle."""

from __future__ import annotations

import math
import mmap
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from stemcls.display.colours import levels_of
from stemcls.errors import InputError
from stemcls.paths import check_ordinary
from stemcls.safetext import safe_text
from stemcls.store.columns import (
    Digests,
    Layout,
    changed_store,
    explain_unopened,
    read_columns,
)
from stemcls.store.digest import sample_digest
from stemcls.store.layout import FieldTable

_BLOCK_BYTES = 16 * 2**20
_SEEN = 256
# Pages of a map count as this process's memory until they are handed back.
RESIDENT_BYTES = 2**30


def _safe(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names that are safe to show; those of stores that others wrote may not be."""
    return tuple(map(safe_text, names))


class ChunkedImages:
    """Images of a chunked or compressed store: opened for every read, so no handle is held."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype, per_chunk: int) -> None:
        self.path = path
        self.shape = shape
        self.dtype = dtype
        crop_bytes = int(np.prod(shape[1:])) * dtype.itemsize
        chunks = max(1, _BLOCK_BYTES // max(crop_bytes * per_chunk, 1))
        self._block = per_chunk * chunks
        self._per_chunk = per_chunk

    @property
    def ndim(self) -> int:
        """Number of axes, always 4."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        wanted = np.arange(len(self))[rows]
        flat = np.atleast_1d(wanted).ravel()
        result = np.empty((len(flat), *self.shape[1:]), self.dtype)
        order = np.argsort(flat, kind="stable")
        chunk_of = flat[order] // self._per_chunk
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                self._fill(result, file["images"], flat, order, chunk_of)
        except (OSError, RuntimeError, KeyError) as error:
            raise InputError(
                f"images of crop store {self.path} cannot be read ({error}); copy or build it again"
            ) from error
        return result.reshape(*np.shape(wanted), *self.shape[1:])

    def _fill(
        self, result: np.ndarray, images: h5py.Dataset, flat: np.ndarray, order: np.ndarray,
        chunk_of: np.ndarray,
    ) -> None:
        at = 0
        while at < len(order):
            # Neighbouring chunks are read in one go, each chunk exactly once.
            end = at + 1
            start = int(chunk_of[at]) * self._per_chunk
            while (
                end < len(order)
                and chunk_of[end] - chunk_of[end - 1] <= 1
                and (int(chunk_of[end]) + 1) * self._per_chunk - start <= self._block
            ):
                end += 1
            stop = min((int(chunk_of[end - 1]) + 1) * self._per_chunk, len(self))
            block = images[start:stop]
            result[order[at:end]] = block[flat[order[at:end]] - start]
            at = end


class CropStore:
    """A finished crop store; open it with `CropStore.open(path)`.

    Attributes:
        path: The HDF5 file.
        labels: (N,) int32 index into `classes`, -1 where unlabelled.
        classes: Names of the classes.
        field_index: (N,) int32 row of `fields`.
        fields: The table of fields.
        group_index: (N,) int32 index into `group_names`.
        group_names: Names of donors, lines, mice or experiments; the fields' where none were named.
        group_what: What a group is, in words.
        centers_px: (N, 2) float32 y and x in pixels of the field.
        radius_px: (N,) float32 in pixels of the field, NaN where unknown.
        at_border: (N,) bool, the crop reaches over the field's edge; None in older stores.
        intensity: (N, K) float32 raw mean of each source channel inside the cell.
        intensity_channels: K names.
        channels: Names of the crops' channels.
        slices: Names of the source slices they show, in order; empty where unknown.
        pixel_size_um: Edge of a crop's pixel in micrometres, None where unknown or not uniform.
        config: The resolved settings it was built with.
        source: Folder its fields came from; empty where unknown.
        content_hash: Digest of images and columns.
        digests: The digests it carries.
        verified_hash: Digest of what was read when it was verified; else that it carries.
        version: Version of the layout.
        layout: How the images lie in the file.
    """

    def __init__(self, path: Path, columns: dict[str, Any], layout: Layout) -> None:
        self.path = path
        self.layout = layout
        self._shape: tuple[int, ...] = columns.pop("shape")
        self._dtype: np.dtype = columns.pop("dtype")
        self._mapped: tuple[int, int] | None = None
        self._touched = 0
        self.labels: np.ndarray = columns["label"]
        self.classes: tuple[str, ...] = _safe(columns["classes"])
        self.field_index: np.ndarray = columns["field"]
        fields: FieldTable = columns["fields"]
        self.fields = replace(fields, path=_safe(fields.path))
        self.group_index: np.ndarray = columns["group"]
        self.group_names: tuple[str, ...] = _safe(columns["group_names"])
        self.group_what: str = safe_text(columns["group_what"])
        self.centers_px: np.ndarray = columns["center_px"]
        self.radius_px: np.ndarray = columns["radius_px"]
        border = columns["at_border"]
        self.at_border: np.ndarray | None = None if border is None else border.astype(bool)
        self.intensity: np.ndarray = columns["intensity"]
        self.intensity_channels: tuple[str, ...] = _safe(columns["intensity_channels"])
        self.channels: tuple[str, ...] = _safe(columns["channels"])
        self.slices: tuple[str, ...] = _safe(columns["slices"])
        self.pixel_size_um: float | None = columns["pixel_size_um"]
        self.config: dict[str, Any] = columns["config"]
        self.content_hash: str = columns["content_hash"]
        self.verified_hash: str = columns["content_hash"]
        self.digests: Digests = columns["digests"]
        self.version: int = columns["version"]
        self.created: str = columns["created"]
        self.source: str = columns["source"]

    @classmethod
    def open(cls, path: Path | str) -> CropStore:
        """Read everything but the images, and close the file again.

        The columns and a sample of the images are compared with their digests.

        Raises:
            InputError: No such file, not HDF5, not a crop store, a newer version, cut short,
                changed, or something missing; its notes name the HDF5 key.
        """
        path = Path(path)
        if check_ordinary(path, "crop store") is None:
            raise InputError(f"no crop store at {path}; `stemcls build SRC --out {path}` makes one")
        if path.is_dir():
            raise InputError(f"{path} is a folder: expected a crop store, a .h5 file")
        try:
            file = h5py.File(path, "r", locking=False)
        except PermissionError as error:
            raise InputError(f"crop store {path} may not be read: permission denied") from error
        except OSError as error:
            raise InputError(explain_unopened(path, error)) from error
        with file:
            columns, layout = read_columns(path, file)
        store = cls(path, columns, layout)
        sample = store.digests.sample_hash
        offset = layout.offset
        if sample and offset is not None and sample_digest(path, offset, store.n_bytes) != sample:
            raise changed_store(path, "the images are")
        return store

    def __len__(self) -> int:
        return self._shape[0]

    def __repr__(self) -> str:
        return f"CropStore({str(self.path)!r}, {len(self)} crops, {len(self.classes)} classes)"

    def __reduce__(self) -> tuple[Any, ...]:
        return (CropStore.open, (self.path,))

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, C)."""
        return self._shape

    @property
    def dtype(self) -> np.dtype:
        """uint8 or uint16."""
        return self._dtype

    @property
    def n_bytes(self) -> int:
        """Bytes of all images in memory."""
        return math.prod(self._shape) * self._dtype.itemsize

    @property
    def has_groups(self) -> bool:
        """Whether groups were named; otherwise each field is a group of its own."""
        return self.group_names != self.fields.path

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of a crop, pixels."""
        return self._shape[1], self._shape[2]

    @property
    def n_channels(self) -> int:
        """Channels of a crop."""
        return self._shape[3]

    @cached_property
    def images(self) -> np.memmap | ChunkedImages:
        """(N, H, W, C), read-only: a memory map, or a reader of blocks for chunked stores."""
        if self.layout.offset is None:
            per_chunk = self.layout.chunks[0] if self.layout.chunks else 1
            return ChunkedImages(self.path, self._shape, self._dtype, per_chunk)
        stat = self.path.stat()
        if stat.st_size < self.layout.offset + self.n_bytes:
            raise self.cut_short()
        self._mapped = stat.st_dev, stat.st_ino
        return np.memmap(
            self.path, dtype=self._dtype, mode="r", offset=self.layout.offset, shape=self._shape
        )

    @cached_property
    def _pixels(self) -> np.ndarray | ChunkedImages:
        images = self.images
        return images.view(np.ndarray) if isinstance(images, np.memmap) else images

    @cached_property
    def levels(self) -> tuple[float, float]:
        """Pixel values that pictures show black and white: of 256 crops all over the store."""
        if self._dtype == np.uint8 or not len(self):
            return 0.0, 255.0
        return levels_of(self.read(np.unique(np.linspace(0, len(self) - 1, _SEEN).astype(int))))

    def cut_short(self) -> InputError:
        """Return the error that says that the file ended since the store was opened."""
        return InputError(
            f"crop store {self.path} became shorter while it was being read: its images need "
            f"{(self.layout.offset or 0) + self.n_bytes} bytes; copy or build it again, and keep "
            "other programs from writing to it"
        )

    def _check_length(self) -> None:
        # Pages of a map beyond the end of its file end the process with SIGBUS.
        if self._mapped is None:
            return
        try:
            stat = self.path.stat()
        except OSError:
            return  # its name is gone; the mapped file is not
        short = stat.st_size < (self.layout.offset or 0) + self.n_bytes
        if short and (stat.st_dev, stat.st_ino) == self._mapped:
            raise self.cut_short()

    def read(self, rows: Any) -> np.ndarray:
        """Copy crops into memory.

        Args:
            rows: Row numbers in any order, repeats allowed, or a slice or mask.
        Returns: (n, H, W, C) in the store's dtype.
        Raises:
            InputError: The file was cut short since, or its chunks cannot be read.
        """
        pixels = self._pixels
        self._check_length()
        if isinstance(rows, slice):
            found = np.array(pixels[rows])
        else:
            rows = np.asarray(rows)
            found = pixels[rows if rows.dtype == bool else rows.astype(np.int64, copy=False)]
        self._let_go(found.nbytes)
        return found

    def _let_go(self, n_bytes: int) -> None:
        """Hand mapped pages back to the system now and then; its cache of the file keeps them."""
        self._touched += n_bytes
        if self._touched > RESIDENT_BYTES and self._mapped is not None:
            self._touched = 0
            self.images._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[union-attr]
