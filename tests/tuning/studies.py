"""What tests of studies share: waiting for processes, and what a study came to."""

import os
import time
from pathlib import Path

HERE = Path(__file__).parent
SUPERVISOR = HERE / "supervisor.py"
# So that other processes find the fake folds.
PYTHONPATH = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])


def finished(process, code=0):
    """Wait for a process and return its stdout and stderr."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, (process.returncode, err)
    return out.strip(), err


def wait_for(what, seconds=60.0):
    """Wait until `what()` is true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it never came")


def trace(study):
    """Return what a study came to, without times."""
    return [
        (r.number, r.values, r.state, r.reason, r.scores, r.scored) for r in study.records()
    ]


def hold(study, trial, fold):
    """Make a fold (from 1) wait until the file that is returned is gone."""
    path = study.path / f"hold-{trial}-{fold}"
    path.touch()
    return path


def held_by(study, trial, fold):
    """Wait until the fold waits; return the number of its process."""
    path = study.path / f"held-{trial}-{fold}"
    return int(wait_for(lambda: path.is_file() and path.read_text()))


def calls(study):
    """Return (trial, fold) of each call of a fold, in order."""
    lines = (study.path / "calls.txt").read_text().splitlines()
    return [tuple(map(int, line.split())) for line in lines]
