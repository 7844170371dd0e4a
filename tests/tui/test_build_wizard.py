"""The build wizard by keyboard alone: folder, groups, cells found while settings turn, a build."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from textual.widgets import Input

from stemcls.config.imaging import SimulateConfig
from stemcls.errors import InputError
from stemcls.imaging.simulation.simulate import simulate
from stemcls.store.cropstore import CropStore
from tui import processes, tasks
from tui.app import StemclsApp
from tui.buildplan import Plan, grouping, scan
from tui.screens.build import BuildScreen
from tui.widgets.fieldview import FieldView

from .conftest import write_store
from .driving import until
from .scored import stand_in

SIZE = (80, 24)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Two classes, a field of two donors each, eight cells a field."""
    folder = tmp_path_factory.mktemp("images") / "cells"
    simulate(folder, SimulateConfig(classes=2, fields=2, cells=8, groups=2, size_px=256,
                                    debris=0, clusters=0))
    return folder


@pytest.fixture
def workspace(tmp_path, images) -> Path:
    """An empty workspace with the images beside it, so that little must be typed."""
    (tmp_path / "cells").symlink_to(images)
    return tmp_path


@pytest.fixture
def started():
    """Processes that builds started in a test; ended and collected after it."""
    children = processes._children
    yield
    for pid in list(children):
        child = children.pop(pid)
        child.kill()
        child.wait()


def test_a_folder_is_described_with_its_kinds_and_classes(images) -> None:
    seen = scan(images)
    assert seen.likely_images[0].endswith(".ome.tif")
    assert ".tif 4, " in seen.about
    assert "one class each: class-a 2, class-b 2." in seen.about
    assert grouping(seen.likely_images[:4], "(donor-.)") == "2 groups: donor-1 2, donor-2 2."
    assert "1 files do not match" in grouping([*seen.likely_images[:4], "x.tif"], "(donor-.)")
    for pattern, words in (("(", "not a regular"), ("donor", "parentheses"), ("(q)", "none of")):
        with pytest.raises(InputError, match=words):
            grouping(seen.files, pattern)


def test_a_plan_that_cannot_be_built_is_refused_at_once(tmp_path, images, monkeypatch) -> None:
    taken = write_store(tmp_path / "datasets" / "a.h5")
    with pytest.raises(InputError, match="never overwritten"):
        Plan(images, taken).check()
    out = tmp_path / "datasets" / "b.h5"
    with pytest.raises(InputError, match="manifest: there is no file"):
        Plan(images, out, manifest=tmp_path / "none.csv").check()
    Plan(images, out).check()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="cannot be written, so no store can be built"):
        Plan(images, out).check()


async def test_from_a_folder_to_a_store_by_keyboard_alone(
    workspace, started, monkeypatch
) -> None:
    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "No crop stores in")
        await pilot.press("b")
        await until(pilot, "step 1: choose a folder")
        await pilot.press(*"cello")
        await until(pilot, "there is no folder")
        await pilot.press("backspace", "s")
        await until(pilot, "ctrl+l builds cells.h5")
        await pilot.press(*["tab"] * 6, *"(donor-.)")
        await until(pilot, "2 groups: donor-1 2, donor-2 2; ")
        await pilot.press("ctrl+n")
        screen = app.screen
        assert isinstance(screen, BuildScreen)
        await until(pilot, "names or numbers from 0 with")  # help of the first setting
        await until(pilot, " cells, median radius", 40)
        found = int(str(screen.query_one("#found-told").render()).split()[0])
        assert abs(found - 8) <= 2
        assert screen.query_one(FieldView).pixels is not None
        # Down to the threshold, and up with it until nothing is a cell.
        await pilot.press(*["down"] * 12, "x")
        await until(pilot, "! config: detect.threshold: expected float")
        assert screen.focused is screen.query_one("#setting-detect-threshold Input", Input)
        await pilot.press("backspace", "9")
        await until(pilot, " 0 cells (", 40)
        await pilot.press("backspace", "ctrl+n", "ctrl+l")
        await until(pilot, "▶ running  build cells.h5")
        await pilot.press("q")
    assert not app.is_running
    # The next UI is another process, which has no such child.
    monkeypatch.setattr(processes, "_children", {})
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "cells.h5 is built", 60)
        await until(pilot, "2 group")
    store = CropStore.open(workspace / "datasets" / "cells.h5")
    assert store.classes == ("class-a", "class-b")
    assert store.group_names == ("donor-1", "donor-2")
    assert tasks.list_tasks(workspace) == []


def test_the_progress_that_commands_write_is_understood(tmp_path, monkeypatch, capsys) -> None:
    from stemcls.commands.terminal import progress

    monkeypatch.setenv("STEMCLS_PROGRESS_SECONDS", "0")
    with progress("build") as update:
        update(2, 12, "class-a/x.tif")
    (tmp_path / "task.log").write_text(capsys.readouterr().err)
    build = tasks.Task(record=str(tmp_path / "task.json"), pid=0, host="", started=0.0,
                       kind="build", about="s.h5", result="s.h5")
    assert build.progress == (2, 12, "class-a/x.tif")


async def test_a_build_tells_its_progress_and_what_it_left_out_and_can_be_stopped(
    tmp_path, started, monkeypatch
) -> None:
    stand_in(monkeypatch, (
        "import sys, time, pathlib; print('build: 3/12 c.tif', flush=True)\n"
        "try: time.sleep(60)\nexcept BaseException: sys.exit('no')"
    ))
    store = tmp_path / "datasets" / "x.h5"
    tasks.start(tmp_path, "build", "x.h5", [], store)
    async with StemclsApp(tmp_path).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "▶ running  build x.h5  █████                3/12 c.tif, ")
        await pilot.press("s")
        await until(pilot, "build x.h5 stops.")
        text = await until(pilot, "■ stopped  build x.h5")
        assert "build: 3/12" in text
        await pilot.press("s")
        await until(pilot, "Nothing is under way")
        stand_in(monkeypatch, (
            "import pathlib, time\n"
            f"pathlib.Path({str(store)!r}).touch()\n"
            "print('└───┘', flush=True); time.sleep(0.7); print('3 cells left out')"
        ))
        store.parent.mkdir()
        tasks.start(tmp_path, "build", "x.h5", [], store)
        await until(pilot, "3 cells left out")


async def test_a_folder_of_the_tree_in_a_workspace_that_cannot_be_written(
    workspace, started, monkeypatch
) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "No crop stores in")
        await pilot.press("b")
        await until(pilot, "step 1: choose a folder")
        await until(pilot, "📁 cells")
        await pilot.press("tab", "down", "enter")
        await until(pilot, "ctrl+l builds cells.h5")

        (workspace / "saved_models").write_text("a file where the folder should be")
        await pilot.press("ctrl+l")
        text = await until(pilot, "Not built")
        assert "Not a directory" in text
        monkeypatch.setattr(os, "access", lambda *_: False)
        await pilot.press("shift+tab", "end", "backspace", "s")
        await until(pilot, "cannot be written, so no store can")
        await pilot.press("escape")
        await until(pilot, "No crop stores in")


def test_a_build_of_an_earlier_ui_is_found(tmp_path, started, monkeypatch) -> None:
    stand_in(monkeypatch, "import time; time.sleep(60)")
    build = tasks.start(tmp_path, "build", "y.h5", [], tmp_path / "datasets" / "y.h5")
    child = processes._children.pop(build.pid)
    assert [(one, one.state) for one in tasks.list_tasks(tmp_path)] == [(build, "running")]
    os.kill(build.pid, signal.SIGKILL)
    child.wait()
    end = time.monotonic() + 5
    while build.state == "running" and time.monotonic() < end:
        time.sleep(0.05)
    assert build.state == "failed"
    assert build.last_words() == "it wrote nothing"


def test_folders_below_the_classes_are_offered_as_donors(tmp_path):
    from tui.buildplan import grouping, scan

    for name in ("HSC/d1/a.png", "HSC/d2/b.png", "MPP/d1/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    seen = scan(tmp_path)
    assert "In them: d1 2, d2 1; group: folder takes these as donors." in seen.about
    assert grouping(seen.files, "folder") == "2 groups: d1 2, d2 1."
    with pytest.raises(InputError, match="matches none"):
        grouping(seen.files, "folder2")
