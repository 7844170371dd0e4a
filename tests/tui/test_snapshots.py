"""Screens with results look as they did when a person last looked at them.

A wanted change: `pytest tests/tui/test_snapshots.py -n0 --snapshot-update`, then look at the SVG.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from stemcls.runs import Run
from tui.app import StemclsApp
from tui.screens.detail import RunScreen

from .conftest import finish, write_store
from .driving import until
from .test_audit_widget import write_audit_of
from .test_scores import enrich

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
    write_audit_of(workspace, "abc")
    return workspace


def test_the_scores_of_a_run_with_calibration_and_an_external_set(finished, snap_compare) -> None:
    app = _still(finished)

    async def show(pilot: Pilot[Any]) -> None:
        app.push_screen(RunScreen(finished, Run(finished / "saved_models" / "done")))
        await until(pilot, "mice-2-abcd1234")

    assert snap_compare(app, terminal_size=SIZE, run_before=show)


def test_a_store_with_an_audit(finished, snap_compare) -> None:
    async def show(pilot: Pilot[Any]) -> None:
        pilot.app.screen.query_one(".title", Static).update("stemcls   WORKSPACE")
        await until(pilot, "To do: even out the light")

    assert snap_compare(_still(finished), terminal_size=SIZE, run_before=show)


def _still(workspace: Path) -> StemclsApp:
    app = StemclsApp(workspace)
    app.animation_level = "none"
    return app
