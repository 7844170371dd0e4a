"""Screens with results look as they did when a person last looked at them.

A wanted change: see `looks_as_before`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stemcls.runs import Run
from tui.app import StemclsApp

from .conftest import finish, write_store
from .driving import looks_as_before, until
from .test_scores import enrich

pytestmark = pytest.mark.skipif(
    not os.environ.get("STEMCLS_SNAPSHOTS"),
    reason="pictures are compared in a process of their own: STEMCLS_SNAPSHOTS=1 pytest -n0 FILE",
)

SIZE = (100, 44)


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a relative workspace of one store and one run that took no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stemcls.runs.time.time", lambda: 1_700_000_000.0)
    workspace = Path()
    write_store(workspace / "datasets" / "good.h5")
    run = Run(workspace / "saved_models" / "done")
    run.path.mkdir(parents=True)
    run.append("started", pid=0, host="here", kind="train")
    finish(run)
    enrich(run)
    return workspace


async def test_the_scores_of_a_run_with_calibration_and_an_external_set(finished) -> None:
    app = _still(finished)
    async with app.run_test(size=SIZE) as pilot:
        app.go("results", run=finished / "saved_models" / "done")
        await until(pilot, "mice-2-abcd1234")
        looks_as_before(app, "scores")


def _still(workspace: Path) -> StemclsApp:
    app = StemclsApp(workspace)
    app.animation_level = "none"
    return app
