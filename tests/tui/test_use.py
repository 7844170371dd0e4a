"""The tab of uses: exports, another site, a web page; by keyboard alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemcls import atomic
from stemcls.export.targets import TARGETS
from stemcls.runs import Run
from tui import use
from tui.app import StemclsApp

from .conftest import NO_SUCH_PID, make_run
from .driving import until
from .scored import lit_store, score, stand_in

SIZE = (100, 32)
EXPORT = {
    "format": "onnx", "calibrated": False, "n": 16, "side": "test", "largest_difference": 3.2e-7,
    "tolerance": 1e-4,
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = make_run(tmp_path, "done", NO_SUCH_PID)
    score(made, lit_store(tmp_path / "datasets" / "good.h5"))
    return made


def put_to_use(run: Run) -> None:
    """Leave an export that is whole and one that is not, and what `stemcls adapt` compares."""
    for name, document in (("onnx", EXPORT), ("bioimageio", {**EXPORT, "format": "bioimageio"})):
        (run.path / "exports" / name).mkdir(parents=True)
        atomic.write_json(run.path / "exports" / name / "export.json", document)
    (run.path / "exports" / "litert").mkdir()
    (run.path / "exports" / "litert" / "export.json").write_text("{half")
    plan = {"source": "saved_models/base", "store": "datasets/new-site.h5", "labels": [10, 30],
            "metric": "mean_recall", "settings": {}, "notes": []}
    scores = {"mean_recall": 0.7, "mean_recall_ci": [0.6, 0.8]}
    better = {"mean_recall": 0.9, "mean_recall_ci": [0.85, 0.95]}
    comparison = {
        "run": str(run.path), "source": plan["source"], "store": plan["store"],
        "metric": "mean_recall", "test": {"crops": 240, "groups": 6}, "unadapted": scores,
        "points": [{"labels": 10, "adapted": scores, "scratch": {"mean_recall": 0.5}},
                   {"labels": 30, "adapted": better, "scratch": scores}],
        "notes": ["100 labels a class were asked for, but beside those that test beta has only 40"],
        "verdict": "not shown",
        "why": "not shown to be better than the unadapted model: mean recall +0.040",
    }
    (run.path / "adapt").mkdir()
    atomic.write_json(run.path / "adapt" / "plan.json", plan)
    atomic.write_json(run.path / "adapt" / "comparison.json", comparison)


def test_the_form_offers_the_formats_that_the_command_takes() -> None:
    assert tuple(TARGETS) == use.FORMATS


async def test_exports_and_the_verdict_on_another_site_are_shown(run, tmp_path) -> None:
    put_to_use(run)
    app = StemclsApp(tmp_path)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        app.go("results", run=run.path)
        await until(pilot, "0.812")
        await pilot.press("[", "[", "[")
        text = await until(pilot, "exports/onnx")
        assert "3e-07" in text
        assert "16 test crops" in text
        assert "litert/export.jsonisdamaged" in "".join(text.split())
        assert "exports/bioimageio was not tested by bioimageio.core" in " ".join(text.split())
        assert "adapted to datasets/new-site.h5" in text
        assert "mean recall on 240 crops of 6 groups" in text
        assert "0.900 [0.850 0.950]  0.700 [0.600 0.800]" in text
        words = " ".join(text.split())
        assert "NOT SHOWN (not shown to be better than the unadapted model" in words
        assert "beta has only 40" in words
        await pilot.press("w")
        await until(pilot, "Ctrl-C ends it")
        assert app.clipboard == f"stemcls serve {run.path}"
        (run.path / "adapt" / "comparison.json").unlink()
        await until(pilot, "The comparison is not written yet")


async def test_an_export_is_started_and_a_missing_extra_is_told(
    run, tmp_path, launched, monkeypatch
) -> None:
    (run.path / "exports" / "onnx").mkdir(parents=True)
    said = "--to saved_model needs the package tensorflow; pip install 'stemcls[export]'"
    seen = stand_in(monkeypatch, f"import sys; sys.exit({said!r})")
    app = StemclsApp(tmp_path)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        app.go("results", run=run.path)
        await until(pilot, "0.812")
        await pilot.press("[", "[", "[")
        await until(pilot, "none yet: n writes the model")
        await pilot.press("n")
        await until(pilot, "exports/onnx is in the run already: remove it first")
        await pilot.press("enter", "down", "enter")
        await until(pilot, "All settings are valid.")
        await pilot.press("ctrl+l")
        text = await until(pilot, "pip install 'stemcls[export]'", 20)
        assert "✗ failed  export done to saved_model" in text
    (argv,) = seen
    assert argv[3:7] == ["export", str(run.path), "--to", "saved_model"]
    assert "--backend" not in argv
