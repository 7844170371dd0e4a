"""Digests of what a crop store holds: all of it, its columns, and a sample of its images.

Version 2 covers the images and every column: `content_hash` is the SHA-256 of the two digests
`columns_hash` and `images_hash`, so that a change of the columns shows at every open, without
reading the images. `sample_hash` is over blocks spread over the images. Version 1, of older
stores, covers images, labels, groups and their names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

HASH_VERSION = 2
BLOCK_BYTES = 4 * 2**20
_SAMPLES = 16
_TEXTS = 10_000
_SAMPLE_BYTES = 4096

Part = np.ndarray | tuple[str, ...]


def combined_digest(columns_hash: str, images_hash: str) -> str:
    """Return the digest of the whole content."""
    return hashlib.sha256(f"{columns_hash}\n{images_hash}\n".encode()).hexdigest()


def columns_digest(parts: Mapping[str, Part]) -> str:
    """Return the digest of named arrays and texts; it does not depend on how they are stored."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        part = parts[name]
        if isinstance(part, tuple):
            digest.update(f"{name}\0text\0{len(part)}\0".encode())
            for start in range(0, len(part), _TEXTS):
                texts = "\0".join(part[start : start + _TEXTS])
                digest.update(("\0" * (start > 0) + texts).encode("utf-8", "surrogatepass"))
        else:
            wide = part.astype("<f8" if part.dtype.kind == "f" else "<i8")
            if wide.dtype.kind == "f":
                wide[np.isnan(wide)] = np.nan  # one bit pattern for all
            digest.update(f"{name}\0{wide.dtype.kind}\0{wide.shape}\0".encode())
            digest.update(np.ascontiguousarray(wide).data)
    return digest.hexdigest()


def first_version_digest(
    blocks: Iterator[bytes], labels: np.ndarray, groups: np.ndarray, classes: Part, names: Part
) -> str:
    """Return the digest as stores without `content_hash_version` carry it."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    for part in (labels, groups):
        digest.update(np.ascontiguousarray(part, np.int32).data)
    for texts in (classes, names):
        digest.update("\0".join(texts).encode())
    return digest.hexdigest()


def blocks_of(
    path: Path, offset: int = 0, n_bytes: int | None = None,
    check: Callable[[], None] | None = None,
) -> Iterator[bytes]:
    """Yield a file's bytes from `offset` on, `n_bytes` at most; `check` is called between blocks.

    Raises:
        EOFError: The file ends before `n_bytes`.
    """
    with path.open("rb") as file:
        file.seek(offset)
        left = n_bytes
        while left is None or left > 0:
            if check is not None:
                check()
            block = file.read(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left))
            if not block:
                if left:
                    raise EOFError(f"{path} ends {left} bytes early")
                return
            if left is not None:
                left -= len(block)
            yield block


def sample_digest(path: Path, offset: int, n_bytes: int) -> str:
    """Return the digest of 16 blocks of 4 KiB, first and last among them, of bytes in a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        last = max(n_bytes - _SAMPLE_BYTES, 0)
        starts = sorted({last * number // (_SAMPLES - 1) for number in range(_SAMPLES)})
        for start in starts:
            file.seek(offset + start)
            digest.update(file.read(min(_SAMPLE_BYTES, n_bytes - start)))
    return digest.hexdigest()
