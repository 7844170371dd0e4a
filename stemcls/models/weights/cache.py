"""The offline cache of ImageNet weights, and whether files in it and in Keras' cache are whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.cachefolder import cache_folder
from stemcls.errors import InputError
from stemcls.models.backbones import BACKBONES
from stemcls.models.weights.published import PUBLISHED, how_to_get


@dataclass(frozen=True)
class WeightsState:
    """One row of `stemcls weights list`.

    Attributes:
        backbone: Its name.
        alpha: Width multiplier, 1 where the backbone takes none.
        state: absent; ok (the checksum is right); unchecked (it opens, but no checksum is known);
            corrupt.
        file: The file found, or the name of the one that is wanted.
        path: Where it is; None where it is absent.
        cache: offline or keras; None where it is absent.
        bytes: Its size; None where it is absent.
        checksum: What was computed, as algorithm:digits; None where it is absent.
        url: Where the published file is.
        how: What to do next.
    """

    backbone: str
    alpha: float
    state: str
    file: str
    path: Path | None
    cache: str | None
    bytes: int | None
    checksum: str | None
    url: str
    how: str


def offline_cache() -> Path:
    """Return $STEMCLS_CACHE/weights, else stemcls/weights in the user's cache folder."""
    return cache_folder() / "weights"


def keras_cache() -> Path:
    """Return where Keras keeps the weights that it downloads."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def cached_file(name: str, alpha: float) -> Path | None:
    """Return the file of the offline cache for a backbone, if there is one.

    Raises:
        InputError: It is not what was imported any more.
    """
    record = _record(name, alpha)
    if record is None:
        return None
    path = _folder(name, alpha) / record["file"]
    if not path.is_file() or _digest(path, "sha256") != record["sha256"]:
        raise InputError(
            f"the weights of {name} in the offline cache are not what was imported: {path} is "
            "missing, cut off or changed; import them again: stemcls weights import FILE "
            f"--backbone {name} --replace"
        )
    return path


def keep(source: Path, name: str, alpha: float, replace: bool = False) -> dict[str, Any]:
    """Copy a weights file that fits into the offline cache, whole or not at all.

    Returns: Its record: file, bytes, sha256, source, backbone, alpha, and `published`, whether
        its checksum is the one of the published file (None where none is known).
    Raises:
        InputError: Other weights are there already, and `replace` is not set.
    """
    folder = _folder(name, alpha)
    suffix = ".weights.h5" if source.name.endswith(".weights.h5") else source.suffix
    sha256 = _digest(source, "sha256")
    old = _record(name, alpha)
    if old is not None and old["sha256"] != sha256 and not replace:
        raise InputError(
            f"the offline cache has other weights of {name} already ({folder / old['file']}, "
            f"from {old['source']}); to put {source} in their place add --replace"
        )
    folder.mkdir(parents=True, exist_ok=True)
    # The content names the file, so that a job that reads the old one is not disturbed.
    file = f"{sha256[:12]}{suffix}"
    with atomic.replacing(folder / file) as temporary:
        shutil.copyfile(source, temporary)
        if _digest(temporary, "sha256") != sha256:
            raise InputError(f"{source} changed while it was copied; import it again")
    known = PUBLISHED.get((name, alpha))
    record = {
        "backbone": name,
        "alpha": alpha,
        "file": file,
        "source": source.name,
        "bytes": source.stat().st_size,
        "sha256": sha256,
        "published": _matches(source, known.checksum) if known and known.checksum else None,
    }
    atomic.write_json(folder / "record.json", record)
    if old is not None and old["file"] != file:
        (folder / old["file"]).unlink(missing_ok=True)
    return {**record, "path": folder / file}


def weights_states(only: str | None = None) -> Iterator[WeightsState]:
    """Yield the state of the ImageNet weights of every backbone and width, or of one backbone."""
    for (name, alpha), source in PUBLISHED.items():
        if only in (None, name):
            yield _offline(name, alpha) or _of_keras(name, alpha) or WeightsState(
                name, alpha, "absent", source.file, None, None, None, None, source.url,
                how_to_get(name, alpha),
            )


def is_hdf5(path: Path) -> bool:
    """Tell whether a file is HDF5 and whole enough to be opened."""
    import h5py

    if not h5py.is_hdf5(path):
        return False
    try:
        with h5py.File(path):
            return True
    except OSError:
        return False


def _offline(name: str, alpha: float) -> WeightsState | None:
    record = _record(name, alpha)
    if record is None:
        return None
    path = _folder(name, alpha) / record["file"]
    there = path.is_file()
    found = _digest(path, "sha256") if there else None
    whole = found == record["sha256"]
    again = f"import it again: stemcls weights import FILE --backbone {name} --replace"
    return WeightsState(
        name, alpha, "ok" if whole else "corrupt", path.name, path, "offline",
        path.stat().st_size if there else None, f"sha256:{found}" if found else None,
        PUBLISHED[name, alpha].url,
        f"imported from {record['source']}" if whole else again,
    )


def _of_keras(name: str, alpha: float) -> WeightsState | None:
    source = PUBLISHED[name, alpha]
    path = keras_cache() / source.file
    if not source.by_keras or not path.is_file():
        return None
    algorithm = _algorithm(source.checksum)
    found = _digest(path, algorithm)
    if source.checksum:
        state, how = "ok", "its checksum is the published one"
        if found != source.checksum:
            state, how = "corrupt", f"delete {path}; Keras will download it again"
    elif is_hdf5(path):
        state, how = "unchecked", "it opens as HDF5; Keras knows no checksum of it"
    else:
        state, how = "corrupt", f"it is cut off or no HDF5; delete {path}"
    return WeightsState(
        name, alpha, state, path.name, path, "keras", path.stat().st_size, f"{algorithm}:{found}",
        source.url, how,
    )


def _folder(name: str, alpha: float) -> Path:
    return offline_cache() / (f"{name}-{alpha:g}" if BACKBONES[name].alphas else name)


def _record(name: str, alpha: float) -> dict[str, Any] | None:
    path = _folder(name, alpha) / "record.json"
    if not path.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not {"file", "sha256", "source"} <= set(record):
            raise ValueError("file, sha256 or source is missing")
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is damaged ({error}); delete the folder {path.parent} and import again"
        ) from error
    return record


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _matches(path: Path, checksum: str) -> bool:
    return _digest(path, _algorithm(checksum)) == checksum


def _algorithm(checksum: str) -> str:
    return "md5" if len(checksum) == 32 else "sha256"
