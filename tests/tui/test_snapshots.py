"""Screens with results look as they did when a person last looked at them.

A wanted change: see `looks_as_before`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.widgets import Static

from tui.app import StemclsApp

from .conftest import write_store
from .driving import looks_as_before, until
from .test_audit_widget import write_audit_of

pytestmark = pytest.mark.skipif(
    not os.environ.get("STEMCLS_SNAPSHOTS"),
    reason="pictures are compared in a process of their own: STEMCLS_SNAPSHOTS=1 pytest -n0 FILE",
)

SIZE = (100, 44)


@pytest.fixture
def audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a relative workspace of one store with an audit."""
    monkeypatch.chdir(tmp_path)
    workspace = Path()
    write_store(workspace / "datasets" / "good.h5")
    write_audit_of(workspace, "abc")
    return workspace


async def test_a_store_with_an_audit(audited) -> None:
    app = _still(audited)
    async with app.run_test(size=SIZE) as pilot:
        app.screen.query_one(".title", Static).update("stemcls   WORKSPACE")
        await until(pilot, "To do: even out the light")
        looks_as_before(app, "audit")


def _still(workspace: Path) -> StemclsApp:
    app = StemclsApp(workspace)
    app.animation_level = "none"
    return app
