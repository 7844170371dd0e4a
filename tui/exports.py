"""Write tables that are on the screen as CSV into the workspace's exports/; nothing is replaced."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from stemcls import atomic
from stemcls.safetext import SafeWriter
from tui.records import new_path

EXPORTS = "exports"


def write_export(
    workspace: Path, name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> Path:
    """Write one table; return the new file.

    Args:
        workspace: Its exports/ takes the file.
        name: What the table is, part of the file's name.
        columns, rows: Of the table.
    Raises:
        OSError: The folder cannot be written.
    """
    folder = workspace / EXPORTS
    folder.mkdir(parents=True, exist_ok=True)
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "table"
    path = new_path(folder, safe, ".csv")
    with atomic.new_file(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = SafeWriter(file, lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows(rows)
    return path
