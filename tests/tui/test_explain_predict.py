"""The modes Explain and Predict by keyboard alone."""

from __future__ import annotations

import csv

import pytest

from stemcls.runs import Run

from .driving import opened, until
from .scored import explain, predict, scored_run, stand_in

BUSY = "import time; print('{}: 1/2 so far', flush=True); time.sleep(60)"


@pytest.fixture
def run(tmp_path) -> Run:
    return scored_run(tmp_path)


async def test_explanations_are_browsed_and_new_ones_started(
    run, tmp_path, launched, monkeypatch
) -> None:
    explain(run, tmp_path / "datasets" / "good.h5")
    seen = stand_in(monkeypatch, BUSY.format("explain"))
    async with opened(tmp_path, "explain", "No run is chosen") as pilot:
        await pilot.press("c")
        await until(pilot, "Explain which run?")
        await pilot.press("enter")
        await until(pilot, "gradcam FAILED on this model.")
        await pilot.press("enter")
        await until(pilot, "gradcam (1 of 2) at layer relu_3: 2 cells")
        await pilot.press("right")
        await until(pilot, "Row 8: beta, called alpha (0.70); pixel score 0.500")
        await pilot.press("enter", "m")
        await until(pilot, "lrp (2 of 2): 2 cells")
        await pilot.press("escape", "escape")
        await until(pilot, "⏎ Pictures")
        await pilot.press("n")
        await until(pilot, "All settings are valid.")
        await pilot.press("enter", "down", "enter")
        await pilot.press("ctrl+l")
        await until(pilot, "1/2 so far")
        await pilot.press("s")
        await until(pilot, "■ stopped  explain done")
    (argv,) = seen
    assert argv[3:5] == ["explain", str(run.path)]
    assert argv[argv.index("--rows") + 1] == "8,1", "the wrong ones, surest first"
    assert argv[argv.index("--method") + 1] == "gradcam"
    assert str(run.path / "explanations") in argv[argv.index("--out") + 1]


async def test_what_cannot_be_explained_or_predicted_says_why(run, tmp_path) -> None:
    (run.path / "model.keras").unlink()
    async with opened(tmp_path, "predict", "No prediction yet.", run.path) as pilot:
        await pilot.press("n")
        await until(pilot, "done has no model: it is finished")
        await pilot.press("6")
        await until(pilot, "Nothing yet.")
        await pilot.press("n", "enter")
        await until(pilot, "done has no model")


async def test_a_folder_is_predicted_and_its_fields_are_browsed(
    run, tmp_path, launched, monkeypatch
) -> None:
    made = predict(tmp_path / "made")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "one.tif").touch()
    seen = stand_in(
        monkeypatch,
        "import sys, shutil, pathlib, time; print('predict: 1/2 3 cells', flush=True)\n"
        "time.sleep(1.5); out = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])\n"
        f"shutil.copytree({str(made.parent)!r}, out.parent, dirs_exist_ok=True); "
        "out.touch()",
    )
    async with opened(tmp_path, "predict", "No prediction yet.", run.path) as pilot:
        await pilot.press("n")
        await until(pilot, "! input: name a folder")
        await pilot.press(*"nowhere")
        await until(pilot, "nowhere does not exist")
        await pilot.press("ctrl+l")
        await until(pilot, "Not launched")
        await pilot.press(*["backspace"] * 7, *"new")
        await until(pilot, "1 files: 1 .tif")
        await until(pilot, "All settings are valid.")
        await pilot.press("ctrl+l")
        await until(pilot, "1/2 3 cells")
        await until(pilot, "Enter opens it.", 20)
        await until(pilot, lambda text: any(
            line.split()[1:2] == ["6"] for line in text.splitlines()
        ))
        await pilot.press("enter")
        text = await until(pilot, "6 of 6 cells")
        assert "6 cells of 2 files" in text
        await pilot.press(*["shift+right"] * 7)
        text = await until(pilot, "4 of 6 cells")
        assert "score from 0.70" in text
        await pilot.press("x")
        await until(pilot, "Written")
        (written,) = (tmp_path / "exports").iterdir()
        rows = list(csv.DictReader(written.read_text().splitlines()))
        assert [row["class"] for row in rows] == ["alpha", "beta"] * 2
        await pilot.press("down")
        await until(pilot, "There is no picture of it")
        await pilot.press("escape")
        await until(pilot, "⏎ Open")
    (argv,) = seen
    assert argv[3:6] == ["predict", str(run.path), str(tmp_path / "new")]
    assert "--kind" not in argv
    (folder,) = (tmp_path / "predictions").iterdir()
    assert folder.name.startswith("done-")


async def test_a_prediction_that_fails_shows_its_last_words(
    run, tmp_path, launched, monkeypatch
) -> None:
    (tmp_path / "notes.txt").touch()
    stand_in(monkeypatch, "import sys; sys.exit('stemcls: folder X holds no images')")
    async with opened(tmp_path, "predict", "No prediction yet.", run.path) as pilot:
        await pilot.press("n")
        await until(pilot, "! input: name a folder")
        await pilot.press(*"notes.txt")
        await until(pilot, "All settings are valid.")
        await pilot.press("ctrl+l")
        text = await until(pilot, "stemcls: folder X holds no images", 20)
        assert "✗ failed  predict done-" in text
