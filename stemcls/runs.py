"""A run owns a folder of saved_models/; its events.jsonl is the one truth about its progress."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.documents import read_json
from stemcls.errors import InputError, nearest
from stemcls.leftovers import is_alive as process_exists

STALLED_AFTER_SECONDS = 180.0
CLOCK_SLACK_SECONDS = 5.0
# Of run folders; what has no run.json is of version 1 too, or a part of a run.
FORMAT = 1
_ENDINGS = ("finished", "failed", "cancelled")


@dataclass(frozen=True)
class Run:
    """One training run on disk.

    Attributes:
        path: Its folder, `saved_models/<name>-<UTC time>/`.
        workspace: Where the user said that runs and stores are, None where nobody did.
    """

    path: Path
    workspace: Path | None = field(default=None, compare=False)

    @classmethod
    def create(cls, workspace: Path, name: str, below: str = "saved_models") -> Run:
        """Make a new, empty run folder `below` the workspace; an existing one is never reused."""
        root = workspace / below
        root.mkdir(parents=True, exist_ok=True)
        safe = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        for attempt in range(1000):
            path = root / (f"{safe}-{stamp}" + (f"-{attempt}" if attempt else ""))
            try:
                return cls._make(path)
            except FileExistsError:
                continue
        raise InputError(f"{root} already holds a thousand runs called {safe}-{stamp}")

    @classmethod
    def create_named(cls, root: Path, name: str) -> Run:
        """Make a new, empty run folder of just this name.

        Raises:
            InputError: The name is no plain name of a folder, or taken.
        """
        if re.fullmatch(r"\w[\w.-]*", name) is None:
            raise InputError(
                f"{name!r} cannot name a folder: expected letters, digits, dashes, underscores and "
                "dots, the first a letter or digit"
            )
        root.mkdir(parents=True, exist_ok=True)
        try:
            return cls._make(root / name)
        except FileExistsError:
            raise InputError(f"{root / name} is there already; choose another name") from None

    @classmethod
    def _make(cls, path: Path) -> Run:
        path.mkdir()
        atomic.write_json(path / "run.json", {"format": FORMAT, "stemcls": version("stemcls")})
        return cls(path)

    @classmethod
    def open(cls, path: Path, workspace: Path | None = None) -> Run:
        """Open a run by its folder, or by its name below `workspace`/saved_models.

        Raises:
            InputError: There is no such run (names the nearest one), or a newer stemcls made it.
        """
        place = find_folder(path, workspace, "events.jsonl")
        if place is not None:
            run = cls(place, workspace)
            run._check_format()
            return run
        if path.is_dir():
            raise InputError(f"{path} is a folder but not a run: it holds no events.jsonl")
        names = [run.name for run in list_runs(workspace)] if workspace is not None else []
        hint = nearest(path.name, names) if names else "; `stemcls runs` lists the runs there are"
        raise InputError(f"there is no run {path}{hint}")

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def model_path(self) -> Path:
        """The finished model."""
        return self.path / "model.keras"

    @property
    def is_study(self) -> bool:
        """Whether it is a search of `stemcls tune`, which holds runs and is none itself."""
        return (self.path / "study.toml").is_file()

    def append(self, event: str, **values: Any) -> None:
        """Add one line to events.jsonl; a single write, so that lines never interleave."""
        line = atomic.dump_json({"time": round(time.time(), 3), "event": event, **values}) + "\n"
        with (self.path / "events.jsonl").open("ab", buffering=0) as file:
            file.write(line.encode())

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events in order; a last line cut off by a crash is passed over."""
        try:
            content = (self.path / "events.jsonl").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        yield from parse_events(content)

    def _check_format(self) -> None:
        about = self.read_json("run.json") or {}
        if int(about.get("format", FORMAT)) > FORMAT:
            raise InputError(
                f"{self.path} is a run of format {about['format']}, made by stemcls "
                f"{about.get('stemcls', 'unknown')}; this is {version('stemcls')}, which reads up "
                f"to format {FORMAT}: update stemcls"
            )

    def folds(self) -> list[Run]:
        """Return the runs of a cross-validation in order; empty for a single run."""
        found = self.path.glob("folds/fold-*/config.toml")
        runs = (Run(path.parent, self.workspace) for path in found)
        return sorted(runs, key=lambda run: int(run.name.removeprefix("fold-")))

    def read_json(self, name: str) -> Any:
        """Return the JSON document `name` of this run, or None where it does not exist (yet).

        Raises:
            InputError: The file is there but is not JSON.
        """
        try:
            return read_json(
                self.path / name, "take it from a backup, or make this run again"
            )
        except FileNotFoundError:
            return None

    def summary(self, now: float | None = None) -> dict[str, Any]:
        """Return what a list of runs shows.

        Returns: `run`, `path`, and what `Progress.summary` tells.
        """
        progress = Progress()
        for event in self.events():
            progress.add(event)
        return {"run": self.name, "path": str(self.path), **progress.summary(now)}


class Progress:
    """What the events of a run add up to; fed one by one, so that a growing file is read once.

    Attributes:
        start: The latest `started` event; empty before the first.
        latest: The latest value of everything that events told.
    """

    def __init__(self) -> None:
        self.start: dict[str, Any] = {}
        self.latest: dict[str, Any] = {}
        self._state = "waiting"
        self._last: float | None = None
        self._seconds = 0.0

    def add(self, event: dict[str, Any]) -> None:
        """Take the next event into account."""
        kind, self._last = event.get("event"), event.get("time", self._last)
        if kind == "started":
            self._seconds += _span(self.start.get("time"), self.latest.get("time"))
            self.start, self._state = event, "running"
            self.latest.pop("message", None)
        elif kind == "stage":
            self.latest.pop("epoch", None)
            self.latest.pop("epochs", None)
        elif kind in _ENDINGS:
            self._state = str(kind)
        self.latest.update(event)

    def summary(self, now: float | None = None) -> dict[str, Any]:
        """Return where the run stands.

        Args:
            now: Seconds since the epoch; None: this moment. A run of this host is judged by its
                process instead, because clocks jump.
        Returns: `state` (waiting, running, stalled, crashed, finished, failed or cancelled),
            `stage`, `epoch`, `epochs`, `started`, `seconds`, `metrics`, `message`.
        """
        started = self.start.get("time")
        state = self._state
        if state == "running":
            state = self._liveness(started, time.time() if now is None else now)
        return {
            "state": state,
            "stage": self.latest.get("stage"),
            "epoch": self.latest.get("epoch"),
            "epochs": self.latest.get("epochs"),
            "started": started,
            "seconds": self._seconds + _span(started, self._last),
            "metrics": self.latest.get("metrics"),
            "message": self.latest.get("message"),
        }

    def _liveness(self, started: float | None, now: float) -> str:
        if self.start.get("host") == socket.gethostname():
            pid: Any = self.start.get("pid")
            born = self.start.get("born")
            if not is_alive(pid, started or 0.0, born):
                return "crashed"
            if born is not None:
                return "stalled" if is_halted(pid) else "running"
        return "stalled" if now - (self._last or 0.0) > STALLED_AFTER_SECONDS else "running"


def parse_events(text: str) -> Iterator[dict[str, Any]]:
    """Yield the events in the lines of an events.jsonl; what is no event is passed over."""
    for line in text.split("\n"):
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict):
            yield event


def find_folder(
    path: Path, workspace: Path | None, holds: str, below: str = "saved_models"
) -> Path | None:
    """Return a folder that holds a file called `holds`: `path`, or that `below` the workspace."""
    places = [path] if workspace is None else [path, workspace / below / path]
    return next((place for place in places if (place / holds).is_file()), None)


def list_runs(workspace: Path) -> list[Run]:
    """Return the runs below `workspace`/saved_models, newest first."""
    root = workspace / "saved_models"
    found = [Run(path.parent) for path in root.glob("*/events.jsonl")]
    return sorted(found, key=lambda run: run.path.stat().st_mtime, reverse=True)


def process_identity() -> dict[str, Any]:
    """Return what lets another process on this host see whether this one still lives."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "born": birth_of(os.getpid())}


def _span(start: float | None, end: float | None) -> float:
    return max(0.0, end - start) if start is not None and end is not None else 0.0


def is_alive(pid: Any, since: float, born: str | None = None) -> bool:
    """Tell whether a process of this host still runs, and is not another that got its number.

    Args:
        pid: Its number; what is no number is not alive.
        since: Seconds since the epoch at which it ran; used only where `born` is not known.
        born: From `birth_of`: no clock that is set changes it.
    """
    if not isinstance(pid, int) or not process_exists(pid):
        return False
    if _state_and_ticks(pid)[0] == "Z":
        return False
    if born is not None:
        return birth_of(pid) in (born, None)
    seconds = _birth_seconds(pid)
    return seconds is None or seconds <= since + CLOCK_SLACK_SECONDS


def is_halted(pid: int) -> bool:
    """Tell whether a process was halted, as by Ctrl-Z in its terminal."""
    return _state_and_ticks(pid)[0] in ("T", "t")


def birth_of(pid: int) -> str | None:
    """Return which start of the system, and how long after it, a process began.

    None where there is no such process, or the system has no /proc.
    """
    _, ticks = _state_and_ticks(pid)
    if ticks is None:
        return None
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        return None
    return f"{boot}:{ticks}"


def _birth_seconds(pid: int) -> float | None:
    """Return when a process began by the clock of now, seconds since the epoch."""
    _, ticks = _state_and_ticks(pid)
    try:
        lines = Path("/proc/stat").read_text("utf-8").splitlines()
        boot = next(float(line.split()[1]) for line in lines if line.startswith("btime"))
    except (OSError, StopIteration, ValueError):
        return None
    return None if ticks is None else boot + ticks / os.sysconf("SC_CLK_TCK")


def _state_and_ticks(pid: int) -> tuple[str, int | None]:
    """Return a process' state letter and birth since the boot; ("", None) without /proc."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return after_name[0], int(after_name[19])
    except (OSError, ValueError, IndexError):
        return "", None
