"""The tab of explanations looks as it did when a person last looked at it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stemcls import atomic
from stemcls.runs import Run
from tui.app import StemclsApp

from .conftest import finish
from .driving import looks_as_before, until

pytestmark = pytest.mark.skipif(
    not os.environ.get("STEMCLS_SNAPSHOTS"),
    reason="pictures are compared in a process of their own: STEMCLS_SNAPSHOTS=1 pytest -n0 FILE",
)

VERDICT = (
    "gradcam passed on this model (16 cells). Random weights change its maps (rank correlation "
    "0.16, at most 0.75 is wanted)."
)


@pytest.fixture
def explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a finished run with two explanations, one of them damaged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stemcls.runs.time.time", lambda: 1_700_000_000.0)
    run = Run(Path("saved_models") / "done")
    run.path.mkdir(parents=True)
    run.append("started", pid=0, host="here", kind="train")
    finish(run)
    rows: list[dict[str, Any]] = [
        {"method": "gradcam", "layer": "block4b_relu", "pixel_score": 0.3125,
         "inside": {"mass": 0.75, "area": 0.25, "n": 4},
         "check": {"passed": True, "verdict": VERDICT}},
        {"method": "lrp", "layer": "", "pixel_score": 0.0625, "inside": None, "check": None},
    ]
    home = run.path / "explanations"
    (home / "20260102-000000").mkdir(parents=True)
    document = {"gallery": "here/gallery.html", "n_cells": 64, "methods": rows}
    atomic.write_json(home / "20260102-000000" / "explanation.json", document)
    (home / "20260101-000000").mkdir()
    (home / "20260101-000000" / "explanation.json").write_text("{half")
    return run


async def test_the_methods_that_explained_a_run(explained: Run) -> None:
    app = StemclsApp(Path())
    app.animation_level = "none"
    async with app.run_test(size=(110, 30)) as pilot:
        app.go("results", run=explained.path)
        await until(pilot, "Explained")
        await pilot.press("[", "[")
        await until(pilot, "gradcam passed on this model")
        looks_as_before(app, "explained")
