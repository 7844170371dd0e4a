"""The tab of uses and the recipes look as they did when a person last looked at them.

A wanted change: see `looks_as_before`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from stemcls.runs import Run
from tui.app import StemclsApp

from .driving import looks_as_before, until
from .scored import lit_store, score
from .test_use import put_to_use

SIZE = (120, 40)
NOW = 1_700_000_000.0


async def test_exports_and_another_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stemcls.runs.time.time", lambda: NOW)
    run = Run(Path("saved_models") / "done")
    run.path.mkdir(parents=True)
    run.append("started", pid=0, host="here", kind="train")
    score(run, lit_store(Path("datasets") / "good.h5"))
    put_to_use(run)
    app = StemclsApp(Path())
    app.animation_level = "none"
    async with app.run_test(size=SIZE) as pilot:
        app.go("results", run=run.path)
        await until(pilot, "0.812")
        await pilot.press("[", "[", "[")
        await until(pilot, "NOT SHOWN")
        await pilot.pause(0.3)
        await looks_as_before(pilot, "use-120x40")
