"""The training form offers every setting, refuses bad values, and starts a real process."""

from __future__ import annotations

import os
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Input, Static, Switch

from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, options_of, read_toml
from stemcls.config.recipes import RECIPES, recipe
from tui import commandlines
from tui.app import StemclsApp
from tui.commandlines import Search, Training
from tui.devices import GIB, Device
from tui.widgets.jobform import JobForm
from tui.widgets.setting import Setting, parse, written

from .driving import until

SIZE = (80, 24)
FAKE = "import os, sys, time; print('pid', os.getpid(), flush=True); time.sleep(30)"


async def _open_form(pilot) -> JobForm:
    await until(pilot, "good.h5")
    await pilot.press("down", "t")
    await until(pilot, "All settings are valid")
    await pilot.press("down", "down", "down")  # store, preset, device; then the first field
    return pilot.app.screen.query_one(JobForm)


async def test_every_setting_is_on_the_form_with_its_default(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        form = await _open_form(pilot)
        shown = {setting.option.keys for setting in form.query(Setting)}
        wanted = {entry.keys for entry in options_of(Experiment)} - {("store",)}
        assert shown == wanted | {("folds",), ("backend",)}
        _, experiment = form.read()
        assert experiment == Experiment(store=str(workspace / "datasets" / "good.h5"))


async def test_bad_values_are_refused_while_typing_with_the_configs_own_words(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        form = await _open_form(pilot)
        await pilot.press("end", "x")
        await until(pilot, "folds: expected int, found '0x'")
        await pilot.press("backspace", "backspace", "1")
        await until(pilot, "folds: expected 0 for one run, or 2 and more, found 1")
        await pilot.press("backspace", "0")
        await until(pilot, "All settings are valid")
        form.query_one("#setting-split-test Input", Input).focus()
        await pilot.press("end", *["backspace"] * 5, "3")
        await until(pilot, "split.test: 3.0 is above the most")
        await pilot.press("ctrl+l")
        await until(pilot, "Not launched")
        await pilot.press("backspace", "0", ".", "1")
        await until(pilot, "All settings are valid")
        form.query_one("#setting-augment-flip Switch", Switch).focus()
        await until(pilot, "on: Flip each axis")
        await pilot.press("enter")
        await until(pilot, "off: Flip each axis")
        assert form.read()[1].augment.flip is False
    assert not (workspace / "saved_models" / ".jobs").exists()


async def test_a_preset_fills_the_form_and_the_toml_follows(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=(140, 40), notifications=True) as pilot:
        form = await _open_form(pilot)
        form.query_one("#setting-name Input", Input).focus()
        await pilot.press(*"mine")
        form.query_one("#pick-preset Select").focus()
        for name in list(RECIPES)[:2]:
            # The list opens on what is chosen.
            await pilot.press("enter", "down", "enter")
            await until(pilot, f"preset          {name.capitalize()}")
            wanted = from_mapping(Experiment, recipe(name))
            store = str(workspace / "datasets" / "good.h5")
            found = form.read()[1]
            assert found.plan == wanted.plan
            assert replace(found, stages=wanted.stages) == replace(
                wanted, name="mine", store=store
            )
        await until(pilot, 'backbone = "DenseNet169"')
        toml = str(form.query_one("#toml", Static).content)
        assert from_mapping(Experiment, tomllib.loads(toml)) == form.read()[1]
        assert toml.startswith(f"# stemcls train {store} --config FILE --device cpu")


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("3", int, 3), ("3.5", int, "3.5"), ("1e-4", float, 1e-4), ("", float, ""),
        ("64, 32", tuple[int, ...], [64, 32]), ("", tuple[str, ...], []), ("", str | None, None),
        (" donor ", str, "donor"),
    ],
)
def test_typed_text_becomes_a_value_of_the_type(text, hint, value) -> None:
    assert parse(text, hint) == value
    assert parse(written(value), hint) == value


async def test_launching_starts_a_process_that_outlives_the_app(
    workspace, launched, monkeypatch
) -> None:
    seen = []

    def fake_argv(*arguments):
        seen.append(arguments)
        return [sys.executable, "-c", FAKE]

    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await _open_form(pilot)
        monkeypatch.setattr(commandlines, "argv_of", fake_argv)
        await pilot.press("end", "backspace", "3", "down", "down", *"my-run")
        await until(pilot, "All settings are valid")
        seen.clear()
        await pilot.press("ctrl+l")
        await until(pilot, "… starting  my-run")
        await pilot.press("q")
    assert not app.is_running

    (job,) = launched.open_jobs(workspace)
    assert job.alive
    assert os.getsid(job.pid) == job.pid != os.getsid(0)
    assert str(Path(f"/proc/{job.pid}/fd/0").readlink()) == "/dev/null"
    end = time.monotonic() + 10
    while "pid" not in job.last_words() and time.monotonic() < end:
        time.sleep(0.05)
    assert job.last_words() == f"pid {job.pid}"
    task, store, config, where, device = seen[-1]
    assert (store, where) == (workspace / "datasets" / "good.h5", workspace)
    assert (task, device) == (Training(folds=3), "cpu")
    kept = from_mapping(Experiment, read_toml(config))
    assert kept.name == "my-run"


async def test_a_gpu_that_vanished_is_an_error_at_launch(workspace, monkeypatch) -> None:
    gpu = Device("0", "GPU 0: some", 2 * GIB, 4 * GIB)
    cpu = Device("cpu", "processor, 2 cores", GIB, 2 * GIB)
    there = [gpu, cpu]
    monkeypatch.setattr("tui.devices.list_devices", lambda: there)
    monkeypatch.setattr("tui.widgets.jobform.list_devices", lambda: there)
    monkeypatch.setattr("tui.widgets.jobform.DEVICES_SECONDS", 0.1)
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        form = await _open_form(pilot)
        form.query_one("#pick-device Select").focus()
        await until(pilot, "GPU 0: some, 2.0 of 4.0 GiB free")
        there.remove(gpu)
        await until(pilot, "GPU 0 (gone)")
        await pilot.press("ctrl+l")
        await until(pilot, "is not there (any more)")
        assert pilot.app.current_mode == "train"
    assert not (workspace / "saved_models" / ".jobs").exists()


async def test_a_job_that_dies_before_its_run_shows_its_last_words(
    workspace, launched, monkeypatch
) -> None:
    fake = [sys.executable, "-c", "import sys; sys.exit('stemcls: no such backbone')"]
    monkeypatch.setattr(commandlines, "argv_of", lambda *arguments: fake)
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await _open_form(pilot)
        await pilot.press("ctrl+l")
        text = await until(pilot, "stemcls: no such backbone")
        assert "ended before its run began" in text
    assert launched.open_jobs(workspace) == []


async def test_a_search_is_launched_from_its_form(workspace, launched, monkeypatch) -> None:
    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("4")
        await until(pilot, "No searches yet")
        await pilot.press("n")
        await until(pilot, "All settings are valid")
        await pilot.press("end", "x")
        await until(pilot, "trials: expected int, found '30x'")
        await pilot.press("backspace", "backspace", "1")
        await until(pilot, "All settings are valid")
        form = app.screen.query_one(JobForm)
        assert form.read()[0] == Search(trials=31)
        fake = [sys.executable, "-c", FAKE]
        monkeypatch.setattr(commandlines, "argv_of", lambda *arguments: fake)
        await pilot.press("ctrl+l")
        await until(pilot, "… starting  good")
