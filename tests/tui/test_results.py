"""The mode of results by keyboard alone: from a number to the cells behind it."""

from __future__ import annotations

import csv
import shutil

import pytest

from stemcls import atomic
from stemcls.runs import Run
from tui.widgets.table import Table

from .conftest import NO_SUCH_PID, make_run
from .driving import opened, until, unwrapped
from .scored import enrich, explain, score, scored_run, stand_in


@pytest.fixture
def run(tmp_path) -> Run:
    made = scored_run(tmp_path)
    explain(made, tmp_path / "datasets" / "good.h5")
    return made


async def test_enter_on_the_matrix_opens_the_cells_with_maps_and_origin(run, tmp_path) -> None:
    async with opened(tmp_path, "results", "0.812", run.path) as pilot:
        await pilot.press("]")
        await until(pilot, "Of 9 crops that are alpha, 8")
        await pilot.press("right", "enter")
        text = await until(pilot, "map gradcam, pixel score 0.250")
        assert "alpha called beta: 1 cell, surest first" in text
        assert "0.60 1 *" in text, "score, row, and that there is a map"
        assert "group donor-2" in text
        assert "field field-1.tif" in text
        assert "0.400 ███▎     alpha true" in text
        await pilot.press("m")
        await until(pilot, "map lrp, pixel score 0.250")
        await pilot.press("x")
        await until(pilot, "Written")
        (written,) = (tmp_path / "exports").iterdir()
        (row,) = csv.DictReader(written.read_text().splitlines())
        assert (row["row"], row["truth"], row["field"]) == ("1", "alpha", "field-1.tif")
        # The store goes: numbers stay, pictures cannot.
        await pilot.press("escape")
        (tmp_path / "datasets" / "good.h5").unlink()
        await pilot.press("down", "left", "enter")
        text = await until(pilot, "good.h5 is gone")
        assert "beta called alpha: 1 cell" in text
        await until(pilot, "row 8  score 0.700")


async def test_keys_move_the_threshold_and_the_groups_have_names(run, tmp_path) -> None:
    async with opened(tmp_path, "results", "0.812", run.path) as pilot:
        await pilot.press("]", "]")
        text = await until(pilot, "called     3 of 12")
        assert "beta against the other class" in text
        assert "sensitivity 0.667" in text
        await until(pilot, "ROC: beta")
        await pilot.press("shift+right", "right")
        text = await until(pilot, "called     2 of 12")
        assert "threshold  0.61" in text
        assert "specificity 1.000" in text
        assert "ppv         1.000" in text
        await pilot.press("down")
        await until(pilot, "alpha against the other class")
        await pilot.press("]")
        await until(pilot, lambda text: "3 by donor" in text and "donor-2" in text)
        await pilot.press("x")
        await until(pilot, "exports/done-groups-table")


async def test_damage_is_said_where_the_numbers_would_be(run, tmp_path) -> None:
    enrich(run)
    path = run.path / "evaluation" / "predictions.csv"
    path.write_text("row,group\n")
    async with opened(tmp_path, "results", "0.812", run.path) as pilot:
        await pilot.press("]")
        await until(pilot, "Rows: the truth")
        await pilot.press("enter")
        await until(pilot, lambda text: "is not a table of predictions" in unwrapped(text))
        path.unlink()
        await pilot.press("]")
        await until(pilot, "there are no predictions at")
        await pilot.press("[", "[", "e")
        await until(pilot, "the scores on mice-2-abcd1234 have an unknown form")
        shutil.rmtree(run.path)
        await until(pilot, "This run's folder is gone.")


async def test_marked_runs_stand_side_by_side_and_a_test_is_started(
    run, tmp_path, launched, monkeypatch
) -> None:
    other = make_run(tmp_path, "other", NO_SUCH_PID)
    score(other, tmp_path / "datasets" / "good.h5")
    tested = {"ci": [-0.1, 0.2], "difference": 0.05, "p_holm": 0.5}
    document = {
        "reference": "done", "test": "paired bootstrap", "notes": ["few groups"],
        "runs": [
            {"run": "done", "path": str(run.path), "reference": True, "differences": None,
             "not_comparable": None},
            {"run": "other", "path": str(other.path), "reference": False,
             "differences": {"auroc": tested}, "not_comparable": None},
        ],
    }
    atomic.write_json(tmp_path / "made.json", document)
    seen = stand_in(
        monkeypatch,
        "import sys, pathlib, shutil; out = pathlib.Path(sys.argv[sys.argv.index('--out') + 1])\n"
        "out.mkdir(parents=True); shutil.copy('made.json', out / 'comparison.json')",
    )
    monkeypatch.chdir(tmp_path)
    async with opened(tmp_path, "results", "0.812", run.path, size=(100, 36)) as pilot:
        await pilot.press("[")
        await until(pilot, "● A  done")
        await pilot.press("c")
        await until(pilot, "Mark two runs or more")
        listed = pilot.app.screen.query_one("#compare-runs", Table)
        first = listed.get_row_at(0)[1].plain  # runs are listed by the time of their folders
        await pilot.press(*["down"] * (first != "other"), "space")
        await until(pilot, lambda text: text.count("0.812 [0.600 0.900]") == 2)
        await pilot.press("c")
        text = await until(pilot, "+0.050 [-0.100 +0.200] p=0.5", 20)
        assert "few groups" in text
    assert seen[0][3:6] == ["compare", str(run.path), str(other.path)]


async def test_the_report_is_written_then_its_path_is_shown(
    run, tmp_path, launched, monkeypatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    seen = stand_in(
        monkeypatch, "import sys, pathlib; (pathlib.Path(sys.argv[5]) / 'report.html').touch()"
    )
    async with opened(tmp_path, "results", "0.812", run.path) as pilot:
        await pilot.press("o")
        await until(pilot, "There is no display here", 20)
        assert pilot.app.clipboard == str(run.path / "report.html")
    assert seen[0][3:5] == ["report", str(run.path)]
