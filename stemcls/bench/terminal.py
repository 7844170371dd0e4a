"""Drive the terminal UI through a pseudo-terminal over a big workspace: start, keys, memory."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from stemcls import atomic
from stemcls.bench.measure import result
from stemcls.errors import StemclsError
from stemcls.evaluation.predictions import Predictions, write_predictions
from stemcls.runs import Run

N_RUNS = 1000
N_PREDICTIONS = 100_000
KEYS = 30
START_LIMIT_SECONDS = 1.0
KEY_LIMIT_MS = 100.0
MEMORY_LIMIT_MB = 250.0
STARTS = 3
ROWS, COLUMNS = 50, 160
UP, DOWN, RIGHT = "\x1b[A", "\x1b[B", "\x1b[C"
CLASSES = ("stem", "progenitor", "mature")

_ESCAPES = re.compile(r"\x1b(\[[0-9;?<>=]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9]|[=>])")


class Terminal:
    """A terminal of 160x50 with a stemcls UI in it.

    Args:
        workspace: What the UI shows.
        home: Folder of the settings and the state of a person.
    """

    def __init__(self, workspace: Path, home: Path) -> None:
        environment = {
            **os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor",
            "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home),
        }
        self._master, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._drawn = ""
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stemcls", "tui", "--workspace", str(workspace)],
            stdin=inside, stdout=inside, stderr=inside, env=environment, start_new_session=True,
        )
        os.close(inside)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._master)

    def press(self, keys: str) -> float:
        """Type `keys`; return the time."""
        self._drawn = ""
        os.write(self._master, keys.encode())
        return time.perf_counter()

    def wait_for(self, seen: str, seconds: float = 30.0) -> float:
        """Wait until `seen` was drawn since the last key; return the time.

        Raises:
            StemclsError: It was not.
        """
        end = time.perf_counter() + seconds
        while seen not in _ESCAPES.sub("", self._drawn):
            ready, _, _ = select.select([self._master], [], [], max(end - time.perf_counter(), 0))
            if not ready:
                raise StemclsError(
                    f"the terminal UI never showed {seen!r}; it drew last: "
                    f"{_ESCAPES.sub('', self._drawn)[-300:]!r}"
                )
            self._drawn += os.read(self._master, 1 << 16).decode("utf-8", "replace")
        return time.perf_counter()

    @property
    def peak_bytes(self) -> int:
        """Peak of resident memory so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


def tui(data: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - every benchmark takes the data folder
    """Measure the UI over 1,000 runs, one of them with 100,000 predictions.

    Returns: Rows `tui-start` (seconds from starting the process to the first paint, the limit as
        baseline), `tui-key` (median milliseconds from a key to its effect on the screen, over the
        list of runs, the tabs of results and the threshold), and `tui-memory` (peak, MB).
    """
    with tempfile.TemporaryDirectory() as folder:
        workspace, home = Path(folder) / "workspace", Path(folder) / "home"
        _fill(workspace)
        (home / "stemcls").mkdir(parents=True)
        (home / "stemcls" / "tui.toml").write_text("toured = true\n", encoding="utf-8")
        starts = []
        for _ in range(STARTS):
            with Terminal(workspace, home) as terminal:
                starts.append(terminal.wait_for("8 System") - terminal.started)
        with Terminal(workspace, home) as terminal:
            milliseconds = _drive(terminal)
            peak_mb = terminal.peak_bytes / 2**20
    return [
        result("tui-start", statistics.median(starts), START_LIMIT_SECONDS, "s", 1.0, None),
        result(
            "tui-key", statistics.median(milliseconds), KEY_LIMIT_MS, "ms", 1.0, None,
            slowest=max(milliseconds), keys=len(milliseconds),
        ),
        result("tui-memory", peak_mb, MEMORY_LIMIT_MB, "MB", 1.0, None),
    ]


def _drive(terminal: Terminal) -> list[float]:
    """Return the milliseconds of each key."""
    terminal.wait_for("8 System")
    terminal.press("3")
    terminal.wait_for("run-0000")
    spent = []
    for number in range(1, KEYS + 1):
        begun = terminal.press(DOWN)
        spent.append(terminal.wait_for(f"run-{number:04d}") - begun)
    terminal.press(UP * KEYS)
    terminal.wait_for("run-0000")
    terminal.press("\r")
    terminal.wait_for("mean_recall")
    terminal.press("]")
    terminal.wait_for("Rows: the truth")
    terminal.press("]")
    terminal.wait_for("0.50")
    for number in range(51, 51 + KEYS):
        begun = terminal.press(RIGHT)
        spent.append(terminal.wait_for(f"0.{number}") - begun)
    return [seconds * 1000 for seconds in spent]


def _fill(workspace: Path) -> None:
    """Make finished runs, the last one, `run-0000`, the newest and with predictions."""
    random = np.random.default_rng(0)
    for number in reversed(range(N_RUNS)):
        run = Run(workspace / "saved_models" / f"run-{number:04d}")
        run.path.mkdir(parents=True)
        run.append("started", pid=0, host="elsewhere", kind="train")
        for epoch in range(1, 21):
            run.append("epoch", stage="frozen", epoch=epoch, epochs=20, loss=1 / epoch,
                       val_loss=float(1 / epoch + random.normal(0, 0.01)), seconds=1.0)
        run.append("finished", metrics={"mean_recall": 0.9, "auroc": 0.95})
        if number == 0:
            _score(run, random)


def _score(run: Run, random: np.random.Generator) -> None:
    probabilities = random.dirichlet((1.0, 1.0, 1.0), N_PREDICTIONS).astype(np.float32)
    labels = (probabilities.cumsum(axis=1) < random.random((N_PREDICTIONS, 1))).sum(axis=1)
    predictions = Predictions(
        np.arange(N_PREDICTIONS), np.minimum(labels, 2), probabilities,
        np.arange(N_PREDICTIONS) % 200, CLASSES,
    )
    (run.path / "evaluation").mkdir()
    write_predictions(run.path / "evaluation" / "predictions.csv", predictions)
    confusion = np.zeros((3, 3), np.int64)
    np.add.at(confusion, (predictions.labels, predictions.predicted), 1)
    metrics = {"n": N_PREDICTIONS, "n_groups": 200, "mean_recall": 0.5, "per_class": {}}
    document = {
        "metrics": metrics, "confusion": confusion, "labels": CLASSES, "n": N_PREDICTIONS,
    }
    atomic.write_json(run.path / "evaluation" / "metrics.json", document)
