"""Write files so that a reader sees the old content or the new, never a half."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.safetext import SafeWriter, without_surrogates


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`.

    The temporary name keeps the suffix, because Keras and matplotlib choose formats by it.
    On an exception the temporary file is removed and `path` is left as it was.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_new(path: Path, option: str = "--out") -> None:
    """Refuse a file or folder that is there already; `option` is what names it.

    Raises:
        InputError: It is.
    """
    if path.exists():
        raise InputError(f"{path} exists and is not overwritten; choose another {option}")


def check_free(folder: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        InputError: It does, or it is a file.
    """
    if folder.is_dir():
        if any(folder.iterdir()):
            raise InputError(
                f"{folder} exists and is not empty; choose another folder, or remove it"
            )
    elif folder.exists():
        raise InputError(f"{folder} exists and is a file, expected a new folder; choose another "
                         "name")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; on success it takes its place.

    Raises:
        InputError: It cannot be made.
    """
    target = folder.resolve()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be made: {error.strerror or error}; choose a folder you may write to"
        ) from error
    try:
        yield temporary
        if target.is_dir():
            target.rmdir()
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def csv_writer(path: Path) -> Iterator[SafeWriter]:
    """Yield the writer of a table, lines ending in LF, that takes the place of `path`."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        yield SafeWriter(file)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, document: Any) -> None:
    """Write `document` to `path` atomically as indented JSON."""
    write_text(path, dump_json(document, indent=2) + "\n")


def dump_json(document: Any, indent: int | None = None, only_ascii: bool = False) -> str:
    """Return strict JSON: numpy and paths converted, non-finite numbers as null.

    Bytes of file names that are no UTF-8 become text, as `without_surrogates` says.

    Args:
        document: Plain values, arrays and paths.
        indent: Spaces per level; None: one line.
        only_ascii: Write all other characters as escapes.
    """
    return json.dumps(_plain(document), indent=indent, ensure_ascii=only_ascii, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else without_surrogates(value)
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, Path):
        return _plain(str(value))
    return value
