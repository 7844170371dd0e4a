"""Look at the paths that somebody typed, before a model is put to work on them; no Textual."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from stemcls.errors import InputError

BETWEEN = ";"
_MOST_FILES = 20_000
_SHOWN_KINDS = 4


def parse_paths(text: str, workspace: Path) -> list[Path]:
    """Return the paths in a text, with semicolons between; relative ones are below the workspace.

    Raises:
        InputError: There is none, or one does not exist.
    """
    names = [name.strip() for name in text.split(BETWEEN) if name.strip()]
    if not names:
        raise InputError("input: name a folder, or files with ; between")
    found = []
    for name in names:
        path = workspace / Path(name).expanduser()
        if not path.exists():
            below = "" if path == Path(name) else f" (looked for at {path})"
            raise InputError(f"input: {name} does not exist{below}")
        found.append(path)
    return found


def describe_paths(paths: list[Path]) -> str:
    """Return how many files there are below these paths, and of which kinds.

    Raises:
        InputError: There is none.
    """
    kinds: Counter[str] = Counter()
    for path in paths:
        if path.is_file():
            kinds[path.suffix.lower()] += 1
            continue
        for _, folders, names in os.walk(path):
            folders[:] = [name for name in folders if not name.startswith(".")]
            kinds.update(
                Path(name).suffix.lower() for name in names if not name.startswith(".")
            )
            if kinds.total() > _MOST_FILES:
                break
    if not kinds:
        raise InputError(f"input: {paths[0]} holds no files")
    shown = ", ".join(
        f"{count} {suffix or 'without a suffix'}"
        for suffix, count in kinds.most_common(_SHOWN_KINDS)
    )
    more = " and other kinds" if len(kinds) > _SHOWN_KINDS else ""
    least = "more than " if kinds.total() > _MOST_FILES else ""
    return f"{least}{kinds.total()} files: {shown}{more}"
