"""Processes that the UI started: a record of each, for the next UI to find, and a log beside it."""

from __future__ import annotations

import json
import secrets
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from stemcls import atomic
from tui.processes import is_running
from tui.tail import last_lines

Kept = TypeVar("Kept", bound="Started")


@dataclass(frozen=True, kw_only=True)
class Started:
    """A process that was started.

    Attributes:
        record: The JSON file that remembers it.
        pid, host: It.
        started: Seconds since the epoch.
        born: Its birth as `stemcls.runs.birth_of` tells it, which no clock changes; None: unknown.
    """

    record: str
    pid: int
    host: str
    started: float
    born: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as this host can tell."""
        return is_running(self.pid, self.host, self.started, self.born)

    @property
    def log(self) -> Path:
        """Where its stdout and stderr go."""
        return Path(self.record).with_suffix(".log")

    @property
    def here(self) -> bool:
        """Whether it belongs to this host."""
        return self.host == socket.gethostname()

    def last_words(self, lines: int = 6) -> str:
        """Return the end of what it wrote."""
        return "\n".join(last_lines(self.log, lines)) or "it wrote nothing"

    def keep(self) -> None:
        """Write its record.

        Raises:
            OSError: The folder is gone or cannot be written.
        """
        atomic.write_json(Path(self.record), asdict(self))


def read_record(cls: type[Kept], path: Path) -> Kept | None:
    """Return what `Started.keep` wrote; None where it is gone, or was written by another version.
    """
    try:
        fields = json.loads(path.read_text("utf-8"))
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        return cls(**plain | {"record": str(path)})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def stamp() -> str:
    """Return the time as files and folders are named by it, UTC."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime())


def new_name(about: str) -> str:
    """Return a name for a record that nobody else takes, not even at the same time."""
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in about)
    return f"{stamp()}-{safe[:80] or 'run'}-{secrets.token_hex(2)}"


def new_path(home: Path, name: str = "", suffix: str = "") -> Path:
    """Return a file or folder in `home` that is not there yet, named by the time."""
    stem = f"{name}-{stamp()}" if name else stamp()
    names = [f"{stem}{suffix}", *(f"{stem}-{number}{suffix}" for number in range(1, 1000))]
    return next(home / name for name in names if not (home / name).exists())
