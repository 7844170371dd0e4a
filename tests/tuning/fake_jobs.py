"""Folds that take no time: what a search asks for, without a network."""

import json
import os
import signal
import time
from pathlib import Path

from stemcls.config.options import read_toml
from stemcls.errors import InputError, StemclsError
from stemcls.tuning.running.foldjob import once
from stemcls.tuning.study.journal import FoldResult


def place(job):
    """Return study folder, trial number and fold number from 1."""
    fold = Path(job["fold"])
    return fold.parents[2], int(fold.parent.name), int(fold.name.removeprefix("fold-"))


def score_of(model, fold):
    """Return a smooth score, a little different on every fold; 1 at its best."""
    dropout, smoothing = model["dropout"], model["label_smoothing"]
    return 1 - (dropout - 0.6) ** 2 - 2 * (smoothing - 0.2) ** 2 - 0.001 * fold * (1 + dropout)


def bowl(job):
    """Score a fold; `hold-TRIAL-FOLD` in the study's folder makes it wait until that is gone."""
    study, trial, fold = place(job)
    with (study / "calls.txt").open("a") as file:
        file.write(f"{trial} {fold}\n")

    def train(interruption):
        hold = study / f"hold-{trial}-{fold}"
        if hold.exists():
            (study / f"held-{trial}-{fold}").write_text(str(os.getpid()))
        while hold.exists():
            interruption.check()
            time.sleep(0.01)
        model = read_toml(Path(job["trial"]) / "config.toml")["model"]
        return FoldResult(score_of(model, fold), {}, 100, 5, 0.25)

    return once(job, train)


def slow_bowl(job):
    """Score a fold after a time that depends on the process, so that chance orders the folds."""
    time.sleep((os.getpid() % 7) * 0.01)
    return bowl(job)


def troubled(job):
    """Fail in the way that `trouble.json` in the study's folder says of the trial."""
    study, trial, _ = place(job)
    trouble = json.loads((study / "trouble.json").read_text()).get(str(trial))
    if trouble == "memory":
        raise MemoryError("10 GiB")
    if trouble == "nan":
        raise StemclsError("the loss is nan")
    if trouble == "input":
        raise InputError("the weights file is gone")
    if trouble == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if trouble == "exit":
        os._exit(3)
    if trouble == "disk":
        raise OSError(28, "No space left on device")
    return bowl(job)
