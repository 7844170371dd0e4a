"""The mode Tune: a search as it goes on, by keyboard alone."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from textual.widgets import DataTable

from stemcls.config.experiment import Experiment, ModelConfig
from stemcls.config.options import from_mapping, read_toml
from stemcls.store.splits import Split
from stemcls.tuning.space.dimensions import Dimension
from stemcls.tuning.space.space import SearchSpace
from stemcls.tuning.study.definition import Definition
from stemcls.tuning.study.journal import FoldResult, Journal
from stemcls.tuning.study.study import Study
from tui import commandlines
from tui.app import StemclsApp
from tui.studies import read_study
from tui.studypictures import picture, pictures

from .conftest import write_store
from .driving import until

SIZE = (80, 24)
BACKBONES = ("TinyCNN", "ResNet18")


def make_study(workspace: Path, name: str = "cells", trials: int = 6) -> Study:
    """Make a search of two settings that runs in this process; trial 3 is the best."""
    store = write_store(workspace / "datasets" / "good.h5")
    space = SearchSpace((
        Dimension(key="model.backbone", kind="choice", choices=BACKBONES),
        Dimension(key="model.dropout", kind="float", low=0.0, high=0.7, default=0.3),
        Dimension(key="model.l2", kind="float", low=1e-6, high=1e-1, log=True, default=1e-3),
    ))
    experiment = Experiment(store=str(store), name=name, model=ModelConfig(weights="none"))
    definition = Definition(
        experiment=experiment, space=space, objective="balanced_accuracy", folds=3, algorithm="ei",
        racing=True, width=1, backend="tensorflow", store_hash="abc",
    )
    none = np.zeros(0, np.int64)
    split = Split(none, none, none, ("alpha", "beta"), "group", "abc")
    study = Study.create(workspace, definition, 20, split, [split] * 3)
    study.run.append(
        "started", pid=os.getpid(), host=socket.gethostname(), kind="tune", trials=20, device="cpu"
    )
    for number in range(trials):
        add_trial(study, number, 0.9 - 0.01 * abs(number - 3))
    return study


def add_trial(study: Study, number: int, score: float, ended: bool = True) -> None:
    """Add a trial to the journal, as the search does."""
    journal = Journal(study.journal_path)
    values = {"model.backbone": BACKBONES[number % 2], "model.dropout": 0.1 * (number % 7),
              "model.l2": 10.0 ** -(number % 5 + 1)}
    study.run.append("stage", stage=f"trial {number + 1}/20")
    journal.append("trial", trial=number, values=values)
    spread = 0.01 * (1 + number % 3)
    scores = (score - spread, score, score + spread) if ended else (score,)
    for fold, found in enumerate(scores):
        result = FoldResult(found, {}, 1000 * (number % 2 + 1), 5, 10.0)
        journal.append("fold", trial=number, fold=fold, result=asdict(result))
    if ended:
        journal.append("end", trial=number, state="finished", reason="", scored=3)
        study.run.append("metric", trial=number, objective=score, trial_state="finished")


def test_pictures_show_what_the_journal_tells(tmp_path) -> None:
    study = make_study(tmp_path)
    add_trial(study, 6, 0.5, ended=False)
    view = read_study(study.path)
    assert [trial.state for trial in view.trials] == ["finished"] * 6 + ["running"]
    assert view.trials[3].mark == "best"
    assert {"best", "chosen", "alike"} <= {trial.mark for trial in view.trials}
    best = picture(view, "best so far").lines[1]
    assert np.allclose(best.y, [0.87, 0.88, 0.89, 0.9, 0.9, 0.9])
    folds, means = picture(view, "spread over folds").lines
    assert np.allclose(folds.y[:3], [0.89, 0.9, 0.91])
    assert np.allclose(means.y[0], 0.9)
    by_l2 = picture(view, "model.l2")
    assert np.allclose(by_l2.lines[0].x, [-1, -2, -3, -4, -5, -1])
    by_name = picture(view, "model.backbone")
    assert [name for _, name in by_name.ticks] == list(BACKBONES)
    empty = read_study(make_study(tmp_path, "empty", 0).path)
    assert all(not picture(empty, name).lines for name in pictures(empty))
    (study.path / "study.toml").write_text("trials = 'x")
    assert "not valid TOML" in read_study(study.path).problem


async def test_a_search_is_followed_and_a_trial_is_promoted(
    tmp_path, launched, monkeypatch
) -> None:
    study = make_study(tmp_path)
    seen = []

    def fake_argv(*arguments):
        seen.append(arguments)
        return [sys.executable, "-c", "import time; time.sleep(30)"]

    async with StemclsApp(tmp_path).run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("4")
        text = await until(pilot, "6 of 20 trials, balanced_accuracy over 3 folds, by score")
        assert all(mark in text for mark in ("★ chosen", "▲ best", "≈ alike"))
        assert "▶ running" in text
        add_trial(study, 6, 0.95)
        await until(pilot, "7 of 20 trials")
        await pilot.press("enter", "ctrl+home")
        table = pilot.app.screen.query_one("#trials", DataTable)
        assert [str(table.get_cell_at((row, 0))) for row in range(3)] == ["6", "3", "2"]
        await pilot.press("O")
        await until(pilot, "by score, turned")
        assert str(table.get_cell_at((0, 0))) == "0"
        await pilot.press("O")
        for title in ("folds (o) and mean (*)", "over model.backbone", "over model.dropout"):
            await pilot.press("]")
            await until(pilot, title)
        monkeypatch.setattr(commandlines, "argv_of", fake_argv)
        await pilot.press("ctrl+home", "p")
        await until(pilot, "Train the settings of trial 6, balanced_accuracy 0.9500,")
        await pilot.press("y")
        await until(pilot, "cells-trial-6 begins as soon as")
        assert study.run.path.is_dir()
    (task, store, config, _, _), = seen
    kept = from_mapping(Experiment, read_toml(config))
    wanted = study.definition.space.experiment(
        study.definition.experiment, study.records()[6].values
    )
    assert kept.model == wanted.model
    assert (str(store), kept.name, task.backend) == (wanted.store, "cells-trial-6", "tensorflow")


async def test_a_search_that_cannot_be_read_says_why(tmp_path) -> None:
    study = make_study(tmp_path)
    study.journal_path.write_bytes(b"{half\n" + study.journal_path.read_bytes())
    async with StemclsApp(tmp_path).run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("4")
        await until(pilot, "cannot be read: line 1 of")
        await pilot.press("p", "o", "]")
        await until(pilot, "Go to a trial first.")
