"""Every sentence of a verdict and of the checklist is that of the documents it is made from."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stemcls.config.experiment import AugmentConfig, Experiment, ModelConfig, with_finetuning
from stemcls.evaluation.evaluation import evaluate_predictions
from stemcls.evaluation.fewgroups import propose_folds
from stemcls.evaluation.report.checklist import NO, OPEN, PART, YES, checklist
from stemcls.evaluation.report.methods import methods_text
from stemcls.evaluation.report.source import Source
from stemcls.evaluation.saliency import BACKGROUND, CELL, UNKNOWN, UNSURE, conclusion, look_of
from stemcls.evaluation.verdict import BELIEF, FAILS, GOOD, NEXT, Findings, groups_for, verdict
from stemcls.runs import Run
from stemcls.store.splits import Split

from .conftest import simulated

NOTHING = {"audit": None, "looks": None, "calibration": None, "externals": []}


def findings(**changes: Any) -> Findings:
    predictions = simulated(n=600, k=2, n_groups=9)
    scored = evaluate_predictions(predictions)
    metrics = scored.metrics | {"evaluated_on": "test"} | changes.pop("metrics", {})
    found = Findings(
        run="r", metrics=metrics, confusion=scored.confusion, classes=predictions.classes,
        unit="donor", groups=groups_for(predictions, None, "group"),
    )
    return dataclasses.replace(found, **changes)


def said(found: Findings, about: str) -> str:
    return " ".join(line.text for line in verdict(found) if line.about == about)


def grave(found: Findings, about: str) -> bool:
    return any(line.grave for line in verdict(found) if line.about == about)


def test_a_verdict_has_three_to_six_lines_and_every_number_says_what_it_is():
    found = findings(metrics={"baseline": {"mean_recall": 0.5}})
    lines = verdict(found)
    assert [line.about for line in lines] == [GOOD, GOOD, BELIEF, FAILS, NEXT]
    value = found.metrics["mean_recall"]
    low, high = found.metrics["mean_recall_ci"]
    assert f"mean recall {value:.2f} (95 %: {low:.2f} to {high:.2f})" in lines[0].text
    assert "guessing gives 0.50; on 600 test crops of 9 donors that it had" in lines[0].text
    assert f"the network is {value - 0.5:.2f} better" in lines[1].text


@pytest.mark.parametrize(("change", "words", "is_grave"), [
    ({"evaluated_on": "validation"}, "that chose the weights, so this is too good", True),
    ({"evaluated_on": "x.h5", "own_store": True}, "that it learned from, so this is no test", True),
    ({"evaluated_on": "lab-2.h5"}, "of lab-2.h5, which it had not seen", False),
    ({"mean_recall": 0.5, "mean_recall_ci": [0.4, 0.6]}, "not shown to be better than", True),
    ({"mean_recall_ci": None, "ci_note": "two donors"}, "cannot be said: two donors.", False),
    ({"naming": "consistency"}, "mean consistency rate", False),
])
def test_how_good_depends_on_what_was_scored(change, words, is_grave):
    found = findings(metrics=change)
    assert words in said(found, GOOD)
    assert words not in said(findings(), GOOD)
    assert grave(found, GOOD) == is_grave


def test_a_baseline_that_is_as_good_is_said():
    kept = {"simple": {"mean_recall": 0.6}, "frozen": {"mean_recall": 0.99}}
    found = findings(metrics={"baseline": kept})
    assert "on simple features 0.60; on frozen features 0.99" in said(found, GOOD)
    assert "the network adds nothing to it: frozen features are enough" in said(found, GOOD)
    assert grave(found, GOOD)


def test_whether_to_believe_it_is_told_from_audit_maps_and_calibration():
    assert "was not audited" in said(findings(), BELIEF)
    checks = [{"title": "t", "status": "fail", "why": "Copies on both sides.", "todo": "drop them"},
              {"title": "u", "status": "pass", "why": ""}]
    failed = findings(audit={"checks": checks, "not_run": [], "stale": True})
    assert "1 of 2 audit checks failed: Copies on both sides." in said(failed, BELIEF)
    assert "changed since the audit" in said(failed, BELIEF)
    assert grave(failed, BELIEF)
    assert said(failed, NEXT) == "Drop them."
    passed = findings(audit={"checks": checks[1:], "not_run": [], "stale": False})
    assert "1 checks for leaks and shortcuts passed" in said(passed, BELIEF)
    away = dataclasses.replace(passed, looks=(BACKGROUND, "gradcam looks at the background"))
    assert "Gradcam looks at the background." in said(away, BELIEF)
    assert grave(away, BELIEF)
    assert "Crop closer" in said(away, NEXT)
    assert "a score of 0.90 does not mean" in said(findings(metrics={"ece": 0.3}), BELIEF)
    assert "scores were calibrated" in said(findings(calibrated=True), BELIEF)


def test_how_it_fails_names_the_worst_class_and_the_worst_group():
    found = findings(confusion=np.array([[90, 10], [40, 60]]))
    assert said(found, FAILS).startswith("Worst class: B, 60 of 100 found; 40 are called A.")
    assert f"Worst donor: {found.groups[0].name}, " in said(found, FAILS)
    assert said(findings(confusion=np.diag([9, 9])), FAILS) == "No scored crop was wrong."
    absent = findings(confusion=np.array([[9, 1], [0, 0]]))
    assert "Not tested at all: B." in said(absent, FAILS)


def test_names_cannot_send_control_characters_to_a_terminal():
    found = findings(classes=("\x1b[31mred", "=1+1"), confusion=np.array([[1, 9], [0, 10]]))
    assert "\x1b" not in said(found, FAILS)
    assert "red" in said(found, FAILS)


@pytest.mark.parametrize(("inside", "look"), [
    ({"mass": 0.3, "area": 0.3}, BACKGROUND), ({"mass": 0.2, "area": 0.3}, BACKGROUND),
    ({"mass": 0.32, "area": 0.3}, UNSURE), ({"mass": 0.5, "area": 0.3}, CELL),
    ({"mass": 0.5, "area": 0.3, "gain_ci": [-0.1, 0.5]}, UNSURE),
    ({"mass": 0.34, "area": 0.3, "gain_ci": [0.01, 0.07]}, CELL),
    ({"mass": 0.95, "area": 0.9}, UNKNOWN), (None, UNKNOWN),
])
def test_maps_that_prefer_no_cell_look_at_the_background(inside, look):
    assert look_of(inside) == look
    assert ("looks at the background" in conclusion("gradcam", inside)) == (look == BACKGROUND)


def source(**changes: Any) -> Source:
    """Return a source without a folder of its own, as a report would read it."""
    metrics = changes.pop("metrics", {})
    evaluation = evaluate_predictions(changes.pop("predictions", simulated(n=90, n_groups=9)))
    evaluation.metrics.update({"evaluated_on": "test"} | metrics)
    run = Run(changes.pop("path"))
    rows = np.arange(3)
    given = {
        "run": run, "parts": (run,), "experiment": Experiment(), "evaluation": evaluation,
        "splits": (Split(rows, rows + 3, rows + 6, ("A", "B", "C"), "field", "abc", {
            "train": ("f1",), "validation": ("f2",), "test": ("f3",)}),),
        "store": None, "why_no_store": "gone", "card": {}, "environment": {"backend": "jax"},
        "history": ([],),
    }
    return Source(**(given | changes))


def answers(found: Source, evidence: dict[str, Any] | None = None) -> dict[str, tuple[str, str]]:
    return {
        item.question.split("?")[0]: (item.status, item.answer)
        for item in checklist(found, NOTHING | (evidence or {}))
    }


def test_the_checklist_changes_with_the_run(tmp_path):
    few = simulated(n=90, n_groups=2)
    plain = source(path=tmp_path, experiment=Experiment(model=ModelConfig(weights="none")))
    other = source(
        path=tmp_path, predictions=few, environment={},
        metrics={"evaluated_on": "validation"},
        experiment=Experiment(
            model=ModelConfig(weights="none", dropout=0.0, l2=0.0),
            augment=AugmentConfig(**dict.fromkeys(vars(AugmentConfig()), 0)),
        ),
    )
    first, second = answers(plain), answers(other)
    each = "Are scores given for each class"
    assert first[each] == (YES, "With intervals, in the section Scores.")
    assert second[each][1].startswith("In the section Scores, without intervals. No interval where")
    fit = "What kept it from overfitting"
    assert first[fit][1] == (
        "Early stopping on validation fields, dropout 0.3, L2 0.001, augmentation."
    )
    assert second[fit][1] == "Early stopping on validation fields."
    assert first["Are scores of samples that played no part in training"][0] == YES
    assert second["Are scores of samples that played no part in training"][0] == NO
    assert first["Were settings chosen without the test set"][0] == OPEN
    assert second["Were settings chosen without the test set"][0] == NO
    assert [answer["Can training be repeated"][0] for answer in (first, second)] == [YES, PART]
    assert first["Is uncertainty given, over independent units"][0] == YES
    assert second["Is uncertainty given, over independent units"][0] == NO


def test_units_on_two_sides_are_said_and_not_denied(tmp_path):
    split = source(path=tmp_path).splits[0]
    leaky = dataclasses.replace(split, units={"train": ("f1", "f2"), "test": ("f2",)})
    found = source(path=tmp_path, splits=(leaky,))
    question = "Are training and test sets independent"
    assert answers(source(path=tmp_path))[question] == (YES, "No field is on two sides.")
    assert answers(found)[question] == (NO, "Fields on two sides: f2.")
    assert "Some fields were on two sides: f2." in dict(methods_text(found))["Split"]


def test_what_other_commands_found_is_answered_from_what_they_found(tmp_path):
    found = source(path=tmp_path)
    looked = "Was it looked at what the model looks at"
    assert answers(found)[looked][0] == NO
    assert answers(found, {"looks": (BACKGROUND, "it looks away")})[looked] == (
        YES, "It looks away. See Verdict.")
    external = {"name": "lab", "mean_recall": 0.5, "n": 10, "own_store": True}
    question = "Was it tested on an external set"
    assert answers(found, {"externals": [external]})[question][0] == NO
    external["own_store"] = False
    assert answers(found, {"externals": [external]})[question] == (
        YES, "lab: mean recall 0.50 of 10 crops.")
    audit = {"checks": [{"status": "warn"}], "stale": False}
    assert answers(found, {"audit": audit})["Were leaks and shortcuts looked for"] == (
        YES, "0 checks passed, 1 warned, 0 failed.")
    stale = audit | {"stale": True}
    assert answers(found, {"audit": stale})["Were leaks and shortcuts looked for"][0] == PART


def test_methods_tell_of_stages_that_ran_and_of_those_that_were_rejected(tmp_path):
    experiment = with_finetuning(Experiment(model=ModelConfig(weights="imagenet")), True)
    found = source(path=tmp_path, history=([{"stage": "finetune"}] * 7,), experiment=experiment)
    assert "exactly by L-BFGS on the training crops." in dict(methods_text(found))["Training"]
    assert "Probabilities are means" in dict(methods_text(found))["Evaluation"]
    (tmp_path / "log.txt").write_text("finetune rejected: validation loss fell by 0.0\n")
    text = dict(methods_text(found))
    assert "It ran for 7 epochs." in text["Training"]
    assert text["Training"].count("were rejected") == 1
    assert "changed at random in stage finetune:" in text["Augmentation"]
    # The head was solved for again, as nothing had come of what it was kept from.
    assert "exactly by L-BFGS on the training and validation crops." in text["Training"]
    assert "Logits are means" in text["Evaluation"]


def test_a_head_that_was_solved_for_is_not_said_to_have_been_trained_by_steps(tmp_path):
    found = source(path=tmp_path, experiment=Experiment(balance="oversample"))
    text = dict(methods_text(found))
    assert "logistic regression on features of the fixed backbone" in text["Training"]
    assert "was chosen by inner folds of these crops, each of whole fields." in text["Training"]
    assert text["Training"].endswith("inverse of their number of training crops.")
    assert "the maps at strides 4, 8 and 16" in text["Network"]
    assert "rings" in text["Network"]
    for word in ("dropout", "L2 penalty 0.001", "epochs", "batches", "oversampled"):
        assert word not in " ".join(text.values())
    fit = "What kept it from overfitting"
    assert answers(found)[fit][1] == (
        "An L2 penalty on the head, its strength chosen by inner folds, a backbone that did not "
        "learn."
    )
    (tmp_path / "log.txt").write_text("strength 1, which could not be chosen: a class lives\n")
    assert "could not be chosen from the data" in dict(methods_text(found))["Training"]
    assert "inner folds" not in answers(found)[fit][1]


@pytest.mark.parametrize(("donors", "words"), [
    (9, ""), (4, "--folds 4 would test every donor once"), (2, "intervals need 3 or more donors"),
])
def test_training_proposes_folds_where_few_donors_test(donors, words):
    group = np.repeat(np.arange(donors), 10)
    store = SimpleNamespace(
        labels=np.tile([0, 1], donors * 5), classes=("a", "b"), group_index=group,
        group_what="donor",
    )
    n_tested = max(1, donors // 3)
    tested = np.flatnonzero(group < n_tested)
    rest = np.flatnonzero(group >= n_tested)
    split = Split(rest, np.zeros(0, int), tested, ("a", "b"), "group", "abc")
    found = propose_folds(store, split)
    assert words in found
    assert bool(found) == bool(words)
