"""Results, Explain and Predict look as they did when a person last looked at them.

A wanted change: see `looks_as_before`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from stemcls.runs import Run
from tui.app import StemclsApp

from .driving import looks_as_before, until
from .scored import enrich, explain, lit_store, predict, score

SIZES = ((80, 24), (120, 40), (200, 60))
NOW = 1_700_000_000.0


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run, in a relative workspace, that was scored, explained and put to work."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stemcls.runs.time.time", lambda: NOW)
    made = Run(Path("saved_models") / "done")
    made.path.mkdir(parents=True)
    made.append("started", pid=0, host="here", kind="train")
    store = lit_store(Path("datasets") / "good.h5")
    score(made, store)
    enrich(made)
    explain(made, store)
    return made


def still() -> StemclsApp:
    """Return an app in which nothing moves by itself."""
    app = StemclsApp(Path())
    app.animation_level = "none"
    return app


async def look(pilot: Pilot[None], name: str, seen: str) -> None:
    """Compare the screen at three sizes."""
    for width, height in SIZES:
        await pilot.resize_terminal(width, height)
        await until(pilot, seen)
        await pilot.pause(0.3)
        await looks_as_before(pilot, f"{name}-{width}x{height}")


async def test_scores_matrix_threshold_and_cells(run: Run) -> None:
    app = still()
    async with app.run_test(size=SIZES[0]) as pilot:
        app.go("results", run=run.path)
        await until(pilot, "precision_macro")
        await look(pilot, "scores", "precision_macro")
        await pilot.press("]", "right")
        await look(pilot, "confusion", "Of 9 crops that are alpha, 1")
        await pilot.press("enter")
        await look(pilot, "cells", "map gradcam")
        await pilot.press("escape", "]")
        await until(pilot, "ROC: beta")
        await look(pilot, "threshold", "ROC: beta")


async def test_explanations(run: Run) -> None:
    app = still()
    async with app.run_test(size=SIZES[0]) as pilot:
        app.go("explain", run=run.path)
        await look(pilot, "explain", "gradcam FAILED on this model.")
        await pilot.press("enter")
        await look(pilot, "maps", "Row 1: alpha, called beta (0.60)")


async def test_a_prediction(run: Run) -> None:
    predict(Path("predictions") / "done-20260101-000000")
    app = still()
    async with app.run_test(size=SIZES[0]) as pilot:
        app.go("predict", run=run.path)
        await until(pilot, "done-20260101-000000")
        await pilot.press("enter")
        await until(pilot, "6 of 6 cells")
        await pilot.press(*["shift+right"] * 7)
        await look(pilot, "predict", "4 of 6 cells")
