"""Every screen, reached by keyboard alone, at 80x24."""

from __future__ import annotations

import os
import subprocess
import sys

from stemcls import atomic
from stemcls.runs import Run
from tui.app import StemclsApp
from tui.commands import PLACES
from tui.screens.help import help_text
from tui.widgets.datasets import DatasetsPane

from .conftest import finish, make_run, write_store
from .driving import until

SIZE = (80, 24)


async def test_datasets_show_counts_classes_groups_and_balance(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "good.h5")
        await pilot.press("down")
        text = await until(pilot, "75.0%")
        assert "3 donor" in text
        assert "8x8x1" in text
        assert "alpha ██████████" in text
        await pilot.press("enter", "end")
        await until(pilot, "donor-3: 4 crops of alpha")


async def test_a_broken_store_is_shown_with_its_reason(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "✗ unreadable")
        await until(pilot, "not an HDF5 file")
        await pilot.press("t")
        await until(pilot, "broken.h5 cannot be opened: ")


async def test_a_new_store_appears_by_itself_and_the_cursor_stays(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "good.h5")
        await pilot.press("down")
        await until(pilot, "75.0%")
        # As a build does it: written under another name, then renamed.
        hidden = write_store(workspace / "datasets" / ".part.h5", 24)
        hidden.rename(workspace / "datasets" / "a-new-one.h5")
        await until(pilot, lambda text: "a-new-one.h5" in text and "75.0%" in text)
        assert pilot.app.screen.query_one(DatasetsPane).selected.path.name == "good.h5"


async def test_an_empty_workspace_says_what_to_do_next(tmp_path) -> None:
    async with StemclsApp(tmp_path).run_test(size=SIZE, notifications=True) as pilot:
        text = await until(pilot, "stemcls demo")
        assert "stemcls build" in text
        await pilot.press("t")
        await until(pilot, "There is no store to train on yet.")
        await pilot.press("3")
        await until(pilot, "No runs in")
    assert list(tmp_path.iterdir()) == []


async def test_runs_show_state_stage_and_scores(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("3")
        text = await until(pilot, "▶ running")
        lines = {line.split()[2]: line for line in text.splitlines() if " frozen 1/5" in line}
        assert "▶ running" in lines["alive"]
        assert "✗ crashed" in lines["dead"]
        assert "✓ finished" in lines["done"]
        assert "0.812" in lines["done"] or "0.813" in lines["done"]
        assert "0.900" in lines["done"]


async def test_the_list_follows_an_event_that_is_appended(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("3")
        await until(pilot, "▶ running")
        run = Run(workspace / "saved_models" / "alive")
        run.append("epoch", stage="frozen", epoch=4, epochs=5, val_loss=0.5)
        await until(pilot, "frozen 4/5")
        finish(run)
        await until(pilot, lambda text: "✓ finished  alive" in text)


async def test_a_run_shows_intervals_matrix_history_and_log(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("3")
        await until(pilot, "▶ running")
        await pilot.press("down", "down", "enter")
        text = await until(pilot, "[0.600 0.900]")
        assert "16 crops of 3 groups" in text
        assert [line.split()[:3] for line in text.splitlines() if "alpha" in line] == [
            ["alpha", "8", "0.750"]
        ]
        await pilot.press("]")
        text = await until(pilot, "Of 8 crops that are alpha, 7 (87.5%) were rightly called alpha.")
        assert "6  75%" in text
        await pilot.press("right")
        await until(pilot, "Of 8 crops that are alpha, 1 (12.5%) were wrongly called beta. ")
        await pilot.press("]", "]", "]")
        text = await until(pilot, "val_loss, oldest to latest")
        assert "0.800" in text
        await pilot.press("]")
        await until(pilot, "second line of the log")
        await pilot.press("3")
        await until(pilot, "▶ running")


async def test_an_open_run_follows_its_folder(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("3")
        await until(pilot, "▶ running")
        await pilot.press("enter")
        await until(pilot, "No evaluation yet")
        finish(Run(workspace / "saved_models" / "alive"))
        text = await until(pilot, "[0.600 0.900]")
        assert "✓ finished" in text


async def test_a_cross_validation_shows_its_folds(tmp_path) -> None:
    parent = make_run(tmp_path, "folds", os.getpid())
    parent.append("metric", fold=1, fold_metrics={"mean_recall": 0.75, "auroc": 0.5})
    make_run(parent.path / "x", "fold-2", os.getpid()).path.parent.rename(parent.path / "folds")
    app = StemclsApp(tmp_path)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        app.go("results", run=parent.path)
        await until(pilot, "0.750")
        await pilot.press("]", "]", "]", "]")
        await until(pilot, lambda text: ["2", "frozen", "1/5"] in [
            line.split()[:3] for line in text.splitlines()
        ])


async def test_a_run_shows_which_methods_explained_it(workspace) -> None:
    run = workspace / "saved_models" / "done"
    folder = run / "explanations" / "20260101-000000"
    folder.mkdir(parents=True)
    check = {"passed": False, "verdict": "gradcam FAILED on this model."}
    rows = [
        {"method": "gradcam", "layer": "relu_3", "pixel_score": 0.3125,
         "inside": {"mass": 0.75, "area": 0.25, "n": 4}, "check": check},
        {"method": "lrp", "layer": "", "pixel_score": 0.0625, "inside": None, "check": None},
    ]
    document = {"gallery": "here/gallery.html", "n_cells": 64, "methods": rows}
    atomic.write_json(folder / "explanation.json", document)
    app = StemclsApp(workspace)
    async with app.run_test(size=(110, 30), notifications=True) as pilot:
        app.go("results", run=run)
        await until(pilot, "0.812")
        await pilot.press("[", "[")
        text = await until(pilot, "gradcam FAILED on this model.")
        lines = {line.split()[0]: line.split() for line in text.splitlines() if " 64 " in line}
        assert lines["gradcam"][1:7] == ["0.312", "0.750", "0.250", "failed", "64", "relu_3"]
        assert lines["lrp"][1:6] == ["0.062", "-", "-", "-", "64"]
        assert "here/gallery.html" in text
        (folder / "explanation.json").write_text("{half")
        await until(pilot, "cannot be read")


async def test_damaged_numbers_are_named_and_do_not_end_the_app(workspace) -> None:
    (workspace / "saved_models" / "done" / "evaluation" / "metrics.json").write_text("{half")
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("3")
        await until(pilot, "▶ running")
        await pilot.press("down", "down", "enter")
        await until(pilot, "is damaged")


async def test_help_explains_the_screen_and_q_quits(workspace) -> None:
    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        text = await until(pilot, "q Quit")
        assert "? Help" in text
        await pilot.press("question_mark")
        text = await until(pilot, "Help (esc closes)")
        assert "Train on it" in text
        assert "Resume" not in text, "that is a command of another screen"
        await pilot.press("escape")
        await until(pilot, lambda text: "Help (esc closes)" not in text)
        await pilot.press("q")
    assert not app.is_running


def test_help_names_each_command() -> None:
    text = help_text(list(PLACES)).plain
    for place in PLACES.values():
        for command in place.commands:
            assert command.label in text
            assert command.help in text


def test_importing_the_ui_imports_no_keras_and_no_backend() -> None:
    code = (
        "import sys, tui.app\n"
        "heavy = {'keras', 'tensorflow', 'torch', 'jax', 'sklearn', 'skimage', 'cv2'}\n"
        "ours = ('stemcls.commands', 'stemcls.training', 'stemcls.models', 'stemcls.imaging')\n"
        "print(sorted(m for m in sys.modules if m in heavy or m.startswith(ours)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
