"""The terminal UI in a real terminal, with real training, killed for real."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from stemcls.runs import Run, list_runs

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

# Long enough to be stopped in the middle, short enough to wait for.
EPOCHS = 30
PATIENCE_SECONDS = 120.0


class Tmux:
    """A tmux server of its own, with a UI in each session."""

    def __init__(self, folder: Path, workspace: Path) -> None:
        self._socket = folder / "tmux"
        self._command = [sys.executable, "-m", "stemcls", "tui", "--workspace", str(workspace)]
        home = folder / "home"
        (home / "stemcls").mkdir(parents=True)
        (home / "stemcls" / "tui.toml").write_text('toured = true\npictures = "halfcell"\n')
        self._environment = {
            **os.environ, "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home),
            "TERM": "xterm-256color",
        }
        # Without a session the server would end when the UIs are killed.
        self._run("new-session", "-d", "-s", "hold", "sleep", "900")

    def open(self, session: str) -> int:
        """Open a UI at 120x40; return its process."""
        self._run("new-session", "-d", "-s", session, "-x", "120", "-y", "40", *self._command)
        return int(self._run("display-message", "-p", "-t", session, "#{pane_pid}"))

    def press(self, session: str, *keys: str) -> None:
        """Type keys, by tmux' names."""
        for key in keys:
            self._run("send-keys", "-t", session, key)
            time.sleep(0.3)

    def screen(self, session: str) -> str:
        """Return what is on the screen."""
        return self._run("capture-pane", "-p", "-t", session)

    def wait_for(self, session: str, seen: str | Callable[[str], bool]) -> str:
        """Wait until the screen shows it."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            text = self.screen(session)
            if seen(text) if callable(seen) else seen in text:
                return text
            time.sleep(0.2)
        raise AssertionError(f"{session} never showed {seen!r}:\n{self.screen(session)}")

    def close(self) -> None:
        """End the server and the UIs in it."""
        self._run("kill-server")

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words],
            env=self._environment, capture_output=True, text=True, check=False,
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout


@pytest.fixture
def workspace(
    tmp_path: Path, striped_store: Path, tiny_config: Path, restamp: Callable[[Path], None]
) -> Path:
    """A workspace whose store has some wrong labels, so that a model calls some cells wrongly."""
    folder = tmp_path / "workspace"
    store = folder / "datasets" / "noisy.h5"
    store.parent.mkdir(parents=True)
    shutil.copy(striped_store, store)
    with h5py.File(store, "r+") as file:
        labels = file["label"][:]
        labels[::3] = 1 - labels[::3]  # some of every donor: 3 does not divide 10
        file["label"][:] = labels
    restamp(store)
    tiny_config.write_text(
        tiny_config.read_text().replace("epochs = 3", f"epochs = {EPOCHS}\npatience = {EPOCHS}")
    )
    return folder


@pytest.fixture
def tmux(tmp_path: Path, workspace: Path) -> Iterator[Tmux]:
    """A tmux server whose UIs end with the test."""
    server = Tmux(tmp_path, workspace)
    yield server
    server.close()


def test_a_run_outlives_the_ui_and_its_wrongly_called_cells_are_seen(
    workspace: Path, tmux: Tmux, tiny_config: Path
) -> None:
    training = subprocess.Popen(
        [sys.executable, "-m", "stemcls", "train", str(workspace / "datasets" / "noisy.h5"),
         "--config", str(tiny_config), "--workspace", str(workspace)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    # A run that was started on the command line is seen, stopped and resumed.
    tmux.open("first")
    tmux.wait_for("first", "8 System")
    tmux.press("first", "3")
    tmux.wait_for("first", lambda text: "▶ running" in text and "scratch" in text)
    tmux.press("first", "s")
    tmux.wait_for("first", "■ cancelled")
    assert training.wait(60) == 130
    tmux.press("first", "r")
    tmux.wait_for("first", "▶ running")

    # The UI dies, the run does not; two UIs over one workspace show the same.
    pid = tmux.open("second")
    os.kill(pid, signal.SIGKILL)
    first = int(subprocess.run(
        ["pgrep", "-f", f"stemcls tui --workspace {workspace}"], capture_output=True, text=True,
        check=True,
    ).stdout.split()[0])
    os.kill(first, signal.SIGKILL)
    for session in ("third", "fourth"):
        tmux.open(session)
        tmux.wait_for(session, "8 System")
        tmux.press(session, "3")
    for session in ("third", "fourth"):
        tmux.wait_for(session, "✓ finished")

    # It is launched once more from the UI, as a job of its own.
    tmux.press("fourth", "a")
    tmux.wait_for("third", lambda text: "✓ finished" in text and "running" in text)

    # The matrix opens the cells behind its entry.
    run = next(run for run in list_runs(workspace) if (run.path / "model.keras").exists())
    truth, predicted = _wrong_entry(run)
    tmux.press("third", "Down", "Enter")
    tmux.wait_for("third", "mean_recall")
    tmux.press("third", "]")
    tmux.wait_for("third", "Rows: the truth")
    tmux.press("third", *["Down"] * truth, *["Right"] * predicted, "Enter")
    names = ("along x", "quer/süß")
    entry = f"{names[truth]} called {names[predicted]}"
    tmux.wait_for("third", lambda text: entry in text and "donor" in text)
    jobs = [run for run in list_runs(workspace) if run.summary()["state"] == "running"]
    assert len(jobs) == 1
    os.kill(_process_of(jobs[0]), signal.SIGTERM)


def _wrong_entry(run: Run) -> tuple[int, int]:
    confusion = np.asarray(
        json.loads((run.path / "evaluation" / "metrics.json").read_text())["confusion"]
    )
    np.fill_diagonal(confusion, 0)
    assert confusion.any(), "with a third of the labels wrong some cells are called wrongly"
    truth, predicted = np.unravel_index(confusion.argmax(), confusion.shape)
    return int(truth), int(predicted)


def _process_of(run: Run) -> int:
    return [event["pid"] for event in run.events() if event["event"] == "started"][-1]
