"""Jobs wait for their device as processes of their own, in order, whatever else dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from stemcls import atomic
from tui import jobs, processes
from tui.app import StemclsApp

from .conftest import make_run
from .driving import until
from .test_jobs import begun, settle, wait_for

# Says when it begins and ends, and holds its device meanwhile.
FAKE = "import pathlib, sys, time; path = pathlib.Path(sys.argv[1]); " \
    "path.open('a').write(f'begin {sys.argv[2]}\\n'); time.sleep(float(sys.argv[3])); " \
    "path.open('a').write(f'end {sys.argv[2]}\\n')"


def queue(workspace: Path, name: str, seconds: float = 30.0, device: str = "cpu") -> jobs.Job:
    argv = [sys.executable, "-c", FAKE, str(workspace / "said"), name, str(seconds)]
    return jobs.launch(workspace, name, lambda _: argv, "", device)


def said(workspace: Path) -> list[str]:
    path = workspace / "said"
    return path.read_text().splitlines() if path.exists() else []


def test_jobs_of_a_device_run_one_after_the_other_in_order(tmp_path, launched) -> None:
    for name in ("one", "two", "three"):
        queue(tmp_path, name, 0.3)
    other = queue(tmp_path, "elsewhere", 30, device="0")
    assert wait_for(lambda: "end three" in said(tmp_path), 20)
    order = [line for line in said(tmp_path) if "elsewhere" not in line]
    assert order == ["begin one", "end one", "begin two", "end two", "begin three", "end three"]
    assert begun(other), "another device is not waited for"


def test_a_queue_goes_on_when_the_process_that_filled_it_is_gone(tmp_path) -> None:
    filler = (
        "import sys; from pathlib import Path; from tui import jobs\n"
        "workspace = Path(sys.argv[1])\n"
        "for name in ('one', 'two'):\n"
        "    argv = [sys.executable, '-c', sys.argv[2], str(workspace / 'said'), name, '0.3']\n"
        "    jobs.launch(workspace, name, lambda _: argv, '', 'cpu')\n"
        "print('queued', flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", filler, str(tmp_path), FAKE], stdout=subprocess.PIPE
    ) as ui:
        assert ui.stdout is not None
        assert ui.stdout.readline() == b"queued\n"
        ui.kill()
    assert wait_for(lambda: "end two" in said(tmp_path), 20)
    assert said(tmp_path) == ["begin one", "end one", "begin two", "end two"]


def test_a_killed_waiter_is_replaced_and_keeps_its_place(tmp_path, launched) -> None:
    first = queue(tmp_path, "one")
    assert wait_for(lambda: begun(first))
    second, third = queue(tmp_path, "two"), queue(tmp_path, "three")
    os.kill(second.pid, signal.SIGKILL)
    assert wait_for(lambda: not second.alive)
    coming, dead = settle(tmp_path)
    assert dead == []
    assert [job.name for job in coming] == ["one", "two", "three"]
    assert second.alive, "another waiter stands in its place"
    os.kill(first.pid, signal.SIGKILL)
    assert wait_for(lambda: "begin two" in said(tmp_path), 20)
    assert not begun(third)


def test_a_waiter_that_dies_again_and_again_is_given_up(tmp_path, launched, monkeypatch) -> None:
    first = queue(tmp_path, "one")
    assert wait_for(lambda: begun(first))
    second = queue(tmp_path, "two")
    os.kill(second.pid, signal.SIGKILL)
    assert wait_for(lambda: not second.alive)
    monkeypatch.setattr(jobs, "WAITERS_AT_MOST", 1)
    assert [job.name for job in settle(tmp_path)[1]] == ["two"]


def test_a_job_is_taken_back_while_it_waits_and_once_it_has_begun(tmp_path, launched) -> None:
    first = queue(tmp_path, "one")
    assert wait_for(lambda: begun(first))
    second = queue(tmp_path, "two")
    jobs.take_back(tmp_path, second)
    assert processes._children[second.pid].wait(10) == 0
    assert [job.name for job in jobs.open_jobs(tmp_path)] == ["one"]
    jobs.take_back(tmp_path, first)
    assert processes._children[first.pid].wait(10) == -signal.SIGTERM
    assert settle(tmp_path) == ([], []), "it was wanted, so nobody is told that it died"


def test_a_run_from_the_command_line_keeps_its_device_too(tmp_path, launched, sleeper) -> None:
    run = make_run(tmp_path, "by-hand", sleeper.pid)
    run.append("started", pid=sleeper.pid, host=jobs.socket.gethostname(), device="cpu")
    job = queue(tmp_path, "one")
    time.sleep(1.5)
    assert not begun(job)
    sleeper.kill()
    sleeper.wait()
    assert wait_for(lambda: begun(job))


async def test_the_list_shows_the_queue_and_s_takes_jobs_back(tmp_path, launched) -> None:
    first = queue(tmp_path, "one")
    assert wait_for(lambda: begun(first))
    async with StemclsApp(tmp_path).run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("3")
        await until(pilot, "… starting  one")
        second = queue(tmp_path, "two")
        await until(pilot, "‖ queued    two")
        row = pilot.app.screen.query_one("#run-table")
        row.move_cursor(row=[job.name for job in jobs.open_jobs(tmp_path)].index("two"))
        await pilot.press("s")
        await until(pilot, "two was taken out of the queue")
        await until(pilot, lambda text: "‖ queued" not in text)
        await pilot.press("s")
        await until(pilot, "one was stopped.")
        await until(pilot, "No runs in")
    assert not Path(second.record).exists()


def test_a_damaged_record_is_passed_over(tmp_path) -> None:
    folder = jobs.jobs_folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "torn.json").write_text("{half")
    atomic.write_json(folder / "old.json", {"name": "of another version", "pid": 1})
    assert jobs.open_jobs(tmp_path) == []
    assert settle(tmp_path) == ([], [])
