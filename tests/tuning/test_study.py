"""A study on disk: what it keeps, what it refuses, and what its journal survives."""

import dataclasses
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from stemcls.bench.study import crop_passes
from stemcls.config.experiment import ModelConfig, SplitConfig
from stemcls.config.imaging import BuildConfig
from stemcls.errors import InputError, StemclsError
from stemcls.evaluation.runfiles import finished_model
from stemcls.runs import list_runs
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore
from stemcls.store.splits import Split
from stemcls.tuning.space.dimensions import Dimension
from stemcls.tuning.space.space import SearchSpace
from stemcls.tuning.study.definition import differences
from stemcls.tuning.study.journal import FoldResult, Journal, Record, read_records
from stemcls.tuning.study.objective import check_objective, objective_of
from stemcls.tuning.study.order import history, known, width_for
from stemcls.tuning.study.study import Study


@pytest.fixture(scope="module")
def study(make_study):
    """A study that was not begun."""
    return make_study(folds=3)


def test_a_study_comes_back_from_its_folder_or_name_as_it_was_made(study):
    for path, workspace in ((study.path, None), (Path(study.path.name), study.path.parents[1])):
        opened = Study.open(path, workspace)
        assert opened.definition == study.definition
        assert opened.n_trials == 6
        assert opened.records() == []


def test_test_groups_are_in_no_fold_and_every_other_crop_scores_once(study, striped_store):
    store = CropStore.open(striped_store)
    outer = study.outer_split()
    assert len(outer.test)
    scored = []
    for fold in range(3):
        split = Split.from_mapping(json.loads(study.split_path(fold).read_text()))
        rows = [split.train, split.validation, split.test]
        groups = [set(store.group_index[part]) for part in rows]
        assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
        assert not set.union(*groups) & set(store.group_index[outer.test])
        scored += split.test.tolist()
    assert sorted(scored) == sorted([*outer.train, *outer.validation])


def test_another_search_is_refused_with_what_differs(study):
    same = dataclasses.replace(study.definition, width=7)
    study.check_same(same)
    first, second = study.definition.space.dimensions
    space = SearchSpace((dataclasses.replace(first, high=0.5), second))
    wanted = dataclasses.replace(study.definition, space=space, objective="auroc")
    with pytest.raises(InputError) as caught:
        study.check_same(wanted)
    told = str(caught.value)
    assert "objective: balanced_accuracy there, auroc now" in told
    assert "space.model.dropout.high: 0.9 there, 0.5 now" in told
    assert "label_smoothing" not in told


def test_differences_name_what_is_new_and_what_is_gone():
    there = {"a": {"list": [{"name": "x", "value": 1}]}, "b": 2}
    now = {"a": {"list": [{"name": "x", "value": 3}, {"name": "y", "value": 1}]}}
    assert differences(there, now) == [
        "a.list.x.value: 1 there, 3 now", "b: 2 there, nothing now",
        "a.list.y.value: nothing there, 1 now",
    ]


def test_a_study_changed_by_hand_is_refused_with_what_was_changed(make_study):
    study = make_study()
    path = study.path / "study.toml"
    path.write_text(path.read_text().replace("folds = 2", "folds = 4"))
    with pytest.raises(InputError, match=r"changed since the study began.*\n.*folds: 2 there, 4"):
        assert Study.open(study.path).definition


def test_a_study_of_another_format_names_the_version_that_reads_it(make_study):
    study = make_study()
    path = study.path / "study.toml"
    text = path.read_text().replace("format = 1", "format = 9").replace("0.1.0", "7.3")
    path.write_text(text)
    with pytest.raises(InputError, match=r"format 9, made by stemcls 7\.3.*reads format 1"):
        Study.open(study.path)


def test_what_is_no_study_is_named(study, tmp_path):
    with pytest.raises(InputError, match="no study"):
        Study.open(tmp_path / "nothing")
    study.run.append("started")
    with pytest.raises(InputError, match=f"did you mean '{study.path.name}'"):
        Study.open(Path(study.path.name[:-1]), study.path.parents[1])
    (tmp_path / "events.jsonl").touch()
    with pytest.raises(InputError, match="is a training run, not a study"):
        Study.open(tmp_path)


def test_lists_of_runs_show_a_study_and_its_model_is_not_looked_for_there(undisturbed):
    (run,) = list_runs(undisturbed.path.parents[1])
    assert run.is_study
    with pytest.raises(InputError, match="is a study; it has none yet: stemcls tune --resume"):
        finished_model(run)


def test_a_journal_survives_a_torn_line_and_names_a_damaged_one(tmp_path):
    path = tmp_path / "trials.jsonl"
    journal = Journal(path)
    journal.append("begun")
    journal.append("trial", trial=0, values={"a": 1})
    journal.append("fold", trial=0, fold=0, result={"score": 0.5})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"entry": "fold", "tri')
    assert read_records(path) == [Record(0, {"a": 1}, {0: FoldResult(0.5)})]
    Journal(path).append("end", trial=0, state="stopped", reason="x", scored=1)
    assert read_records(path)[0].scores == (0.5,)
    path.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(InputError, match=r"line 1 of .*trials\.jsonl is damaged"):
        read_records(path)
    path.write_bytes(whole.replace(b"0.5", b"0.9"))
    with pytest.raises(InputError, match=r"line 3 of .*; the 2 before it are as they were written"):
        read_records(path)
    lines = whole.splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(InputError, match="line 2 of"):
        read_records(path)
    path.write_bytes(whole)
    Journal(path).append("fold", trial=4, fold=0, result={"score": 0.5})
    with pytest.raises(InputError, match="tells of what cannot have been"):
        read_records(path)


def test_a_journal_of_an_older_version_without_checks_goes_on_with_them(tmp_path):
    path = tmp_path / "trials.jsonl"
    path.write_text('{"entry": "begun"}\n{"entry": "trial", "trial": 0, "values": {"a": 1}}\n')
    Journal(path).append("fold", trial=0, fold=0, result={"score": 0.5})
    Journal(path).append("end", trial=0, state="stopped", reason="x", scored=1)
    assert read_records(path)[0].scores == (0.5,)
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.9"))
    with pytest.raises(InputError, match="line 3 of"):
        read_records(path)


def test_a_line_that_the_disk_had_no_room_for_is_cut_off(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "trials.jsonl")
    journal.append("begun")
    before = journal.path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StemclsError, match="every finished fold is kept"):
        journal.append("trial", trial=0, values={})
    assert journal.path.read_bytes() == before


def test_a_trial_knows_those_before_its_width_and_takes_the_others_for_open():
    records = [Record(n, {"a": n}, {0: FoldResult(n / 10)}, "finished", "", 1) for n in range(4)]
    assert [width_for(slots, 3) for slots in (1, 3, 4, 6, 7)] == [1, 1, 2, 2, 3]
    assert [trial.state for trial in history(records, 4, 3)] == [
        "finished", "finished", "pending", "pending"
    ]
    assert [trial.scores for trial in history(records, 4, 3)] == [(0.0,), (0.1,), (), ()]
    records[1].state = "pending"
    assert known(records, 4, 3) is None
    assert known(records, 3, 3) == records[:1]
    assert known(records, 1, 3) == []


def test_objectives_are_headline_metrics_or_those_of_a_class():
    metrics = {"auroc": 0.9, "f1_macro": None, "undefined": ["f1_macro"],
               "per_class": {"a.b": {"sensitivity": 0.7}}}
    for name, value in (("auroc", 0.9), ("a.b.sensitivity", 0.7)):
        check_objective(name, ["a.b", "c"])
        assert objective_of(metrics, name) == value
    with pytest.raises(StemclsError, match="f1_macro is undefined on this fold"):
        objective_of(metrics, "f1_macro")
    for name, hint in (
        ("auroch", "did you mean 'auroc'"), ("xyz", "one of: accuracy"),
        ("c.sens", "did you mean 'sensitivity'"), ("a.b.zzz", "no metric of a class"),
    ):
        with pytest.raises(InputError, match=hint):
            check_objective(name, ["a.b", "c"])


@pytest.mark.parametrize(("changes", "message"), [
    ({"folds": 12}, "12 are needed, one for each fold.*fewer --folds"),
    ({"folds": 1}, "at least 2 folds"),
    ({"objective": "acuracy"}, "did you mean 'accuracy'"),
    ({"space": SearchSpace((Dimension(key="model.dropout", kind="choice", choices=(0.1,)),))},
     "one point"),
    ({"space": SearchSpace((Dimension(key="model.dropuot", kind="float", low=0, high=0.5),))},
     "did you mean 'model.dropout'"),
])
def test_what_cannot_be_searched_is_refused_before_a_study_is_made(make_study, changes, message):
    with pytest.raises(InputError, match=message):
        make_study(**changes)


def test_a_class_that_one_fold_lacks_is_named(make_study, tmp_path):
    rng = np.random.default_rng(0)
    lines = ["path,label,group"]
    for number in range(30):
        label = "rare" if number < 6 else "common"
        cv2.imwrite(str(tmp_path / f"{number}.png"), rng.integers(0, 255, (24, 24, 3), np.uint8))
        lines.append(f"{number}.png,{label},donor {number % 3 if number < 6 else number}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    out = tmp_path / "rare.h5"
    build_store(
        tmp_path, out, BuildConfig(kind="crops", group_what="donor"), tmp_path / "manifest.csv"
    )
    with pytest.raises(InputError, match=r"class 'rare' has 2 donors.*3 are needed"):
        make_study(folds=3, store=str(out), split=SplitConfig(validation=0.2, test=0.2),
                   model=ModelConfig(backbone="TinyCNN", weights="none"))


def test_the_benchmark_counts_what_a_backbone_without_features_would_have_seen(undisturbed):
    passes, folds = crop_passes(undisturbed)
    records = undisturbed.records()
    splits = [
        Split.from_mapping(json.loads(undisturbed.split_path(fold).read_text()))
        for record in records for fold in record.folds
    ]
    assert folds == len(splits)
    # Fake folds all say that they had 5 epochs.
    assert passes == sum(
        5 * (8 * len(split.train) + len(split.validation)) + len(split.test) for split in splits
    )
