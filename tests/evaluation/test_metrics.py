"""Metrics equal scikit-learn's where it has them, and hand-counted answers everywhere."""

from __future__ import annotations

import dataclasses
import math
import re
import time

import numpy as np
import pytest
from sklearn import metrics as reference

from stemcls.atomic import dump_json
from stemcls.errors import InputError
from stemcls.evaluation.intervals import group_weights, percentile_interval
from stemcls.evaluation.metrics import HEADLINE, PER_CLASS, compute_metrics
from stemcls.evaluation.roc import auroc_of, roc_points
from stemcls.evaluation.weighted import score_weighted

from .conftest import certain, simulated


@pytest.mark.parametrize("k", [2, 3, 7])
def test_scores_agree_with_scikit_learn(k: int) -> None:
    predictions = simulated(k=k)
    found = compute_metrics(predictions, resamples=0)
    truth, called = predictions.labels, predictions.predicted
    expected = {
        "accuracy": reference.accuracy_score(truth, called),
        "mean_recall": reference.balanced_accuracy_score(truth, called),
        "f1_macro": reference.f1_score(truth, called, average="macro"),
        "f1_weighted": reference.f1_score(truth, called, average="weighted"),
        "precision_macro": reference.precision_score(truth, called, average="macro"),
        "auroc": np.mean([
            reference.roc_auc_score(truth == index, predictions.probabilities[:, index])
            for index in range(k)
        ]),
    }
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, abs=1e-12), key


def test_weighted_scores_of_each_resample_agree_with_scikit_learn() -> None:
    predictions = simulated()
    names, group = np.unique(predictions.groups, return_inverse=True)
    weights = group_weights(len(names), 5, seed=3)
    found = score_weighted(predictions, weights)
    truth, called = predictions.labels, predictions.predicted
    for index in range(5):
        weight = weights[group, index]
        areas = [
            reference.roc_auc_score(
                truth == c, predictions.probabilities[:, c], sample_weight=weight
            )
            for c in range(3)
        ]
        np.testing.assert_allclose(found["class_auroc"][index], areas, atol=1e-12)
        for key, score in (
            ("accuracy", reference.accuracy_score(truth, called, sample_weight=weight)),
            ("mean_recall", reference.balanced_accuracy_score(truth, called, sample_weight=weight)),
            ("f1_macro", reference.f1_score(truth, called, average="macro", sample_weight=weight)),
            ("f1_weighted",
             reference.f1_score(truth, called, average="weighted", sample_weight=weight)),
            ("precision_macro",
             reference.precision_score(truth, called, average="macro", sample_weight=weight)),
        ):
            assert found[key][index] == pytest.approx(score, abs=1e-12), key


def test_a_resample_counts_as_if_its_groups_were_there_that_often() -> None:
    predictions = simulated(n=120, n_groups=4)
    weights = group_weights(4, 3, seed=1)
    names = np.unique(predictions.groups)
    found = score_weighted(predictions, weights)
    for index in range(3):
        drawn = np.repeat(names, weights[:, index].astype(int))
        rows = np.concatenate([np.flatnonzero(predictions.groups == name) for name in drawn])
        copied = dataclasses.replace(
            predictions, rows=rows, labels=predictions.labels[rows],
            probabilities=predictions.probabilities[rows], groups=predictions.groups[rows],
        )
        expected = compute_metrics(copied, resamples=0)
        for key in HEADLINE:
            assert found[key][index] == pytest.approx(expected[key], abs=1e-12), key


def test_two_classes_give_the_counted_answers_and_the_last_class_is_positive() -> None:
    # truth 0: 3 right, 1 wrong; truth 1: 4 right, 2 wrong
    predictions = certain([0] * 4 + [1] * 6, [0, 0, 0, 1, 1, 1, 1, 1, 0, 0], ("aged", "young"))
    found = compute_metrics(predictions, resamples=50)
    assert found["positive_class"] == "young"
    positive = found["positive"]
    assert positive["sensitivity"] == pytest.approx(4 / 6)
    assert positive["specificity"] == pytest.approx(3 / 4)
    assert positive["ppv"] == pytest.approx(4 / 5)
    assert positive["npv"] == pytest.approx(3 / 5)
    assert positive["f1"] == pytest.approx(8 / 11)
    assert positive["auroc"] == pytest.approx((4 / 6 + 3 / 4) / 2)
    assert positive["n"] == 6
    low, high = positive["sensitivity_ci"]
    assert low <= 4 / 6 <= high
    assert found["balanced_accuracy"] == pytest.approx((4 / 6 + 3 / 4) / 2)
    assert found["accuracy"] == 0.7


def test_balanced_accuracy_is_the_class_mean_of_sensitivity_and_specificity() -> None:
    predictions = certain([0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 0, 2], ("a", "b", "c"))
    found = compute_metrics(predictions, resamples=0)
    # sensitivities 1/2, 1, 1/2; specificities 3/4, 3/4, 1
    assert found["balanced_accuracy"] == pytest.approx((1.25 + 1.75 + 1.5) / 6)
    assert found["mean_recall"] == pytest.approx(2 / 3)


def test_chance_is_half_for_balanced_accuracy_and_one_kth_for_recall() -> None:
    predictions = certain([0, 1, 2, 3], [0, 0, 0, 0], tuple("abcd"))
    found = compute_metrics(predictions, resamples=0)
    assert found["balanced_accuracy"] == 0.5
    assert found["mean_recall"] == 0.25


def test_a_class_without_crops_is_undefined_skipped_and_named() -> None:
    predictions = certain([0, 0, 1, 1], [0, 2, 1, 1], ("a", "b", "missing"))
    found = compute_metrics(predictions, resamples=0)
    missing = found["per_class"]["missing"]
    assert missing["n"] == 0
    assert math.isnan(missing["sensitivity"])
    assert math.isnan(missing["auroc"])
    assert math.isnan(missing["f1"])
    assert missing["ppv"] == 0  # it was called once, wrongly
    assert missing["specificity"] == 0.75
    assert found["mean_recall"] == 0.75
    assert found["undefined"] == [
        "sensitivity of missing", "f1 of missing", "auroc of missing",
    ]
    assert '"sensitivity": null' in dump_json(found)


def test_the_precision_of_a_class_never_called_is_undefined_and_its_f1_is_zero() -> None:
    found = compute_metrics(certain([0, 0, 1], [0, 0, 0], ("a", "b")), resamples=0)
    assert math.isnan(found["per_class"]["b"]["ppv"])
    assert math.isnan(found["per_class"]["a"]["npv"])
    assert found["per_class"]["b"]["f1"] == 0
    assert found["precision_macro"] == pytest.approx(2 / 3)
    assert found["undefined"] == ["npv of a", "ppv of b"]


def test_all_crops_of_one_class_leave_the_area_undefined() -> None:
    found = compute_metrics(certain([0, 0, 0], [0, 0, 1], ("a", "b")), resamples=20)
    assert math.isnan(found["auroc"])
    assert found["auroc_ci"] is None
    assert found["accuracy_ci"] is not None
    assert "auroc of a" in found["undefined"]


def test_resamples_that_lack_a_class_are_counted() -> None:
    predictions = dataclasses.replace(
        certain([0, 0, 0, 1, 1, 1], [0, 1, 0, 1, 1, 0], ("a", "b")), groups=np.arange(6)
    )
    found = compute_metrics(predictions, resamples=200)
    assert re.match(r"\d+ of 200 resamples lacked a class", found["ci_note"])


def test_every_headline_number_lies_within_its_interval() -> None:
    found = compute_metrics(simulated(n=600, n_groups=20))
    for key in HEADLINE:
        low, high = found[f"{key}_ci"]
        assert 0 <= low < found[key] < high <= 1, key
    assert found["ci_note"] is None
    keys = {*PER_CLASS, *(f"{key}_ci" for key in PER_CLASS), "n", "n_groups"}
    assert set(found["per_class"]["A"]) == keys
    assert found["n"] == 600
    assert found["n_groups"] == 20


def test_intervals_follow_groups_and_not_crops() -> None:
    # Each group is all right or all wrong: 40 crops know no more than 4.
    labels = np.tile([0, 1], 20)
    right = np.repeat([1, 1, 1, 0], 10)
    called = np.where(right, labels, 1 - labels)
    crops = certain(list(labels), list(called), ("a", "b"))
    groups = dataclasses.replace(crops, groups=np.repeat(np.arange(4), 10))
    low, high = compute_metrics(groups)["accuracy_ci"]
    assert (low, high) == (0.25, 1.0)
    narrow = compute_metrics(crops)["accuracy_ci"]
    assert narrow[1] - narrow[0] < 0.3


def test_two_groups_give_no_interval_but_a_reason() -> None:
    found = compute_metrics(simulated(n_groups=2))
    assert all(found[f"{key}_ci"] is None for key in HEADLINE)
    assert found["ci_note"] == (
        "no interval where a class has fewer than 3 independent groups among the scored crops "
        "(A 2, B 2, C 2): stemcls train STORE --folds 4 tests every group once"
    )


def test_a_class_of_two_groups_has_no_interval_and_neither_have_means_over_classes() -> None:
    predictions = dataclasses.replace(
        certain([0] * 8 + [1] * 8, [0, 1, 1, 1, 0, 0, 0, 0] + [1, 1, 1, 0] * 2, ("a", "b")),
        groups=np.repeat([0, 1, 2, 3, 4, 5], [2, 2, 2, 2, 4, 4]),
    )
    found = compute_metrics(predictions, remedy="bring more donors")
    assert found["per_class"]["b"]["n_groups"] == 2
    assert all(found["per_class"]["b"][f"{key}_ci"] is None for key in PER_CLASS)
    assert found["mean_recall_ci"] is None
    assert found["accuracy_ci"] is None
    assert "(b 2): bring more donors" in found["ci_note"]
    assert found["per_class"]["a"]["sensitivity_ci"] is not None


@pytest.mark.parametrize("right", [1.0, 0.75])
def test_groups_that_are_all_alike_give_no_interval_of_one_value(right: float) -> None:
    called = [0, 0, 0, int(right < 1)] * 4 + [1] * 16
    found = compute_metrics(dataclasses.replace(
        certain([0] * 16 + [1] * 16, called, ("a", "b")), groups=np.repeat(np.arange(8), 4)
    ))
    assert found["per_class"]["a"]["sensitivity"] == right
    assert found["per_class"]["a"]["sensitivity_ci"] is None
    if right == 1.0:
        assert "the same in all 8 groups" in found["ci_note"]
    for row in (found, *found["per_class"].values()):
        for key, ends in row.items():
            if key.endswith("_ci") and ends:
                assert f"{ends[0]:.3f}" != f"{ends[1]:.3f}", key


def test_an_interval_of_all_that_a_score_can_be_is_none() -> None:
    values = np.array([0.0, 1.0] * 50)
    assert percentile_interval(values, of_score=True) is None
    assert percentile_interval(values) == [0.0, 1.0]


def test_the_same_seed_gives_the_same_interval() -> None:
    first, second = compute_metrics(simulated(), seed=4), compute_metrics(simulated(), seed=4)
    assert first["auroc_ci"] == second["auroc_ci"]
    assert first["auroc_ci"] != compute_metrics(simulated(), seed=5)["auroc_ci"]


def test_score_cuts_count_the_surer_predictions() -> None:
    predictions = certain([0, 0, 1, 1], [0, 1, 1, 1], ("a", "b"))
    cuts = {cut["cut"]: cut for cut in compute_metrics(predictions, resamples=0)["score_cuts"]}
    assert cuts[0.5] == {"cut": 0.5, "n": 4, "share": 1.0, "accuracy": 0.75}
    sharper = dataclasses.replace(
        predictions, probabilities=np.array([[0.95, 0.05], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    )
    cuts = {cut["cut"]: cut for cut in compute_metrics(sharper, resamples=0)["score_cuts"]}
    assert (cuts[0.9]["n"], cuts[0.9]["accuracy"]) == (1, 1.0)
    assert (cuts[0.7]["n"], cuts[0.7]["share"]) == (3, 0.75)


def test_ties_count_one_half() -> None:
    scores = np.array([0.5, 0.5, 0.5, 0.5], dtype=np.float32)
    positive = np.array([True, False, True, False])
    found = auroc_of(scores, positive, np.zeros(4, dtype=int), 1, 1)(np.ones((1, 1)))
    assert found[0] == 0.5


@pytest.mark.parametrize("decimals", [1, 2, 8])
def test_roc_points_agree_with_scikit_learn(decimals: int) -> None:
    predictions = simulated(decimals=decimals)
    scores, positive = predictions.probabilities[:, 0], predictions.labels == 0
    for found, expected in zip(
        roc_points(scores, positive), reference.roc_curve(positive, scores), strict=True
    ):
        np.testing.assert_allclose(found, expected)


def test_an_interval_ignores_what_is_undefined() -> None:
    values = np.append(np.linspace(0, 1, 101), np.nan)
    np.testing.assert_allclose(percentile_interval(values), [0.025, 0.975])
    assert percentile_interval(np.array([np.nan])) is None


def test_a_thousand_resamples_of_seven_thousand_crops_take_seconds() -> None:
    predictions = simulated(n=7000, k=7, n_groups=300, decimals=4)
    started = time.perf_counter()
    compute_metrics(predictions, resamples=1000)
    assert time.perf_counter() - started < 10  # about 0.6 s on an idle core


def test_negative_resamples_are_refused() -> None:
    with pytest.raises(InputError, match="0 or more, found -1"):
        compute_metrics(simulated(), resamples=-1)
