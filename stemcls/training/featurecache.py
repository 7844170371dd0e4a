"""Files of features that runs and folds share: written whole, checked when read, made once."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.training.lock import alone

CHECKSUM_BYTES = 4
BLOCK_BYTES = 16 * 2**20


class _DamagedError(Exception):
    """A file is not what was written."""


class FeatureCache:
    """A folder of features, `<label>/view-<number>.npy`; deleting any of it costs time only.

    Args:
        folder: None keeps everything in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def view(
        self,
        label: str,
        about: dict[str, Any],
        view: int,
        shape: tuple[int, int],
        blocks: Callable[[], Iterator[np.ndarray]],
        wait: Callable[[], None],
        warn: Callable[[str], None],
        dtype: str = "<f4",
    ) -> np.ndarray:
        """Return the features of one view, made by `blocks` unless they are there.

        Args:
            label: Folder that stands for everything they depend on.
            about: The same in words, kept beside them.
            view: Number of the dihedral view.
            shape: (N, F).
            blocks: Yields them in order, (n, F) at a time.
            wait: Called while another process computes the same; may raise.
            warn: Told of a damaged file, or of one that could not be written.
            dtype: What they are kept as: <f4, or <f2 for half the space.
        """
        path = None if self.folder is None else self.folder / label / f"view-{view}.npy"
        if path is None:
            return _filled(shape, blocks, dtype)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            warn(f"features are not kept for later runs: {path.parent}: {error.strerror}")
            return _filled(shape, blocks, dtype)
        with alone(path.with_suffix(".lock"), wait):
            try:
                return _read(path, shape, dtype)
            except FileNotFoundError:
                pass
            except _DamagedError as error:
                warn(f"{path} is damaged ({error}); its features are computed again")
                path.unlink()
            for part in path.parent.glob(f".{path.stem}.*.part*"):
                part.unlink()  # of a process that was killed
            try:
                _write(path, shape, blocks, dtype)
                atomic.write_json(path.with_name("about.json"), about)
                return _read(path, shape, dtype)
            except OSError as error:
                warn(f"features are not kept for later runs: {path}: {error.strerror or error}")
        return _filled(shape, blocks, dtype)


def _filled(
    shape: tuple[int, int], blocks: Callable[[], Iterator[np.ndarray]], dtype: str
) -> np.ndarray:
    features, at = np.empty(shape, dtype), 0
    for block in blocks():
        features[at : at + len(block)] = block
        at += len(block)
    return features


def _write(
    path: Path, shape: tuple[int, int], blocks: Callable[[], Iterator[np.ndarray]], dtype: str
) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    # Written, not mapped: a full disk is then an error and not a signal that kills the process.
    with atomic.replacing(path) as temporary, temporary.open("wb") as file:
        file.write(header.getvalue())
        checksum = zlib.crc32(header.getvalue())
        for block in blocks():
            content = np.ascontiguousarray(block, dtype).tobytes()
            checksum = zlib.crc32(content, checksum)
            file.write(content)
        file.write(checksum.to_bytes(CHECKSUM_BYTES, "big"))


def _read(path: Path, shape: tuple[int, int], dtype: str) -> np.ndarray:
    size = path.stat().st_size - CHECKSUM_BYTES
    with path.open("rb") as file:
        file.seek(max(size, 0))
        kept = int.from_bytes(file.read(CHECKSUM_BYTES), "big")
    if size < 0 or _checksum(path, size) != kept:
        raise _DamagedError("its checksum does not fit")
    try:
        features = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise _DamagedError(str(error)) from error
    if features.shape != shape or features.dtype != np.dtype(dtype):
        raise _DamagedError(f"it holds {features.shape} {features.dtype}, expected {shape} {dtype}")
    return features.view(np.ndarray)


def _checksum(path: Path, size: int) -> int:
    value, left = 0, size
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(BLOCK_BYTES, left))):
            value, left = zlib.crc32(block, value), left - len(block)
    return value
