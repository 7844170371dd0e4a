"""Read the end of a text file without reading all of it."""

from __future__ import annotations

from pathlib import Path

_TAIL_BYTES = 64 * 1024


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last `count` lines of `path` that are not blank; none where it does not exist.

    Only the last 64 KiB are looked at; control characters that could reach the terminal are
    dropped.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    lines = text.splitlines()
    if size > _TAIL_BYTES:
        lines = lines[1:]
    shown = ("".join(c for c in line.expandtabs(4) if c.isprintable()) for line in lines)
    return [line.rstrip() for line in shown if line.strip()][-count:]
