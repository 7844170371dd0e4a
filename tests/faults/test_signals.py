"""Ctrl-C, SIGTERM and a hang-up end every command with exit code 130 and one line."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# Runs the command line and sends this process a signal when a module is first asked for.
CHILD = """
import os, signal, sys
number, module = int(sys.argv[1]), sys.argv[2]

class Tripwire:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), number)

sys.meta_path.insert(0, Tripwire())
sys.argv = ["stemcls", *sys.argv[3:]]
from stemcls.__main__ import main
main()
"""


def run_into(number: int, module: str, *arguments: object, ignored: bool = False):
    """Run a command that is sent a signal as it imports `module`."""
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(int(number)), module, *map(str, arguments)],
        capture_output=True, text=True, timeout=120,
        preexec_fn=(lambda: signal.signal(number, signal.SIG_IGN)) if ignored else None,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("module", ["typer", "stemcls.config.imaging"])
def test_a_signal_while_the_commands_are_imported_ends_with_130_and_one_line(number, module):
    result = run_into(number, module, "--version")
    assert result.returncode == 130
    assert result.stdout == ""
    name = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    assert result.stderr == f"stemcls: interrupted{name}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_command_imports_what_it_needs_ends_with_130_and_one_line(
    number, tmp_path
):
    """In a piece of generated code Python would kill itself by SIGINT afterwards."""
    for module in ("stemcls.store.cropstore", "h5py"):
        result = run_into(number, module, "info", tmp_path / "none.h5")
        assert result.returncode == 130, result.stderr
        assert result.stderr.startswith("stemcls: interrupted")
        assert result.stderr.count("\n") == 1


def test_a_signal_while_keras_is_imported_ends_with_one_line_without_banners(striped_store):
    result = run_into(
        signal.SIGTERM, "keras.src.layers", "train", striped_store, "--weights", "none"
    )
    assert result.returncode == 130
    assert result.stderr.splitlines() == ["stemcls: interrupted by SIGTERM"]


def test_a_hang_up_that_nohup_lets_pass_is_passed_over(tmp_path):
    result = run_into(
        signal.SIGHUP, "stemcls.store.cropstore", "info", tmp_path / "none.h5", ignored=True
    )
    assert result.returncode == 2
    assert "none.h5" in result.stderr
