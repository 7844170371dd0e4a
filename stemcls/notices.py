"""What a command wants its user to know although it goes on: one record for every warning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Notice:
    """One warning.

    Attributes:
        kind: Short fixed name, as in "mixed-bit-depth"; the same for every case of a kind.
        message: Sentences for the user: what was found, what it means, what to type.
        paths: The files it is about; empty where it is about all of them.
    """

    kind: str
    message: str
    paths: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return what `--json` prints of it."""
        return {"kind": self.kind, "message": self.message, "paths": list(self.paths)}


def gathered(notices: Iterable[Notice]) -> list[Notice]:
    """Join notices that say the same to one with all their paths, in order of appearance."""
    paths: dict[tuple[str, str], dict[str, None]] = {}
    for notice in notices:
        paths.setdefault((notice.kind, notice.message), {}).update(dict.fromkeys(notice.paths))
    return [Notice(kind, message, tuple(found)) for (kind, message), found in paths.items()]


def worded(notice: Notice, total: int | None = None, most: int = 3) -> str:
    """Return a notice as one line for a person, with the first few of its paths.

    Args:
        notice: The notice.
        total: Number of files in all, to be named beside how many it is about.
        most: Paths named at most.
    """
    if not notice.paths:
        return notice.message
    shown = ", ".join(notice.paths[:most]) + (", ..." if len(notice.paths) > most else "")
    of = f" of {total}" if total else ""
    files = "file" if (total or len(notice.paths)) == 1 else "files"
    return f"{notice.message} ({len(notice.paths)}{of} {files}: {shown})"
