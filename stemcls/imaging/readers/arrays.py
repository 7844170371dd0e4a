"""Read published sets of ready-made crops: NPZ archives and the IDX files of MNIST."""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stemcls.errors import InputError
from stemcls.machine import free_memory_bytes

ARRAY_SUFFIXES = (".npz", ".idx", "-ubyte", ".idx.gz", "-ubyte.gz")
_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IMAGES = ("images", "image", "x", "crops", "data")
_LABELS = ("labels", "label", "y", "targets")
_NAMES = ("names", "classes", "class_names", "label_names")
_PARTS = ("train", "val", "valid", "validation", "test")
_MOST_OF_MEMORY = 0.5
_WAY_OUT = "download it again, or save it by numpy.savez(FILE, images=..., labels=..., names=...)"


def is_crop_arrays(path: Path) -> bool:
    """Tell by its name whether a file holds arrays of crops; labels of IDX files are not crops."""
    name = path.name.lower()
    return name.endswith(ARRAY_SUFFIXES) and not (_is_idx(name) and "labels" in name)


def read_crop_arrays(path: Path) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Read a set of crops.

    An NPZ archive has `images`, and may have `labels` and `names` (of the classes); those of
    MedMNIST, with train_images, val_images and so on, are joined in that order. An IDX file of
    images may be gzipped; its labels lie beside it, under the name that MNIST gives them
    (images-idx3 becomes labels-idx1).

    Args:
        path: The NPZ file, or the IDX file of the images.
    Returns: images (N, H, W) or (N, H, W, C) uint8 or uint16; labels (N,) int32, numbers of
        `names`, or None where there are none; names of the classes.

    Raises:
        InputError: The file is missing, damaged, larger than half of the free memory, or its
            arrays are not of these shapes and types. Nothing pickled is ever loaded.
    """
    path = Path(path)
    with _explained(path):
        if path.name.lower().endswith(".npz"):
            images, labels, names = _npz(path)
        else:
            images, labels, names = _idx(path), _idx_labels(path), ()
    images = _checked_images(path, images)
    if labels is None:
        return images, None, ()
    numbers, names = _checked_labels(path, labels, names, len(images))
    return images, numbers, names


def _npz(path: Path) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    _check_size(path, size)
    with np.load(path, allow_pickle=False) as file:
        keys = {key.lower(): key for key in file.files}
        parts = [part for part in _PARTS if f"{part}_images" in keys]
        if parts:
            images = np.concatenate([file[keys[f"{part}_images"]] for part in parts])
            given = [part for part in parts if f"{part}_labels" in keys]
            if given and given != parts:
                raise ValueError(f"it has labels of {', '.join(given)} only")
            labels = [file[keys[f"{part}_labels"]] for part in given]
            return images, np.concatenate(labels) if labels else None, ()
        found = [next((keys[one] for one in names if one in keys), None)
                 for names in (_IMAGES, _LABELS, _NAMES)]  # fmt: skip
        if found[0] is None:
            raise ValueError(f"it holds {', '.join(file.files) or 'nothing'}, expected `images`")
        label_names = tuple(map(str, file[found[2]].ravel())) if found[2] else ()
        return file[found[0]], file[found[1]] if found[1] else None, label_names


def _idx(path: Path) -> np.ndarray:
    """Read one IDX file.

    Source: Y. LeCun, the MNIST database: two zeros, type, number of axes, lengths, values.
    """
    with _plain(path) as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or not head[3]:
            raise ValueError("it does not begin as an IDX file does")
        lengths = np.frombuffer(file.read(4 * head[3]), ">u4")
        if len(lengths) < head[3]:
            raise ValueError("it ends in its header")
        shape = tuple(map(int, lengths))
        dtype = np.dtype(_IDX_TYPES[head[2]])
        needed = math.prod(shape) * dtype.itemsize
        _check_size(path, needed)
        content = file.read(needed + 1)
    if len(content) != needed:
        more = "more" if len(content) > needed else "fewer"
        raise ValueError(f"it says {shape} values and holds {more}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _idx_labels(path: Path) -> np.ndarray | None:
    name = path.name.replace("images", "labels").replace("Images", "Labels")
    name = name.replace("idx3", "idx1").replace("idx4", "idx1")
    if name == path.name:
        return None
    bare = name.removesuffix(".gz")
    beside = [path.with_name(one) for one in (name, bare, f"{bare}.gz")]
    found = next((one for one in beside if one.exists()), None)
    if found is None:
        return None
    with _explained(found):
        return _idx(found)


def _is_idx(name: str) -> bool:
    return name.endswith(ARRAY_SUFFIXES[1:])


@contextmanager
def _plain(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not packed:
            yield raw
            return
        with gzip.open(raw) as file:
            yield file  # type: ignore[misc]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error, MemoryError) as error:
        raise InputError(f"{path} holds no arrays of crops: {error}; {_WAY_OUT}") from error


def _check_size(path: Path, needed: int) -> None:
    free = free_memory_bytes()
    if needed > _MOST_OF_MEMORY * free:
        raise InputError(
            f"{path} says that it takes {needed / 2**30:.1f} GiB once read, more than half of the "
            f"{free / 2**30:.1f} GiB of memory that are free; split it"
        )


def _checked_images(path: Path, images: np.ndarray) -> np.ndarray:
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] not in (1, 3):
        images = np.moveaxis(images, 1, 3)  # channels first, as PyTorch has them
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise InputError(
            f"{path}: its images have the shape {images.shape}, expected (N, height, width) or "
            "(N, height, width, channels)"
        )
    if images.dtype == bool:
        return images.astype(np.uint8) * np.uint8(255)
    if images.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{path}: its images are {images.dtype}, expected uint8 or uint16; convert them, so "
            "that what is black and white is no guess"
        )
    return np.ascontiguousarray(images)


def _checked_labels(
    path: Path, labels: np.ndarray, names: tuple[str, ...], count: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise InputError(f"{path}: {count} images, labels of the shape {labels.shape}")
    if labels.dtype.kind in "US":
        texts = labels.astype(str)
        found = names or tuple(sorted(set(texts.tolist())))
        unknown = set(texts.tolist()) - set(found)
        if unknown:
            raise InputError(f"{path}: label {min(unknown)!r} is none of {', '.join(found)}")
        return np.array([found.index(one) for one in texts.tolist()], np.int32), found
    if labels.dtype.kind not in "iub" or labels.min() < 0:
        raise InputError(
            f"{path}: labels are {labels.dtype} from {labels.min()}, expected words, or whole "
            "numbers from 0"
        )
    most = int(labels.max())
    if names and most >= len(names):
        raise InputError(f"{path}: label {most} has no name, there are {len(names)}")
    return labels.astype(np.int32), names or tuple(map(str, range(most + 1)))
