"""Recipes by keyboard alone: begun, failed, finished."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stemcls import atomic
from stemcls.runs import Run
from tui.app import StemclsApp

from .driving import looks_as_before, until
from .scored import stand_in

SIZE = (120, 40)
FIGURES = [
    {"name": "AUROC", "paper": 0.97, "spread": None, "ours": 0.81, "interval": [0.7, 0.9]},
    {"name": "accuracy", "paper": 0.9, "spread": 0.02, "ours": None, "interval": None},
]
REPORT = {"figures": FIGURES, "changed": ["build.crop_px: 96 there, 48 now"],
          "not_done": {"explain": "no layer to explain"}}


def make_recipe_run(workspace: Path, name: str, message: str = "") -> Run:
    """Leave a run of a recipe: finished, or failed with a message."""
    run = Run(workspace / "recipes" / name)
    run.path.mkdir(parents=True)
    (run.path / "recipe.toml").touch()
    run.append("started", pid=1, host="elsewhere", kind="recipe")
    run.append("stage", stage="build", epochs=0)
    if message:
        run.append("failed", message=message)
    else:
        atomic.write_json(run.path / "report.json", REPORT)
        (run.path / "report.html").touch()
        run.append("finished", metrics={"auroc": 0.81})
    return run


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StemclsApp:
    """Return the UI on a workspace with one finished and one failed run of a recipe."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    make_recipe_run(tmp_path, "wang-ya-20260102-000000")
    make_recipe_run(tmp_path, "kim-muse-20260101-000000", "3 lines of low, but 4 are needed")
    app = StemclsApp(tmp_path)
    app.animation_level = "none"
    return app


async def test_figures_stand_beside_the_papers_and_the_report_opens(app, tmp_path) -> None:
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("2")
        await until(pilot, "backbone")
        await pilot.press("ctrl+r")
        await until(pilot, "0.9 ± 0.02")
        await pilot.pause(0.3)
        await looks_as_before(pilot, "recipes-120x40")
        await pilot.press("tab", "down")
        await until(pilot, "3 lines of low, but 4 are needed")
        await pilot.press("o")
        await until(pilot, "There is no report yet.")
        await pilot.press("up", "enter")
        await until(pilot, "There is no display here")
        report = tmp_path / "recipes" / "wang-ya-20260102-000000" / "report.html"
        assert app.clipboard == str(report)
        (report.with_name("report.json")).write_text("{half")
        await until(pilot, "report.json")
        await pilot.press("escape")
        await until(pilot, "backbone")


async def test_a_recipe_is_started_followed_resumed_and_its_report_opened(
    app, tmp_path, launched, monkeypatch
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    seen = stand_in(monkeypatch, "import sys; sys.exit('stemcls: images is laid out otherwise')")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("3")
        await until(pilot, "No runs in")
        await pilot.press("p")
        await until(pilot, "khalkhali-cells")
        await pilot.press("n")
        await until(pilot, "data: name the folder of the images")
        await until(pilot, "DATA/ST-HSC")
        await pilot.press(*"imagesx")
        await until(pilot, "imagesx is not a folder")
        await pilot.press("backspace")
        await until(pilot, "1 files: 1 .png")
        await pilot.press("ctrl+l")
        await until(pilot, "images is laid out otherwise", 20)
        seen += stand_in(
            monkeypatch,
            "import sys, pathlib, time; folder = pathlib.Path(sys.argv[7])\n"
            "print('train: 2/4 loss 0.5', flush=True); time.sleep(1.5)\n"
            f"(folder / 'report.json').write_text({json.dumps(REPORT)!r})",
        )
        await pilot.press("tab", "down", "r")
        await until(pilot, "2/4 loss 0.5", 20)
        await until(pilot, "There is no display here", 20)
        assert app.clipboard.endswith("kim-muse-20260101-000000/report.html")
        await until(pilot, "0.9 ± 0.02")
    assert seen[0][3:8] == ["recipes", "run", "khalkhali-cells", "--data", f"{tmp_path}/images"]
    assert seen[0][8] == "--name"
    assert seen[0][9].startswith("khalkhali-cells-")
    assert not list((tmp_path / "saved_models" / ".tasks").iterdir())
