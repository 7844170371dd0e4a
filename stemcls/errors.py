"""Errors that a user can act on: shown without a traceback, each with its exit code."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class StemclsError(Exception):
    """Something went wrong, and the message says what was expected, found, where, what next."""

    exit_code = 1


class InputError(StemclsError):
    """The files, values or options given cannot be used."""

    exit_code = 2


class SkippedError(StemclsError):
    """Some inputs were skipped and `--strict` was asked for."""

    exit_code = 3


class CancelledError(StemclsError):
    """A job was asked to stop and did so cleanly; what it had is kept."""

    exit_code = 130


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest of `names`, or `; one of: ...`."""
    known = sorted(map(str, names))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; one of: {', '.join(known)}"


def check_known(name: str, names: Collection[str], problem: str) -> None:
    """Refuse a name that is not one of `names`.

    Args:
        problem: The message's beginning; the nearest name is added to it.
    Raises:
        InputError: It is none of them.
    """
    if name not in names:
        raise InputError(problem + nearest(name, names))


@contextmanager
def explained_disk_errors(path: Path, kept: str) -> Iterator[None]:
    """Turn a full disk or quota into a StemclsError that says what was kept.

    Args:
        path: The file or folder being written.
        kept: What the user still has and how to go on, as a sentence.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StemclsError(f"no space left while writing {path}: {kept}") from error
        raise
