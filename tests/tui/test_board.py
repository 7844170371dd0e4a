"""Runs are followed as they grow: read once, torn lines waited for, odd ones no harm."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from stemcls.runs import Run
from tui.board import About, Board, Follower, keep_about, read_about
from tui.epochs import CurveReader
from tui.listing import PAGE_ROWS, Listing, left_text, pages
from tui.pace import Left, Pace
from tui.reading import RunBoard

from .conftest import NO_SUCH_PID, finish, make_run


def look(run: Run, now: float | None = None) -> dict:
    """Return the row of a run that is read from the start, at `now`."""
    follower = Follower(run)
    follower.look(time.time() if now is None else now)
    return follower.row


def test_a_followed_run_is_as_one_that_is_read_from_the_start(tmp_path) -> None:
    run = make_run(tmp_path, "one", os.getpid())
    follower = Follower(run)
    seen = []
    for step in range(4):
        now = time.time()
        follower.look(now)
        seen.append(follower.row["epoch"])
        assert follower.row == look(run, now)
        assert run.summary().items() <= follower.row.items()
        run.append("epoch", stage="frozen", epoch=step + 2, epochs=5, val_loss=0.5)
    assert seen == [1, 2, 3, 4]
    before = follower.row
    follower.look(time.time())
    after = follower.row
    assert after["epoch"] == 5
    assert before["epoch"] == 4
    follower.look(time.time())
    assert follower.row is after, "what did not change stays the same object"


def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path) -> None:
    run = make_run(tmp_path, "one", os.getpid())
    follower, curves = Follower(run), CurveReader()
    line = b'{"time": 1e9, "event": "epoch", "stage": "frozen", "epoch": 2, "val_loss": 0.25}\n'
    with (run.path / "events.jsonl").open("ab", buffering=0) as file:
        file.write(line[:40])
        follower.look(time.time())
        assert follower.row["epoch"] == 1
        assert curves.read([str(run.path)], "val_loss")[0][0].y == (0.8,)
        file.write(line[40:])
    follower.look(time.time())
    assert follower.row["epoch"] == 2
    assert curves.read([str(run.path)], "val_loss")[0][0].y == (0.8, 0.25)


def test_odd_runs_are_shown_as_such_and_gone_ones_are_not(tmp_path) -> None:
    odd = make_run(tmp_path, "odd", NO_SUCH_PID)
    odd.append("started", pid=1, host="here")
    with (odd.path / "events.jsonl").open("a") as file:
        file.write('{"time": "noon", "event": "started"}\n[1]\n{"event": "epoch", "epoch": []}\n')
    folder = make_run(tmp_path, "folder", NO_SUCH_PID)
    (folder.path / "events.jsonl").unlink()
    (folder.path / "events.jsonl").mkdir()
    gone = make_run(tmp_path, "gone", NO_SUCH_PID)
    board = Board(tmp_path)
    board.look()
    states = {row["run"]: row["state"] for row in board.rows}
    assert states == {"odd": "unreadable", "folder": "unreadable", "gone": "crashed"}
    shutil.rmtree(gone.path)
    board.look()
    assert "gone" not in {row["run"] for row in board.rows}
    assert CurveReader().read([str(gone.path)], "val_loss") == ([], [])


def test_what_is_said_of_a_run_is_kept_beside_it(tmp_path) -> None:
    run = make_run(tmp_path, "one", NO_SUCH_PID)
    assert look(run)["title"] == "one"
    keep_about(run.path, title="The good one")
    keep_about(run.path, tags=("a", "b"), note="twice the rate")
    assert read_about(run.path) == About("The good one", ("a", "b"), "twice the rate")
    assert (look(run)["title"], look(run)["run"]) == ("The good one", "one")
    (run.path / "about.json").write_text("{half")
    assert look(run)["title"] == "one"


def feed(*events: dict) -> Pace:
    """Return the pace of a run that told these events."""
    pace = Pace()
    for event in events:
        pace.add(event)
    return pace


def test_what_is_left_of_a_run_is_told_only_where_it_is_known() -> None:
    begun = [{"event": "started", "time": 0.0, "kind": "train"},
             {"event": "stage", "time": 10.0, "stage": "frozen", "epochs": 5}]
    first = {"event": "epoch", "time": 12.0, "stage": "frozen", "epoch": 1, "epochs": 5}
    last = {"frozen": []}.get
    assert feed(*begun).left(11.0, last) is None
    assert feed(*begun, first).left(13.0, last) == Left(4 * 2.0 - 1.0, True)
    later = {"frozen": [("finetune", 10)]}.get
    assert feed(*begun, first).left(13.0, later) is None, "nobody knows a stage that never ran"
    assert feed(*begun, first).left(13.0, {}.get) is None
    folds = [{"event": "started", "time": 0.0, "kind": "folds", "folds": 3},
             {"event": "stage", "time": 0.0, "stage": "fold 1/3"},
             {"event": "metric", "time": 60.0, "fold": 1}]
    assert feed(*folds[:2]).left(30.0, {}.get) is None
    assert feed(*folds).left(90.0, {}.get) == Left(90.0, False)
    assert [left_text(left) for left in (None, Left(61.0, True), Left(5.0, False))] == [
        "-", "≤ 1m01s", "~ 5s"
    ]


def test_a_list_is_found_sorted_and_paged() -> None:
    rows = [
        {"title": f"run {n}", "run": f"r{n}", "state": "finished" if n % 2 else "failed",
         "tags": ("odd",) if n % 2 else (), "note": "", "device": "0", "stage": None,
         "metrics": {"auroc": n / 1000} if n % 2 else None, "left": None, "loss": None,
         "seconds": 0.0, "epoch": None, "epochs": None}
        for n in range(2 * PAGE_ROWS + 1)
    ]
    assert pages(rows) == 3
    assert len(Listing(page=2).cut(rows)) == 1
    assert [row["run"] for row in Listing(wanted="odd r11 FIN").apply(rows)][:2] == ["r11", "r111"]
    best = Listing(order="AUROC").apply(rows)
    assert best[0]["run"] == f"r{2 * PAGE_ROWS - 1}"
    assert best[-1]["metrics"] is None, "what has no value comes last, either way"
    assert Listing(order="AUROC", turned=True).apply(rows)[-1]["metrics"] is None


def test_a_thousand_runs_that_rest_are_looked_at_quickly(tmp_path) -> None:
    for number in range(1000):
        folder = tmp_path / "saved_models" / f"run-{number}"
        folder.mkdir(parents=True)
        lines = ('{"time": 1.0, "event": "started", "host": "h"}', '{"event": "finished"}', "")
        (folder / "events.jsonl").write_text("\n".join(lines))
    board = RunBoard(Path(tmp_path))
    first = board.read()
    begun = time.process_time()
    second = board.read()
    assert time.process_time() - begun < 0.2
    assert all(old is new for old, new in zip(first.rows, second.rows, strict=True))


def test_a_finished_run_has_its_numbers(tmp_path) -> None:
    run = make_run(tmp_path, "one", NO_SUCH_PID)
    finish(run)
    assert look(run)["metrics"] == {"mean_recall": 0.8125, "auroc": 0.9}
    assert look(run)["left"] is None
