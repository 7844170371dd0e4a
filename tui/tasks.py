"""Commands that are no runs (build, explain, export, ...), as processes that outlive the UI.

A task owns a folder with `task.json`, `task.log` and whatever it is to leave there. It has
finished when its process has ended and its result is there.
"""

from __future__ import annotations

import re
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from stemcls.errors import InputError
from stemcls.runs import birth_of
from tui.processes import ask_to_stop, reap, spawn
from tui.records import Started, new_name, read_record
from tui.tail import last_lines

RECORD = "task.json"
PREDICTIONS = "predictions"
_PASSING = ".tasks"
_LINES = 40
# What `stemcls.commands.terminal.progress` obeys and prints; importing it would import Typer.
_PROGRESS_SECONDS = {"STEMCLS_PROGRESS_SECONDS": "0.5"}
_PROGRESS = re.compile(r"^[\w ]+: (\d+)/(\d+) ?(.*)$")
_END_OF_TABLE = ("└", "│")


@dataclass(frozen=True, kw_only=True)
class Task(Started):
    """A command under way, or one that ended without a result.

    Attributes:
        kind: The command, such as explain or export.
        about: What it works on, for people.
        result: The file that is there, and new, when it has finished.
        stopped: Whether it was asked to stop.
        before: When the result had been changed before it started, nanoseconds; None: it was not
            there.
    """

    kind: str
    about: str
    result: str
    stopped: bool = False
    before: int | None = None

    @property
    def folder(self) -> Path:
        """Its own."""
        return Path(self.record).parent

    @property
    def state(self) -> str:
        """running, finished, stopped or failed."""
        # The result is looked at after the process, which may end in between.
        alive = self.alive
        if self._has_result and not (alive and self.here):
            return "finished"
        return "running" if alive else "stopped" if self.stopped else "failed"

    @property
    def _has_result(self) -> bool:
        try:
            return Path(self.result).stat().st_mtime_ns != self.before
        except OSError:
            return False

    @property
    def passing(self) -> bool:
        """Whether its folder holds nothing but its log, and goes when it has finished."""
        return self.folder.parent.name == _PASSING

    @property
    def progress(self) -> tuple[int, int, str] | None:
        """What it has done, of how many, and a note; None before it says anything."""
        for line in reversed(last_lines(self.log, _LINES)):
            if found := _PROGRESS.match(line):
                return int(found[1]), int(found[2]), found[3]
        return None

    @property
    def remarks(self) -> str:
        """What it said after its last table: what was left out or skipped, warnings."""
        lines = last_lines(self.log, _LINES)
        ends = [number for number, line in enumerate(lines) if line.startswith(_END_OF_TABLE)]
        return "\n".join(lines[ends[-1] + 1 :]) if ends else ""


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
    folder = folder or _home(workspace) / new_name(kind)
    folder.mkdir(parents=True)
    task = Task(
        record=str(folder / RECORD), pid=0, host=socket.gethostname(), started=time.time(),
        kind=kind, about=about, result=str(result), before=_changed(result),
    )
    argv = [sys.executable, "-m", "stemcls", kind, *arguments, "--workspace", str(workspace)]
    pid = spawn(argv, task.log, environment=_PROGRESS_SECONDS)
    task = replace(task, pid=pid, born=birth_of(pid))
    task.keep()
    return task


def _changed(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def stop(task: Task) -> None:
    """Ask the process of a task to end.

    Raises:
        InputError: It does not run, or not on this host.
    """
    if task.state != "running":
        raise InputError(f"{task.kind} {task.about} is {task.state}: there is nothing to stop")
    ask_to_stop(f"{task.kind} {task.about}", task.pid, task.host, task.started, task.born)
    with suppress(FileNotFoundError):  # it has just finished, and was forgotten
        replace(task, stopped=True).keep()


def list_tasks(workspace: Path) -> list[Task]:
    """Return every task that is remembered, newest first."""
    reap()
    homes = (_home(workspace), workspace / PREDICTIONS)
    found = [read_record(Task, path) for home in homes for path in home.glob(f"*/{RECORD}")]
    tasks = [task for task in found if task is not None]
    return sorted(tasks, key=lambda task: task.started, reverse=True)


def forget(task: Task) -> None:
    """Remove what is remembered of a task that has ended; a result is never touched."""
    state = task.state
    if state == "running":
        return
    if task.passing:
        shutil.rmtree(task.folder, ignore_errors=True)
    elif state != "finished":
        # Of a prediction without a result there is nothing to keep but its folder's own two files.
        for path in (Path(task.record), task.log):
            path.unlink(missing_ok=True)
        if not any(task.folder.iterdir()):
            task.folder.rmdir()


def _home(workspace: Path) -> Path:
    return workspace / "saved_models" / _PASSING
