"""Train, Runs and Tune look as they did when a person last looked at them.

A wanted change: see `looks_as_before`.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from textual.widgets import Input

from stemcls import atomic
from stemcls.runs import Run
from tui.app import StemclsApp
from tui.board import keep_about
from tui.devices import GIB, Device
from tui.reading import RunBoard, StoreShelf

from .conftest import finish, write_store
from .driving import looks_as_before, until
from .test_tune import make_study

NOW = 1_700_000_000.0
SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.fixture
def still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StemclsApp:
    """Return the UI on a relative workspace in which no time passes and nothing moves."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stemcls.runs.time.time", lambda: NOW)
    cpu = Device("cpu", "processor, 8 cores", 12 * GIB, 32 * GIB)
    monkeypatch.setattr("tui.widgets.jobform.list_devices", lambda: [cpu])
    write_store(Path("datasets/good.h5"))
    app = StemclsApp(Path())
    app.workspace, app._board, app._shelf = Path(), RunBoard(Path()), StoreShelf(Path())
    app.animation_level = "none"
    return app


def write_run(name: str, rate: float, epochs: int, age: float) -> Run:
    """Write a run on another host, its losses falling at a rate, begun some seconds ago."""
    run = Run(Path("saved_models") / name)
    run.path.mkdir(parents=True)
    losses = [0.2 + 0.8 * rate**epoch for epoch in range(1, epochs + 1)]
    events = [
        {"event": "started", "pid": 1, "host": "elsewhere", "kind": "train", "device": "0"},
        {"event": "stage", "stage": "scratch", "epochs": 20},
        *({"event": "epoch", "stage": "scratch", "epoch": epoch, "epochs": 20,
           "loss": loss * 0.9, "val_loss": loss} for epoch, loss in enumerate(losses, start=1)),
    ]
    lines = [atomic.dump_json({"time": NOW - age + 10 * place, **event})
             for place, event in enumerate(events)]
    (run.path / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (run.path / "config.toml").write_text('store = "datasets/good.h5"\nmodel.weights = "none"\n')
    (run.path / "log.txt").write_text(f"stage scratch: at most 20 epochs\n{epochs} epochs done\n")
    return run


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_runs_with_curves(still, size) -> None:
    write_run("slow-rate", 0.95, 9, 130)
    keep_about(write_run("fast", 0.8, 14, 400).path, title="fast, second try", tags=("donors",))
    finish(write_run("done", 0.9, 20, 900))
    async with still.run_test(size=size) as pilot:
        await pilot.press("3")
        await until(pilot, "slow-rate")
        await pilot.press("space", "space")
        await until(pilot, "val_loss by epoch: o slow-rate, x fast, second try")
        await until(pilot, "saved_models/done")
        await looks_as_before(pilot, f"runs-{size[0]}")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_form_of_a_run(still, size) -> None:
    async with still.run_test(size=size) as pilot:
        await pilot.press("2")
        await until(pilot, "All settings are valid")
        await until(pilot, "processor, 8 cores, 12.0 of 32.0 GiB free")
        for field in still.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause(0.3)
        await looks_as_before(pilot, f"train-{size[0]}")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_search(still, size) -> None:
    study = make_study(Path())
    events = study.path / "events.jsonl"
    events.write_text(events.read_text().replace(socket.gethostname(), "elsewhere"))
    keep_about(study.path, title="cells-tune")
    async with still.run_test(size=size) as pilot:
        await pilot.press("4")
        await until(pilot, "6 of 20 trials, balanced_accuracy over 3 folds, by score")
        await until(pilot, "cells-tune")
        await looks_as_before(pilot, f"tune-{size[0]}")
