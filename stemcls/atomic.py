"""Write files so that a reader sees the old content or the new, never a half."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.errors import InputError
from stemcls.leftovers import sweep, temporary_name
from stemcls.safetext import SafeWriter, without_surrogates

# What file systems without hard links (FAT, some network shares) answer to link().
_NO_HARD_LINKS = (
    errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL,
)

@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes the place of `path`.

    On an exception the temporary file is removed and `path` is left as it was. For files that
    stemcls keeps up to date itself; what a user asked for by name is made by `new_file`.
    """
    with _temporary_file(path) as temporary:
        yield temporary
        _sync(temporary)
        temporary.replace(path)


@contextmanager
def new_file(path: Path, option: str = "--out") -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it gets that name, if that is still free.

    Args:
        path: Its folder is made where there is none.
        option: What names it on the command line.
    Raises:
        InputError: `path` exists, before or by now; it is left as it is.
    """
    check_new(path, option)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    with _temporary_file(path) as temporary:
        yield temporary
        _sync(temporary)
        place_new(temporary, path, option)


@contextmanager
def _temporary_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; it keeps the suffix, by which Keras and matplotlib choose formats."""
    temporary = path.with_name(temporary_name(path.stem, path.suffix))
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def check_new(path: Path, option: str = "--out") -> None:
    """Refuse a file, folder or link that is there already; `option` is what names it.

    Raises:
        InputError: It is.
    """
    if os.path.lexists(path):
        raise _exists(path, option)


def _exists(path: Path, option: str) -> InputError:
    return InputError(f"{path} exists and is not overwritten; choose another {option}")


def place_new(temporary: Path, path: Path, option: str = "--out") -> None:
    """Give a finished file its name, for good, and without replacing anything.

    Args:
        temporary: A complete file on the same file system; its own name goes.
        path: The name; a file or link that has it by now stays as it is.
        option: What names `path`.
    Raises:
        InputError: `path` is taken; `temporary` stays.
    """
    taken = InputError(
        f"{path} was made by another program in the meantime and is not overwritten; choose "
        f"another {option}"
    )
    try:
        os.link(temporary, path, follow_symlinks=False)
    except FileExistsError:
        raise taken from None
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # The name is taken by an empty file of our own first: only that one is replaced.
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            raise taken from None
        try:
            temporary.rename(path)
        except OSError:
            path.unlink()
            raise
    else:
        temporary.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until names made or removed in `folder` are on disk."""
    with contextlib.suppress(OSError):  # some systems cannot
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


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

    Paths inside the temporary folder lead nowhere afterwards; `moved` gives the final ones.

    Raises:
        InputError: It cannot be made, or `folder` exists by now and is not empty.
    """
    target = folder.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
        temporary = target.with_name(temporary_name(target.name))
        temporary.mkdir()
    except OSError as error:
        raise InputError(
            f"{folder} cannot be made: {error.strerror or error}; choose a folder you may write to"
        ) from error
    try:
        yield temporary
        try:
            if target.is_dir():
                target.rmdir()
            temporary.rename(target)
        except OSError as error:
            if os.path.lexists(target):
                raise _exists(folder, "folder") from None
            raise error
        sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; on success it takes the place of an older one."""
    sweep(folder.parent)
    temporary, old = (
        folder.with_name(temporary_name(folder.name)) for _ in range(2)
    )
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if folder.exists():
            folder.rename(old)
        temporary.rename(folder)
    finally:
        for rest in (temporary, old):
            shutil.rmtree(rest, ignore_errors=True)


def moved(document: Any, temporary: Path, folder: Path) -> Any:
    """Return plain values in which every path below `temporary` is one below `folder`."""
    if isinstance(document, dict):
        return {key: moved(value, temporary, folder) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [moved(value, temporary, folder) for value in document]
    if isinstance(document, Path):
        below = document.is_relative_to(temporary)
        return folder / document.relative_to(temporary) if below else document
    if isinstance(document, str) and document.startswith(f"{temporary}{os.sep}"):
        return str(folder) + document.removeprefix(str(temporary))
    return str(folder) if document == str(temporary) else document


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def csv_writer(path: Path) -> Iterator[SafeWriter]:
    """Yield the writer of a table, lines ending in LF, that takes the place of `path`."""
    with replacing(path) as temporary, _opened_csv(temporary) as writer:
        yield writer


@contextmanager
def new_csv(path: Path, option: str = "--out") -> Iterator[SafeWriter]:
    """Yield the writer of a table that gets its name when it is whole; see `new_file`.

    Raises:
        InputError: `path` exists.
    """
    with new_file(path, option) as temporary, _opened_csv(temporary) as writer:
        yield writer


@contextmanager
def _opened_csv(path: Path) -> Iterator[SafeWriter]:
    with path.open("w", newline="", encoding="utf-8") as file:
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
