"""What the modes Results, Explain and Predict read and reckon, without a screen."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from stemcls.config.explain import ExplainConfig
from stemcls.config.options import options_of
from stemcls.errors import InputError
from stemcls.evaluation.predictions import Predictions, write_predictions
from stemcls.evaluation.verdict import Line
from stemcls.explain.methods import METHODS
from stemcls.imaging.overlay import class_color
from stemcls.runs import Run
from tui import tasks
from tui.comparing import read_side_by_side
from tui.exports import write_export
from tui.flags import changed, flags
from tui.inputs import describe_paths, parse_paths
from tui.maps import maps_of_rows, overlaid, read_explained, read_maps
from tui.predicted import COLOURS, TableShelf, draw_cells, read_picture, read_table
from tui.scored import PredictionsShelf, find_origin, groups_of, predictions_path
from tui.screens.explainform import Methods
from tui.thresholds import Sweep
from tui.verdict import read_verdict_lines, verdict_text

from .conftest import NO_SUCH_PID, make_run
from .scored import explain, lit_store, predict, score


@pytest.fixture
def run(tmp_path) -> Run:
    made = make_run(tmp_path, "done", NO_SUCH_PID)
    score(made, lit_store(tmp_path / "datasets" / "good.h5"))
    return made


def test_numbers_at_every_threshold_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    scores = random.integers(0, 101, 500).astype(np.float32) / 100  # with ties
    positive = random.random(500) < scores
    sweep = Sweep(scores, positive)
    for step in range(0, 101, 7):
        numbers = sweep.at(step / 100)
        called = np.round(scores * 100) >= step
        (tn, fp), (fn, tp) = confusion_matrix(positive, called, labels=[False, True])
        assert (numbers.tp, numbers.fp, numbers.fn, numbers.tn) == (tp, fp, fn, tn)
        assert numbers.f1 == pytest.approx(f1_score(positive, called))
    false, true = sweep.roc(1000)
    assert np.trapezoid(true, false) == pytest.approx(roc_auc_score(positive, scores))
    assert Sweep(scores, np.zeros(500, bool)).at(0.5).sensitivity is None


def test_a_hundred_thousand_predictions_answer_within_a_tenth_of_a_second(tmp_path) -> None:
    random = np.random.default_rng(0)
    p = random.dirichlet((1, 1, 1), 100_000).astype(np.float32)
    rows = np.arange(100_000)
    path = tmp_path / "predictions.csv"
    write_predictions(path, Predictions(rows, rows % 3, p, rows % 50, ("a", "b", "c")))
    shelf = PredictionsShelf()
    scored = shelf.read(path)
    began = time.process_time()
    for step in range(100):
        assert scored.sweeps[1].at(step / 100).n_called <= 100_000
    assert (time.process_time() - began) / 100 < 0.01
    assert shelf.read(path) is scored, "read once, until the file changes"
    os.utime(path, (1, 1))
    assert shelf.read(path) is not scored


def test_entries_are_sorted_by_score_and_groups_have_their_names(run, tmp_path) -> None:
    scored = PredictionsShelf().read(predictions_path(run))
    assert scored.entry(1, 1).tolist() == [0, 4]
    assert scored.wrong().tolist() == [8, 1]
    origin = find_origin(run, "", tmp_path)
    assert origin.note == ""
    assert {group.name for group in groups_of(scored, origin)} == {"donor-1", "donor-2", "donor-3"}


def test_a_store_that_moved_is_found_by_its_content_and_a_changed_one_is_refused(
    run, tmp_path
) -> None:
    store = tmp_path / "datasets" / "good.h5"
    moved = store.rename(store.with_name("moved.h5"))
    origin = find_origin(run, "", tmp_path)
    assert origin.store.path == moved
    assert "good.h5 is gone" in origin.note
    assert "the same crops are in moved.h5" in origin.note
    import h5py

    moved.rename(store)
    with h5py.File(store, "r+") as file:
        file.attrs["content_hash"] = "other"
    origin = find_origin(run, "", tmp_path)
    assert origin.store is None
    assert "has other crops than those that were scored" in origin.note


def test_predictions_that_are_missing_or_damaged_say_so(run) -> None:
    path = predictions_path(run)
    path.write_text("row,group\n1,2\n")
    with pytest.raises(InputError, match="is not a table of predictions"):
        PredictionsShelf().read(path)
    path.unlink()
    with pytest.raises(InputError, match=r"stemcls evaluate .*done writes them"):
        PredictionsShelf().read(path)


def test_maps_are_found_by_row_and_laid_over_their_crops(run, tmp_path) -> None:
    store = tmp_path / "datasets" / "good.h5"
    home = explain(run, store)
    (home.parent / "half").mkdir()
    (home.parent / "half" / "maps.h5").write_text("no HDF5")
    found = maps_of_rows(run.path, {str(store)})
    assert sorted(found) == [1, 8]
    explained, place = found[8][0]
    assert explained.caption(place) == "8 ✗ 0.70"
    maps = read_maps(explained.path, "gradcam", [place])
    picture = overlaid(maps.crops[0], maps.heatmaps[0])
    assert (picture[:, 4] == 100).all(), "where the map is 0 the crop is as it was"
    assert (picture[0, 0] == np.round(0.4 * 100 + 0.6 * np.array([252, 255, 164]))).all()
    with pytest.raises(InputError, match=r"scorecam .* cannot be read"):
        read_maps(explained.path, "scorecam")
    with pytest.raises(InputError, match="cannot be read"):
        read_explained(home.parent / "half")


def test_a_table_of_predictions_is_cut_by_score_and_drawn(tmp_path) -> None:
    path = predict(tmp_path / "predictions" / "new")
    table = read_table(path)
    assert [field.path for field in table.fields] == ["fields/one.tif", "fields/two.tif"]
    assert table.composition(0.0).tolist() == [4, 2]
    assert table.composition(0.7).tolist() == [2, 2]
    assert table.composition(0.7, table.fields[0].rows).tolist() == [1, 1]
    assert [line[5] for line in table.lines_from(0.9)] == ["0.950000"] * 2
    pixels, scale = read_picture(table.fields[0], 480)
    drawn = draw_cells(table, table.fields[0], pixels, scale, 0.7)
    assert tuple(drawn[10, 4]) == class_color(0)
    assert tuple(drawn[25, 19]) == (128, 128, 128), "below the cut"
    assert tuple(drawn[40, 34]) == class_color(1)
    assert tuple(class_color(number) for number in range(8)) == COLOURS
    assert read_picture(table.fields[1], 480) is None
    (entry,) = TableShelf(tmp_path).read()
    assert (entry.name, entry.n_cells) == ("new", 6)
    path.write_text("path,y_px\n")
    with pytest.raises(InputError, match="expected columns"):
        read_table(path)


def test_runs_side_by_side_take_the_comparison_of_just_them(run, tmp_path) -> None:
    other = make_run(tmp_path, "other", NO_SUCH_PID)
    from stemcls import atomic

    folder = tmp_path / "comparisons" / "20260101-000000"
    folder.mkdir(parents=True)
    document = {"runs": [{"path": str(run.path)}, {"path": str(other.path)}]}
    atomic.write_json(folder / "comparison.json", document)
    found = read_side_by_side(tmp_path, [other.path, run.path])
    assert found.comparison == document
    assert found.problems == ("other has no evaluation", "")
    assert read_side_by_side(tmp_path, [run.path]).comparison is None


def test_a_task_is_finished_when_its_result_is_there(tmp_path, launched, monkeypatch) -> None:
    from .scored import stand_in

    result = tmp_path / "result.json"
    code = (
        "import sys, time, pathlib; print('explain: 3/12 cells so far', flush=True); "
        "go = pathlib.Path(sys.argv[-1]) / 'go'\n"
        "while not go.exists(): time.sleep(0.02)\n"
        f"pathlib.Path({str(result)!r}).write_text('x')"
    )
    seen = stand_in(monkeypatch, code)
    tasks.start(tmp_path, "explain", "done", ["RUN"], result)
    assert seen[0][1:5] == ["-m", "stemcls", "explain", "RUN"]
    end = time.monotonic() + 20
    while time.monotonic() < end and tasks.list_tasks(tmp_path)[0].progress is None:
        time.sleep(0.05)
    (task,) = tasks.list_tasks(tmp_path)
    assert task.progress == (3, 12, "cells so far")
    assert task.state == "running"
    (tmp_path / "go").touch()
    while time.monotonic() < end and task.state == "running":
        time.sleep(0.05)
    assert task.state == "finished"
    with pytest.raises(InputError, match="there is nothing to stop"):
        tasks.stop(task)
    tasks.forget(task)
    assert tasks.list_tasks(tmp_path) == []
    assert result.exists()


def test_options_at_their_default_are_left_out_of_a_command_line() -> None:
    values = {"layers": ["a", "b"], "target": "", "per_class": 2, "settings": {"seed": 7}}
    assert flags(changed(options_of(ExplainConfig), values)) == [
        "--layer=a", "--layer=b", "--seed=7",
    ]
    assert len(list(options_of(Methods))) == len(METHODS)


def test_typed_paths_are_checked_and_counted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        parse_paths("nowhere", tmp_path)
    with pytest.raises(InputError, match="holds no files"):
        describe_paths([tmp_path])
    for name in ("a.tif", "b.tif", "c.txt"):
        (tmp_path / name).touch()
    assert describe_paths(parse_paths(". ; a.tif", tmp_path)) == "4 files: 3 .tif, 1 .txt"


def test_an_export_never_replaces_another(tmp_path) -> None:
    first = write_export(tmp_path, "a/b", ["x"], [["1"]])
    second = write_export(tmp_path, "a/b", ["x"], [["2"]])
    assert first != second
    assert first.read_text().split() == ["x", "1"]
    assert second.read_text().split() == ["x", "2"]


def test_a_verdict_is_told_line_by_line_under_what_it_is_about(run) -> None:
    lines = [Line("how good", "Well."), Line("how good", "Still."), Line("next", "Go.")]
    text = verdict_text(lines)
    assert text.plain == "how good: Well. Still.\nnext: Go."
    assert read_verdict_lines(run, "no-such-set") == []
