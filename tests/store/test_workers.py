"""Work in processes: in order, errors and deaths stay with their item, nobody is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stemcls.errors import InputError
from stemcls.store import workers as module
from stemcls.store.workers import Crew, WorkerStartError, cores

# `eval` is a function that pickles anywhere, so items can be programs.
DIE = "__import__('os')._exit(9)"


def outcomes(items: list[str], workers: int) -> list[object]:
    found: list[object] = []
    with Crew(workers) as crew:
        for item, get in crew.in_order(items, eval):
            try:
                found.append(get())
            except (InputError, ZeroDivisionError) as error:
                found.append((item, str(error)))
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_whatever_finishes_first(workers):
    items = ["__import__('time').sleep(0.2) or 0", *map(str, range(1, 9))]
    assert outcomes(items, workers) == list(range(9))


def test_an_error_is_raised_for_its_item_alone():
    assert outcomes(["1", "1/0", "3"], 2) == [1, ("1/0", "division by zero"), 3]


def test_an_item_that_kills_its_worker_twice_is_given_up_and_the_rest_goes_on():
    found = outcomes(["1", DIE, "3", "4", "5"], 2)
    assert (found[0], found[2:]) == (1, [3, 4, 5])
    assert "died twice (exit code 9, then exit code 9)" in found[1][1]


def test_an_item_whose_worker_is_killed_once_is_done_by_the_next(tmp_path):
    once = tmp_path / "once"
    item = (
        f"__import__('os').path.exists({str(once)!r}) or (open({str(once)!r}, 'w').close(), "
        "__import__('os').kill(__import__('os').getpid(), 9))"
    )
    assert outcomes(["1", item, "3"], 2) == [1, True, 3]


def test_workers_that_do_not_start_are_no_item_s_fault(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(WorkerStartError, match=r"do not start \(exit code 1\); --workers 1"):
        outcomes(["1", "2"], 2)


def test_no_more_than_a_few_items_are_under_way():
    taken = []

    def items():
        for number in range(40):
            taken.append(number)
            yield str(number)

    with Crew(2) as crew:
        ahead = crew.in_order(items(), eval)
        next(ahead)
        assert len(taken) <= 2 * 2
        ahead.close()


def test_workers_stay_for_a_second_round():
    who = ["__import__('os').getpid()"] * 4
    with Crew(2) as crew:
        first, second = ({get() for _, get in crew.in_order(who, eval)} for _ in range(2))
    assert second <= first


def test_workers_use_one_thread_each_and_leave_ctrl_c_to_the_parent():
    items = [
        "__import__('cv2').getNumThreads()",
        "__import__('os').environ['TIFFFILE_NUM_THREADS']",
        "__import__('signal').getsignal(2) == __import__('signal').SIG_IGN",
        "__import__('os').getpgrp() != " + str(os.getpgrp()),
    ]
    assert outcomes(items, 2) == [1, "1", True, True]
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_no_worker_outlives_a_parent_that_was_killed(tmp_path):
    pids = tmp_path / "pids"
    pids.mkdir()
    item = f"open({str(pids)!r} + '/' + str(__import__('os').getpid()), 'w').close() or " \
           "__import__('time').sleep(60)"
    program = (
        "from stemcls.store.workers import Crew\n"
        f"for _, get in Crew(2).in_order([{item!r}] * 4, eval): get()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], env=os.environ)
    deadline = time.monotonic() + 30
    while len(list(pids.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = [int(path.name) for path in pids.iterdir()]
    assert len(workers) == 2
    parent.send_signal(signal.SIGKILL)
    parent.wait(timeout=10)
    deadline = time.monotonic() + 10 * module._WATCH_SECONDS
    while any(map(runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(runs, workers))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
