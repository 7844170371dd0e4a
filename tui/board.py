"""Follow all runs of a workspace: what was read once is not read again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, read_toml
from stemcls.errors import InputError
from stemcls.runs import Progress, Run, parse_events
from tui.pace import Pace

SETTLED = ("finished", "failed", "cancelled", "crashed", "unreadable")


@dataclass(frozen=True)
class About:
    """What a person says of a run; kept in about.json of its folder, whose name stays.

    Attributes:
        title: Shown in place of the folder's name; "" for that.
        tags: Words to find it by.
        note: One line.
    """

    title: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""


def read_about(run: Path) -> About:
    """Return what was said of a run; nothing where the file is damaged."""
    try:
        plain = json.loads((run / "about.json").read_text("utf-8"))
        return About(str(plain["title"]), tuple(map(str, plain["tags"])), str(plain["note"]))
    except (OSError, ValueError, TypeError, KeyError):
        return About()


def keep_about(run: Path, **changes: Any) -> None:
    """Change what is said of a run.

    Raises:
        InputError: The run is gone.
        OSError: Its folder cannot be written.
    """
    if not run.is_dir():
        raise InputError(f"{run.name} is gone")
    about = replace(read_about(run), **changes)
    atomic.write_json(run / "about.json", about.__dict__)


class Lines:
    """The whole lines that were added to a growing file since the last look.

    Args:
        path: The file; need not exist yet. A last line that is not finished waits for its end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version: tuple[int, ...] = ()
        self._inode = self._offset = 0
        self.begun_anew = False

    def read(self) -> str:
        """Return them; `begun_anew` then tells whether it is another file than before.

        Raises:
            OSError: It cannot be read.
        """
        self.begun_anew = False
        status = self.path.stat()
        version = (status.st_mtime_ns, status.st_size, status.st_ino)
        if version == self._version:
            return ""
        if self._inode not in (0, status.st_ino) or status.st_size < self._offset:
            self._offset, self.begun_anew = 0, True
        with self.path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        whole = content.rfind(b"\n") + 1
        self._version, self._inode = version, status.st_ino
        self._offset += whole
        return content[:whole].decode("utf-8", errors="replace")


class Follower:
    """One run, as far as its files were read.

    Args:
        run: It.

    Attributes:
        progress: What its events add up to.
        state: As in `Run.summary`, or unreadable.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.state = "waiting"
        self.row: dict[str, Any] = {}
        self._lines = Lines(run.path / "events.jsonl")
        self._about_version = -1
        self._about = About()
        self._stages: list[tuple[str, int]] | None = None
        self._problem = ""
        self._begin()

    def _begin(self) -> None:
        self.progress, self._pace = Progress(), Pace()

    def look(self, now: float) -> None:
        """Read what is new, and bring `state` and `row` up to date.

        Raises:
            FileNotFoundError: The run was deleted.
        """
        changed = self._read_events() | self._read_about()
        if changed or self.state not in SETTLED:
            row = self._describe(now)
            # The same object tells the screens that nothing changed.
            self.row = self.row if row == self.row else row
            self.state = row["state"]

    def _read_events(self) -> bool:
        try:
            text = self._lines.read()
        except FileNotFoundError:
            raise
        except OSError as error:  # not ours to read
            changed, self._problem = self._problem != str(error), str(error)
            return changed
        if self._lines.begun_anew:
            self._begin()
        for event in parse_events(text):
            try:
                self.progress.add(event)
                self._pace.add(event)
            except (TypeError, ValueError) as error:
                self._problem = f"events.jsonl holds what no run writes: {error}"
        return bool(text)

    def _read_about(self) -> bool:
        try:
            version = (self.run.path / "about.json").stat().st_mtime_ns
        except OSError:
            version = -1
        if version == self._about_version:
            return False
        self._about_version, self._about = version, read_about(self.run.path)
        return True

    def _describe(self, now: float) -> dict[str, Any]:
        path = str(self.run.path)
        row: dict[str, Any] = {"run": self.run.name, "path": path, "key": path}
        row |= {"title": self._about.title or self.run.name, "tags": self._about.tags,
                "note": self._about.note}
        try:
            row |= self.progress.summary(now)
        except (TypeError, ValueError) as error:
            self._problem = f"events.jsonl holds what no run writes: {error}"
        if self._problem:
            return {**EMPTY, **row, "state": "unreadable", "message": self._problem}
        start, latest = self.progress.start, self.progress.latest
        live = row["state"] == "running"
        row |= {
            "device": start.get("device"), "host": start.get("host"), "kind": start.get("kind"),
            "loss": latest.get("val_loss", latest.get("loss")),
            "left": self._pace.left(now, self._later_stages) if live else None,
            "resumable": row["state"] in ("cancelled", "failed", "crashed", "waiting"),
        }
        return row

    def _later_stages(self, stage: str) -> list[tuple[str, int]] | None:
        """Return names and epochs of the stages after `stage`; None where they are not known."""
        if self._stages is None:
            try:
                config = read_toml(self.run.path / "config.toml")
                plan = from_mapping(Experiment, config).plan
                self._stages = [(entry.name, entry.epochs) for entry in plan]
            except (InputError, OSError):
                self._stages = []
        names = [name for name, _ in self._stages]
        return self._stages[names.index(stage) + 1 :] if stage in names else None


# What a row of a list holds, for those that have none of it.
EMPTY: dict[str, Any] = {
    "path": "", "stage": None, "epoch": None, "epochs": None, "metrics": None, "seconds": 0.0,
    "started": None, "tags": (), "note": "", "device": None, "kind": None, "loss": None,
    "left": None, "host": "", "message": "", "resumable": False,
}


class Board:
    """All runs of a workspace.

    Args:
        workspace: Its saved_models/ is looked at.

    Attributes:
        followers: Each run that is there, by its path.
    """

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace / "saved_models"
        self.followers: dict[str, Follower] = {}

    def look(self) -> None:
        """Read what is new of every run."""
        now = time.time()
        seen: dict[str, Follower] = {}
        for path in self._folders():
            follower = self.followers.get(path) or Follower(Run(Path(path)))
            try:
                follower.look(now)
            except FileNotFoundError:
                continue  # no run, or deleted while we looked
            seen[path] = follower
        self.followers = seen

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row of each run, that which was started last first."""
        rows = [follower.row for follower in self.followers.values()]
        return sorted(rows, key=lambda row: (-(row["started"] or 0.0), row["run"]))

    def starts(self) -> dict[tuple[Any, Any], tuple[str | None, Run]]:
        """Return each run and the birth of its latest process, by process and host."""
        found = {}
        for follower in self.followers.values():
            start = follower.progress.start
            if start:
                found[start.get("pid"), start.get("host")] = start.get("born"), follower.run
        return found

    def _folders(self) -> Sequence[str]:
        try:
            with os.scandir(self.folder) as entries:
                return [entry.path for entry in entries
                        if not entry.name.startswith(".") and entry.is_dir()]
        except FileNotFoundError:
            return []


