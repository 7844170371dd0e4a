"""Studies that are disturbed in every way come to the same trials as undisturbed ones."""

import json
import os
import resource
import signal
import threading
import time

import pytest

from stemcls.errors import CancelledError, InputError, StemclsError
from stemcls.interruption import Interruption
from stemcls.runs import is_alive

from .studies import calls, finished, held_by, hold, trace, wait_for


def trouble(study, **by_trial):
    named = {name.removeprefix("trial_"): what for name, what in by_trial.items()}
    (study.path / "trouble.json").write_text(json.dumps(named))


def test_the_first_trial_is_the_initial_configuration_and_no_setting_comes_twice(undisturbed):
    records = undisturbed.records()
    assert records[0].values == {"model.dropout": 0.1, "model.label_smoothing": 0.7}
    assert len({json.dumps(record.values) for record in records}) == len(records) == 6
    assert [record.state for record in records if record.scored == 2] == [
        record.state for record in records if record.state == "finished"
    ]


def test_a_worker_killed_mid_fold_is_replaced_and_nothing_else_changes(
    make_study, search, undisturbed
):
    study = make_study()
    gate = hold(study, 2, 1)

    def kill():
        os.kill(held_by(study, 2, 1), signal.SIGKILL)
        gate.unlink()

    killer = threading.Thread(target=kill)
    killer.start()
    assert search(study) == "complete"
    killer.join()
    assert trace(study) == trace(undisturbed)
    assert calls(study).count((2, 1)) == 2
    assert any("killed by signal 9" in line and "begun again" in line for line in search.said)


def test_a_supervisor_killed_mid_fold_leaves_nothing_running_and_nothing_to_do_again(
    make_study, search, supervise, undisturbed
):
    study = make_study()
    gate = hold(study, 3, 1)
    supervisor = supervise(study)
    worker = held_by(study, 3, 1)
    since = time.time()
    supervisor.kill()
    supervisor.wait()
    assert study.run.summary()["state"] == "crashed"
    wait_for(lambda: not is_alive(worker, since), 10)
    done = {(r.number, fold + 1) for r in study.records() for fold in r.folds}
    gate.unlink()
    assert search(study) == "complete"
    assert trace(study) == trace(undisturbed)
    assert len(done) >= 5
    assert all(calls(study).count(fold) == 1 for fold in done)


def test_a_fold_whose_result_the_journal_lacks_is_not_trained_again(
    make_study, search, undisturbed
):
    study = make_study()
    assert search(study) == "complete"
    lines = study.journal_path.read_bytes().splitlines(keepends=True)
    at = max(n for n, line in enumerate(lines) if b'"entry": "fold"' in line)
    kept = json.loads(lines[at])
    study.journal_path.write_bytes(b"".join(lines[:at]) + lines[at][:20])
    path = study.fold_path(kept["trial"], kept["fold"]) / "result.json"
    before = path.stat().st_mtime_ns
    assert search(study) == "complete"
    assert trace(study) == trace(undisturbed)
    assert path.stat().st_mtime_ns == before


def test_a_full_disk_stops_the_search_and_loses_no_fold(
    make_study, search, supervise, undisturbed
):
    study = make_study()
    limit = study.journal_path.stat().st_size + 700

    def little_space():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    _, told = finished(supervise(study, preexec_fn=little_space), code=1)
    assert "no space left while writing" in told
    assert "trials.jsonl" in told
    assert "every finished fold is kept" in told
    assert search(study) == "complete"
    assert trace(study) == trace(undisturbed)


def test_a_second_supervisor_refuses(make_study, supervise):
    study = make_study(trials=1)
    gate = hold(study, 0, 1)
    first = supervise(study)
    held_by(study, 0, 1)
    _, told = finished(supervise(study), code=2)
    assert f"process {first.pid}" in told
    gate.unlink()
    assert finished(first)[0] == "complete"


def test_the_first_interrupt_finishes_the_folds_under_way(make_study, search, supervise):
    study = make_study(trials=3)
    gate = hold(study, 1, 1)
    supervisor = supervise(study)
    held_by(study, 1, 1)
    supervisor.send_signal(signal.SIGINT)
    assert any("finishing the 1 fold(s) under way" in line for line in supervisor.stderr)
    gate.unlink()
    _, told = finished(supervisor, code=130)
    assert "stopped by SIGINT" in told
    assert study.run.summary()["state"] == "cancelled"
    assert list(study.records()[1].folds) == [0]
    assert search(study) == "complete"
    assert calls(study).count((1, 1)) == 1


def test_the_second_interrupt_and_sigterm_abandon_them(make_study, search, supervise):
    study = make_study(trials=2)
    gate = hold(study, 1, 1)
    for signals in ((signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)):
        (study.path / "held-1-1").unlink(missing_ok=True)
        supervisor = supervise(study)
        held_by(study, 1, 1)
        for number in signals:
            supervisor.send_signal(number)
            time.sleep(0.1)
        finished(supervisor, code=130)
        assert not study.records()[1].folds
    gate.unlink()
    assert search(study) == "complete"


def test_many_slots_give_the_same_trials_in_whatever_order_folds_end(make_study, search):
    traces = []
    for _ in range(2):
        study = make_study(trials=5, slots=3)
        assert study.definition.width == 2
        assert search(study, slots=3, fake="slow_bowl") == "complete"
        traces.append(trace(study))
    # One fold at a time, but as many trials under way.
    study = make_study(trials=5, slots=3)
    assert search(study) == "complete"
    assert traces[0] == traces[1] == trace(study)


def test_a_trial_that_fails_says_why_and_the_others_go_on(make_study, search):
    study = make_study(trials=6)
    trouble(study, trial_1="memory", trial_2="nan", trial_3="kill", trial_4="exit")
    assert search(study, fake="troubled") == "complete"
    records = study.records()
    assert [r.state for r in records] == [
        "finished", "failed", "failed", "failed", "failed", "finished"
    ]
    assert "fold 1: out of memory: MemoryError: " in records[1].reason
    assert records[2].reason == "fold 1: the loss is nan"
    assert "killed by signal 9; the system kills" in records[3].reason
    assert records[3].reason.endswith("3 times")
    assert "ended with code 3" in records[4].reason
    assert calls(study) == [(0, 1), (0, 2), (5, 1), (5, 2)]


def test_three_failures_at_the_start_end_the_search(make_study, search):
    study = make_study()
    trouble(study, trial_0="nan", trial_1="nan", trial_2="nan")
    with pytest.raises(StemclsError, match=r"first 3 trials all failed.*the loss is nan"):
        search(study, fake="troubled")
    assert len(study.records()) == 3


@pytest.mark.parametrize(("what", "error"), [("input", InputError), ("disk", StemclsError)])
def test_what_no_trial_is_to_blame_for_ends_the_search_and_not_the_trial(
    make_study, search, what, error
):
    study = make_study(trials=1)
    trouble(study, trial_0=what)
    with pytest.raises(error, match=r"weights file is gone|No space left"):
        search(study, fake="troubled")
    assert study.records()[0].state == "pending"
    trouble(study)
    assert search(study, fake="troubled") == "complete"


def test_a_study_that_is_extended_goes_on_as_a_longer_one(make_study, search, undisturbed):
    study = make_study(trials=4)
    assert search(study) == "complete"
    study.extend(6)
    assert search(study) == "complete"
    assert trace(study) == trace(undisturbed)
    with pytest.raises(InputError, match="begun with 6 trials, which cannot become 5"):
        study.extend(5)


def test_no_fold_is_begun_after_the_deadline(make_study, search):
    study = make_study(trials=1)
    assert search(study, deadline=time.monotonic() - 1) == "time"
    assert study.records() == []


def test_a_request_before_the_first_fold_stops_it(make_study, search):
    interruption = Interruption()
    interruption.ask("SIGTERM")
    with pytest.raises(CancelledError, match="stopped by SIGTERM"):
        search(make_study(trials=1), interruption=interruption)
