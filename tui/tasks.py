"""Commands that are no runs (explain, predict, export, ...), as processes that outlive the UI.

A task owns a folder with `task.json`, `log.txt` and whatever it is to leave there. It is finished
when its result is there; no process has to be asked.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.config.options import Option
from stemcls.errors import InputError
from stemcls.runs import CLOCK_SLACK_SECONDS
from tui.processes import ask_to_stop, is_running, reap, spawn
from tui.tail import last_lines

RECORD = "task.json"
LOG = "log.txt"
PREDICTIONS = "predictions"
_PASSING = ".tasks"
_PROGRESS_LINES = 40
# What `stemcls.commands.terminal.progress` obeys and prints; importing it would import Typer.
_PROGRESS_SECONDS = {"STEMCLS_PROGRESS_SECONDS": "0.5"}
_PROGRESS = re.compile(r"^[\w ]+: (\d+)/(\d+) ?(.*)$")


@dataclass(frozen=True)
class Task:
    """A command under way, or one that ended without a result.

    Attributes:
        kind: The command, such as explain or export.
        about: What it works on, for people.
        result: The file that is there, and new, when it has finished.
        folder: Its own.
        pid, host: Its process.
        started: Seconds since the epoch.
    """

    kind: str
    about: str
    result: str
    folder: str
    pid: int
    host: str
    started: float

    @property
    def state(self) -> str:
        """running, finished or failed."""
        alive = is_running(self.pid, self.host, self.started)
        try:
            # The result is looked at after the process, which may end in between.
            if Path(self.result).stat().st_mtime >= self.started - CLOCK_SLACK_SECONDS:
                return "finished"
        except OSError:
            pass
        return "running" if alive else "failed"

    @property
    def passing(self) -> bool:
        """Whether its folder holds nothing but its log, and goes when it has finished."""
        return Path(self.folder).parent.name == _PASSING

    @property
    def progress(self) -> tuple[int, int, str] | None:
        """What it has done, of how many, and a note; None before it says anything."""
        for line in reversed(last_lines(Path(self.folder) / LOG, _PROGRESS_LINES)):
            if found := _PROGRESS.match(line):
                return int(found[1]), int(found[2]), found[3]
        return None

    def last_words(self, lines: int = 6) -> str:
        """Return the end of what it wrote."""
        return "\n".join(last_lines(Path(self.folder) / LOG, lines)) or "it wrote nothing"


def start(
    workspace: Path, kind: str, about: str, arguments: Sequence[str], result: Path,
    folder: Path | None = None,
) -> Task:
    """Start `stemcls KIND ARGUMENTS` and remember it.

    Args:
        workspace: Where it works.
        kind, about, result: Of the task.
        arguments: After the command's name.
        folder: A new folder of its own; None: one that goes when the task is forgotten.
    Raises:
        StemclsError: It cannot be started.
        OSError: The folder cannot be made.
    """
    reap()
    if folder is None:
        folder = _home(workspace) / f"{stamp()}-{kind}-{secrets.token_hex(2)}"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "stemcls", kind, *arguments, "--workspace", str(workspace)]
    started = time.time()
    pid = spawn(argv, folder / LOG, environment=_PROGRESS_SECONDS)
    task = Task(kind, about, str(result), str(folder), pid, socket.gethostname(), started)
    atomic.write_json(folder / RECORD, asdict(task))
    return task


def stop(task: Task) -> None:
    """Ask the process of a task to end.

    Raises:
        InputError: It does not run, or not on this host.
    """
    if task.state != "running":
        raise InputError(f"{task.kind} {task.about} is {task.state}: there is nothing to stop")
    ask_to_stop(f"{task.kind} {task.about}", task.pid, task.host, task.started)


def list_tasks(workspace: Path) -> list[Task]:
    """Return every task that is remembered, newest first."""
    reap()
    found = []
    homes = (_home(workspace), workspace / PREDICTIONS)
    for path in (path for home in homes for path in home.glob(f"*/{RECORD}")):
        try:
            document = json.loads(path.read_text("utf-8"))
            found.append(Task(**{**document, "folder": str(path.parent)}))
        except (OSError, ValueError, TypeError):
            continue  # going just now, or of another version
    return sorted(found, key=lambda task: task.started, reverse=True)


def forget(task: Task) -> None:
    """Remove what is remembered of a task that has ended; a result is never touched."""
    folder = Path(task.folder)
    if task.state == "running":
        return
    if task.passing:
        shutil.rmtree(folder, ignore_errors=True)
    elif task.state == "failed":
        # Of a prediction that failed there is nothing to keep but its folder's own two files.
        for name in (RECORD, LOG):
            (folder / name).unlink(missing_ok=True)
        if not any(folder.iterdir()):
            folder.rmdir()


def flags(entries: Iterable[Option], values: Mapping[str, Any]) -> list[str]:
    """Return the command-line options for those settings that are not at their default.

    Args:
        entries: The settings, their defaults as the command would choose them.
        values: Nested plain values of them, as a form gives them.
    """
    found: list[str] = []
    for entry in entries:
        value: Any = values
        for key in entry.keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, list):
            value = tuple(value)
        if value is None or value == entry.default:
            continue
        if isinstance(value, bool):
            found.append(f"--{entry.flag}" if value else f"--no-{entry.flag}")
        elif isinstance(value, tuple):
            found += [word for item in value for word in (f"--{entry.flag}", str(item))]
        else:
            found += [f"--{entry.flag}", str(value)]
    return found


def new_folder(home: Path, name: str = "") -> Path:
    """Return a folder below `home` that is not there yet, named by the time (UTC)."""
    stem = f"{name}-{stamp()}" if name else stamp()
    names = [stem, *(f"{stem}-{number}" for number in range(1, 1000))]
    return next(home / name for name in names if not (home / name).exists())


def stamp() -> str:
    """Return the time as folders are named by it, UTC."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime())


def _home(workspace: Path) -> Path:
    return workspace / "saved_models" / _PASSING
