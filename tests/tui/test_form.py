"""The training form offers every setting, refuses bad values, and starts a real process."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from textual.widgets import Input, Switch

from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, options_of, read_toml
from tui.app import StemclsApp
from tui.screens.form import TrainingForm
from tui.widgets.setting import Setting, parse

from .driving import until

SIZE = (80, 24)
FAKE = "import os, sys, time; print('pid', os.getpid(), flush=True); time.sleep(30)"


async def _open_form(pilot) -> TrainingForm:
    await until(pilot, "good.h5")
    await pilot.press("down", "t")
    await until(pilot, "All settings are valid")
    assert isinstance(pilot.app.screen, TrainingForm)
    return pilot.app.screen


async def test_every_setting_is_on_the_form_with_its_default(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        form = await _open_form(pilot)
        shown = {setting.option.keys for setting in form.query(Setting)}
        wanted = {entry.keys for entry in options_of(Experiment)} - {("store",)}
        assert shown == wanted | {("folds",), ("backend",)}
        _, experiment = form._read()
        assert experiment == Experiment(store=str(workspace / "datasets" / "good.h5"))


async def test_a_bad_value_is_refused_with_the_configs_own_words(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        form = await _open_form(pilot)
        form.query_one("#setting-split-test Input", Input).focus()
        await pilot.press("end", *["backspace"] * 5, "3")
        await until(pilot, "split.test: 3.0 is above the most")
        await pilot.press("ctrl+l")
        await until(pilot, "Not launched")
        assert pilot.app.screen is form
        await pilot.press("backspace", "0", ".", "1")
        await until(pilot, "All settings are valid")
    assert not (workspace / "saved_models" / ".jobs").exists()


async def test_a_number_that_is_none_is_refused_while_typing(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await _open_form(pilot)
        await pilot.press("x")
        await until(pilot, "folds: expected int, found 'x'")


async def test_one_fold_is_refused(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await _open_form(pilot)
        await pilot.press("1")
        await until(pilot, "folds: expected 0 for one run, or 2 and more, found 1")


async def test_a_switch_says_where_it_stands(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        form = await _open_form(pilot)
        form.query_one("#setting-augment-flip Switch", Switch).focus()
        await until(pilot, "on: Flip each axis")
        await pilot.press("enter")
        await until(pilot, "off: Flip each axis")
        assert form._read()[1].augment.flip is False


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


async def test_launching_starts_a_process_that_outlives_the_app(
    workspace, launched, monkeypatch
) -> None:
    seen = []

    def fake_argv(*arguments):
        seen.append(arguments)
        return [sys.executable, "-c", FAKE]

    monkeypatch.setattr(launched, "train_argv", fake_argv)
    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await _open_form(pilot)
        await pilot.press("3", "down", "down", *"my-run", "ctrl+l")
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
    (store, config, where, folds, backend), = seen
    assert (store, where) == (workspace / "datasets" / "good.h5", workspace)
    assert (folds, backend) == (3, "")
    kept = from_mapping(Experiment, read_toml(config))
    assert kept.name == "my-run"


async def test_a_job_that_dies_before_its_run_shows_its_last_words(
    workspace, launched, monkeypatch
) -> None:
    fake = [sys.executable, "-c", "import sys; sys.exit('stemcls: no such backbone')"]
    monkeypatch.setattr(launched, "train_argv", lambda *arguments: fake)
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await _open_form(pilot)
        await pilot.press("ctrl+l")
        text = await until(pilot, "stemcls: no such backbone")
        assert "ended before its run began" in text
    assert launched.open_jobs(workspace) == []
