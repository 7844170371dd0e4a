"""A line on the tasks under way, and the last words of those that left no result."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from rich.text import Text
from textual import work
from textual.message import Message
from textual.widgets import Static

from stemcls.errors import InputError
from tui import tasks
from tui.drawing import bar, duration, state_text
from tui.tail import last_lines
from tui.tasks import Task

POLL_SECONDS = 0.5
_BAR = 20


class TaskLine(Static):
    """Tasks of some kinds, followed from the disk; nothing where there are none.

    Args:
        workspace: Of the tasks.
        kinds: Those that are shown.
    """

    DEFAULT_CSS = """
    TaskLine { height: auto; max-height: 8; padding: 0 1; border-top: solid $panel; }
    TaskLine.-idle { display: none; }
    """

    class Finished(Message):
        """A task has left its result."""

        def __init__(self, task: Task) -> None:
            super().__init__()
            self.task = task
            self.remarks = task.remarks  # its log may be gone when this is heard

    def __init__(self, workspace: Path, *kinds: str) -> None:
        super().__init__("", markup=False, classes="-idle")
        self._workspace = workspace
        self._kinds = kinds
        self._tasks: list[tuple[Task, str]] = []
        self._busy = False

    def on_mount(self) -> None:
        """Begin to look."""
        self.set_interval(POLL_SECONDS, self.look)
        self.look()

    @property
    def running(self) -> list[Task]:
        """Tasks under way as of the last look."""
        return [task for task, state in self._tasks if state == "running"]

    @work(exclusive=True)
    async def look(self) -> None:
        """Look at the disk once."""
        if not self.is_attached or not self.screen.is_current:
            return
        found = await asyncio.to_thread(self._read)
        before = {task.folder: state for task, state in self._tasks}
        self._tasks = found
        for task, state in found:
            if state != "finished":
                continue
            if task.passing or before.get(task.folder) == "running":
                self.post_message(self.Finished(task))
            if task.passing:
                tasks.forget(task)
        lines = await asyncio.to_thread(_lines, found)
        if not self.is_attached:
            return
        self.set_class(not lines, "-idle")
        self.update(Text("\n").join(lines))

    def _read(self) -> list[tuple[Task, str]]:
        found = [task for task in tasks.list_tasks(self._workspace) if task.kind in self._kinds]
        return [(task, task.state) for task in found]

    def follow(self) -> None:
        """Something new has begun: forget what left no result before it, and look."""
        for task, state in self._tasks:
            if state in ("failed", "stopped"):
                tasks.forget(task)
        self.look()

    def stop(self, task: Task | None = None) -> None:
        """Stop a task, or the newest one under way; say where there is none."""
        task = task or next(iter(self.running), None)
        if task is None:
            self.app.notify("Nothing is under way.", severity="warning")
            return
        try:
            tasks.stop(task)
        except (InputError, OSError) as error:
            self.app.notify(str(error), severity="warning", markup=False)
        else:
            self.app.notify(f"{task.kind} {task.about} stops.", markup=False)


def _lines(found: list[tuple[Task, str]]) -> list[Text]:
    lines = []
    for task, state in found:
        if state == "finished":
            continue
        line = state_text(state)
        line.append(f"  {task.kind} {task.about}", style="none")
        if state == "running":
            line.append(f"  {_progress(task)}", style="none")
        elif state == "failed" or last_lines(task.log, 1):
            line.append(f"\n{task.last_words(3)}", style="none")
        lines.append(line)
    return lines


def _progress(task: Task) -> str:
    since = duration(max(0.0, time.time() - task.started))
    progress = task.progress
    if progress is None:
        return f"starting, {since}"
    done, total, note = progress
    return f"{bar(done / max(total, 1), _BAR):<{_BAR}} {done}/{total} {note}, {since}"

