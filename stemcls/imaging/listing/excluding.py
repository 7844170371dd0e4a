"""Patterns of files and folders that the user leaves out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from stemcls.errors import InputError


def is_excluded(below: str, exclude: Iterable[str]) -> str | None:
    """Return the first pattern that leaves out a path, or None.

    A pattern without a slash is compared with every name on the way, one with a slash with the
    path below the folder and with the folders that it lies in. `*`, `?` and `[...]` are as in a
    shell, except that `*` takes slashes too.
    """
    path = PurePosixPath(unicodedata.normalize("NFC", below))
    upwards = [path.as_posix(), *(parent.as_posix() for parent in path.parents)][:len(path.parts)]
    for pattern in exclude:
        wanted = unicodedata.normalize("NFC", pattern).strip("/").removeprefix("./")
        names = upwards if "/" in wanted else path.parts
        if any(fnmatchcase(name, wanted) for name in names):
            return pattern
    return None


def check_excludes(exclude: Iterable[str], matched: Iterable[str], where: str) -> None:
    """Refuse a pattern that left nothing out.

    Raises:
        InputError: One did.
    """
    for pattern in exclude:
        if pattern not in matched:
            raise InputError(
                f"--exclude {pattern} matches nothing in {where}; it is compared with names, or "
                "with paths below the folder where it has a slash, as in 'HSC/old*'"
            )
