"""The mode Runs, by keyboard alone."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from stemcls.config.options import read_toml
from stemcls.runs import Run
from tui import commandlines, jobs
from tui.app import StemclsApp
from tui.listing import PAGE_ROWS

from .conftest import NO_SUCH_PID, finish, make_run, write_store
from .driving import until

SIZE = (80, 24)


async def test_runs_are_found_marked_named_and_deleted(workspace) -> None:
    alive = Run(workspace / "saved_models" / "alive")
    for epoch in (2, 3):
        alive.append("epoch", stage="frozen", epoch=epoch, epochs=5, loss=0.5, val_loss=0.4)
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("3")
        await until(pilot, "val_loss by epoch: o alive")
        await pilot.press("space", "space")
        await until(pilot, "val_loss by epoch: o alive, x dead")
        await until(pilot, "2 marked")
        await pilot.press("m")
        await until(pilot, "loss by epoch: o alive, x dead")
        await pilot.press("u", "v", "up")
        await until(pilot, "second line of the log")
        # Letters are text while one types.
        await pilot.press("slash", *"dead")
        await until(pilot, "1 of 3 runs")
        await pilot.press("enter", "e", *"My best", "enter")
        await until(pilot, lambda text: "✗ crashed" in text and "My best" in text)
        await pilot.press("t", *"batch two, odd", "enter")
        await until(pilot, "batch two, odd")
        await pilot.press("n", *"ran out of memory", "enter")
        await until(pilot, "ran out of memory")
        await pilot.press("escape")
        await until(pilot, "3 runs")
        await pilot.press("slash", *"odd", "enter")
        await until(pilot, "1 of 3 runs")
        await pilot.press("d")
        await until(pilot, "Delete My best?")
        await pilot.press("n")
        assert (workspace / "saved_models" / "dead").exists()
        await pilot.press("d", "y")
        await until(pilot, "dead is deleted")
        await until(pilot, "No run has these words")
        await pilot.press("escape", "ctrl+home", "d")
        await until(pilot, "alive is running and is not deleted")
    left = {path.name for path in (workspace / "saved_models").iterdir()}
    assert {"alive", "done"} <= left
    assert "dead" not in left


async def test_the_last_words_of_a_dead_process_are_shown(workspace) -> None:
    run = workspace / "saved_models" / "dead"
    jobs.jobs_folder(workspace).mkdir()
    jobs.output_path(run).write_text("Killed by the kernel: out of memory\n")
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("3", "v")
        await until(pilot, "▶ running")
        await pilot.press("down")
        await until(pilot, "Killed by the kernel: out of memory")
        shutil.rmtree(run)
        await until(pilot, "2 runs")
        await pilot.press("r", "a", "e", "s", "enter")


async def test_a_failed_run_begins_again_from_its_settings(
    workspace, launched, monkeypatch
) -> None:
    store = write_store(workspace / "datasets" / "good.h5")
    run = make_run(workspace, "bad", NO_SUCH_PID)
    (run.path / "config.toml").write_text(f'store = "{store}"\nname = "bad"\nseed = 7\n')
    run.append("failed", message="no memory")
    seen = []

    def fake_argv(*arguments):
        seen.append(arguments)
        return [sys.executable, "-c", "import time; time.sleep(30)"]

    monkeypatch.setattr(commandlines, "argv_of", fake_argv)
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("3")
        await until(pilot, "✗ failed")
        await pilot.press("slash", *"bad", "enter", "a")
        await until(pilot, "bad begins again on")
        await until(pilot, "… starting  bad")
    (_, found, config, _, device), = seen
    assert (found, read_toml(config)["seed"]) == (store, 7)
    assert device in ("cpu", "0")


def test_a_search_begins_again_with_its_own_space(tmp_path, launched, monkeypatch) -> None:
    from stemcls.tuning.space.file import read_space

    from .test_tune import make_study

    study = make_study(tmp_path)
    monkeypatch.setattr(commandlines, "_stemcls", lambda _: [sys.executable, "-c", "pass"])
    job = commandlines.again(tmp_path, Run(study.path), "cpu")
    argv = dict(zip(job.argv[3:], job.argv[4:], strict=False))
    definition = study.definition
    assert read_space(Path(argv["--space"]), definition.experiment) == definition.space
    assert (argv["--trials"], argv["--folds"]) == ("20", "3")


async def test_a_long_list_is_paged_and_sorted_as_a_whole(tmp_path) -> None:
    for number in range(2 * PAGE_ROWS + 1):
        folder = tmp_path / "saved_models" / f"run-{number:04}"
        folder.mkdir(parents=True)
        events = [{"time": 1e9 - number, "event": "started", "host": "elsewhere"},
                  {"time": 1e9, "event": "finished", "metrics": {"auroc": number / 1000}}]
        (folder / "events.jsonl").write_text("".join(f"{json.dumps(e)}\n" for e in events))
    async with StemclsApp(tmp_path).run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press("3")
        await until(pilot, "page 1 of 3")
        await pilot.press(">", ">")
        await until(pilot, "page 3 of 3")
        await until(pilot, f"run-{2 * PAGE_ROWS:04}")
        await pilot.press(*["o"] * 7)
        await until(pilot, lambda text: "by AUROC" in text and "0.200" in text)
        await pilot.press("O")
        await until(pilot, lambda text: "turned" in text and "0.000" in text)
        finish(make_run(tmp_path, "a-new-one", os.getpid()))
        await until(pilot, f"{2 * PAGE_ROWS + 2} runs")
