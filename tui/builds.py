"""Builds of stores that were started here: processes of their own that outlive the UI."""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stemcls import atomic
from tui.processes import ask_to_stop, is_running, reap, spawn
from tui.tail import last_lines

REPORT_SECONDS = 1.0
# As `stemcls build` says it where stderr is a file: "build: 12/36 name of the image".
_PROGRESS = re.compile(r"build: (\d+)/(\d+)")


@dataclass(frozen=True)
class Build:
    """A build that was started and has not been seen to end yet.

    Attributes:
        store: The store that it makes.
        pid, host: Its process.
        started: Seconds since the epoch.
        log: Where its stdout and stderr go.
        record: The JSON file that remembers it for the next UI.
    """

    store: str
    pid: int
    host: str
    started: float
    log: str
    record: str

    @property
    def name(self) -> str:
        """File name of the store."""
        return Path(self.store).name

    @property
    def alive(self) -> bool:
        """Whether its process lives, as far as this host can tell."""
        return is_running(self.pid, self.host, self.started)

    @property
    def progress(self) -> tuple[int, int, str]:
        """Images dealt with, images in all (0: not said yet), and the last line of its log."""
        lines = last_lines(Path(self.log), 20)
        found = [match for line in lines if (match := _PROGRESS.match(line))]
        done, total = (int(found[-1][1]), int(found[-1][2])) if found else (0, 0)
        return done, total, lines[-1] if lines else "starting"

    @property
    def remarks(self) -> str:
        """What it said after its table: crops left out, files skipped, warnings."""
        lines = last_lines(Path(self.log), 40)
        tables = [number for number, line in enumerate(lines) if line[:1] in ("└", "│")]
        return "\n".join(lines[tables[-1] + 1 :]) if tables else ""

    def last_words(self, lines: int = 6) -> str:
        """Return the end of what it wrote."""
        return "\n".join(last_lines(Path(self.log), lines)) or "it wrote nothing"


Running = tuple[Build, tuple[int, int, str]]


@dataclass(frozen=True)
class BuildsView:
    """The builds of a workspace at one moment.

    Attributes:
        running: Under way, each with its `progress`.
        built, failed: Ended since the last look; told only once.
    """

    running: tuple[Running, ...] = ()
    built: tuple[Build, ...] = ()
    failed: tuple[Build, ...] = ()


def start_build(workspace: Path, store: Path, argv: Sequence[str]) -> Build:
    """Start building `store` as a process of its own.

    Raises:
        StemclsError: The process cannot be started.
        OSError: The workspace cannot be written.
    """
    folder = _folder(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    stem = folder / f"{stamp}-{secrets.token_hex(2)}"
    log = stem.with_suffix(".log")
    environment = {"STEMCLS_PROGRESS_SECONDS": str(REPORT_SECONDS)}
    pid = spawn(argv, log, environment=environment)
    build = Build(
        str(store), pid, socket.gethostname(), time.time(), str(log),
        str(stem.with_suffix(".json")),
    )
    atomic.write_json(Path(build.record), asdict(build))
    return build


def read_builds(workspace: Path) -> BuildsView:
    """Return what is being built, and what ended since somebody looked last."""
    reap()
    running: list[Running] = []
    built: list[Build] = []
    failed: list[Build] = []
    for path in sorted(_folder(workspace).glob("*.json")):
        try:
            build = Build(**{**json.loads(path.read_text("utf-8")), "record": str(path)})
        except (OSError, ValueError, TypeError):
            continue  # just removed, or written by another version
        # Alive is asked first: a build that ends in between has its store.
        if build.alive:
            running.append((build, build.progress))
            continue
        (built if Path(build.store).exists() else failed).append(build)
        path.unlink(missing_ok=True)
    return BuildsView(tuple(running), tuple(built), tuple(failed))


def stop_build(build: Build) -> None:
    """Ask a build to end at its next image; the same build started again goes on from there.

    Raises:
        InputError: It runs on another machine, belongs to another user, or is gone.
    """
    ask_to_stop(f"the build of {build.name}", build.pid, build.host, build.started)


def _folder(workspace: Path) -> Path:
    return workspace / "datasets" / ".builds"
