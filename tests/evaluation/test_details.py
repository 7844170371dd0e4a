"""Charts, scores by group, cells of every matrix entry and doubtful labels say what is there."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as reference

from stemcls.display.colours import as_colours
from stemcls.evaluation.bygroup import score_groups
from stemcls.evaluation.charts import draw_groups, draw_reliability, draw_scores
from stemcls.evaluation.details import write_details
from stemcls.evaluation.evaluation import evaluate_predictions
from stemcls.evaluation.intervals import group_weights, weight_blocks
from stemcls.evaluation.labelerrors import find_label_errors
from stemcls.evaluation.metrics import compute_metrics
from stemcls.evaluation.naming import CONSISTENCY, TITLES, class_title_of, title_of
from stemcls.evaluation.precisionrecall import precision_recall
from stemcls.evaluation.predictions import Predictions
from stemcls.evaluation.proportions import composition, wilson_interval
from stemcls.evaluation.roc import auroc_of
from stemcls.evaluation.sheets import extremes
from stemcls.store.cropstore import CropStore

from .conftest import certain, simulated


@pytest.mark.parametrize("decimals", [1, 8])
def test_average_precision_and_curve_agree_with_scikit_learn(decimals: int) -> None:
    predictions = simulated(decimals=decimals)
    scores, positive = predictions.probabilities[:, 1], predictions.labels == 1
    recall, precision, average = precision_recall(scores, positive)
    assert average == pytest.approx(reference.average_precision_score(positive, scores))
    expected_precision, expected_recall, _ = reference.precision_recall_curve(positive, scores)
    np.testing.assert_allclose(precision[1:][::-1], expected_precision[:-1])
    np.testing.assert_allclose(recall[1:][::-1], expected_recall[:-1])
    assert np.isnan(precision_recall(scores, np.zeros(len(scores), bool))[2])


def test_areas_by_pairs_of_groups_are_those_summed_crop_by_crop() -> None:
    predictions = simulated(n=300, n_groups=12, decimals=1)
    _, group = np.unique(predictions.groups, return_inverse=True)
    positive = predictions.labels == 0
    scores, weights = predictions.probabilities[:, 0], group_weights(12, 40, seed=2)
    by_pairs = auroc_of(scores, positive, group, 12, resamples=12)(weights)
    by_crops = auroc_of(scores, positive, group, 12, resamples=11)(weights)
    np.testing.assert_allclose(by_pairs, by_crops, atol=1e-12)


def test_blocks_of_any_width_draw_the_same_groups(monkeypatch) -> None:
    whole = group_weights(7, 60, seed=5)
    assert (whole.sum(axis=0) == 7).all()
    monkeypatch.setattr("stemcls.evaluation.intervals.BLOCK_BYTES", 8 * 7 * 9)
    blocks = list(weight_blocks(7, 60, 5, n_rows=7))
    assert [block.shape[1] for block in blocks] == [9] * 6 + [6]
    np.testing.assert_array_equal(np.hstack(blocks), whole)


def test_each_group_is_scored_by_itself_worst_first() -> None:
    predictions = dataclasses.replace(
        certain([0, 0, 1, 1, 1], [0, 1, 1, 1, 1], ("a", "b")), groups=np.array([3, 3, 3, 8, 8])
    )
    worst, best = score_groups(predictions, {3: "mouse 3", 8: "mouse 8"})
    assert (worst.name, worst.n, worst.n_of_class) == ("mouse 3", 3, (2, 1))
    assert worst.accuracy == pytest.approx(2 / 3)
    assert worst.mean_recall == pytest.approx(0.75)
    assert (best.name, best.accuracy, best.mean_recall) == ("mouse 8", 1.0, 1.0)
    assert score_groups(predictions)[0].name == "3"


def test_wilson_intervals_are_those_of_scipy() -> None:
    from scipy import stats

    for hits, n in ((0, 5), (3, 10), (10, 10), (499, 1000)):
        expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
        assert wilson_interval(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_shares_of_a_sample_have_intervals_over_groups() -> None:
    called = np.array([0] * 30 + [1] * 10)
    groups = np.repeat(np.arange(4), 10)  # three donors of one class, one of the other
    shares, over = composition(called, groups, 3)
    assert over == "4 groups"
    assert [share.n for share in shares] == [30, 10, 0]
    assert shares[0].share == 0.75
    assert shares[0].share_ci == (0.25, 1.0)
    assert shares[2].share_ci is None
    alone, over = composition(called, np.zeros(40, int), 2)
    assert over == "no intervals: they need 3 or more groups, and there are 1"
    assert alone[0].share_ci is None


def test_the_surest_and_the_least_sure_of_an_entry_are_found() -> None:
    score = np.linspace(0.55, 0.99, 20)
    predictions = Predictions(
        np.arange(20), np.zeros(20, int), np.stack([score, 1 - score], axis=1), np.arange(20),
        ("a", "b"),
    )
    assert extremes(predictions, 0, 0, each=2).tolist() == [19, 18, 1, 0]
    assert len(extremes(predictions, 0, 1)) == 0
    assert extremes(predictions, 0, 0, each=15).tolist() == list(range(19, -1, -1))


def test_swapped_labels_are_ranked_first_and_right_ones_are_left_alone() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 600)
    logits = random.normal(size=(600, 3))
    logits[np.arange(600), truth] += 6
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = truth.copy()
    swapped = random.choice(600, 30, replace=False)
    labels[swapped] = (labels[swapped] + 1) % 3
    found = find_label_errors(
        Predictions(np.arange(600) + 7, labels, shares, truth, ("a", "b", "c"))
    )
    rows = [suspect.row - 7 for suspect in found]
    assert len(set(rows[:25]) & set(swapped)) >= 24
    assert len(set(rows) & set(swapped)) >= 27
    assert len(found) < 60
    assert found[0].margin == max(suspect.margin for suspect in found)
    assert all(found[i].suggested == truth[rows[i]] for i in range(20))


def test_by_hand_a_class_is_suggested_from_its_own_mean_on() -> None:
    shares = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.85, 0.15]])
    labels = np.array([0, 0, 1, 1, 1])  # means of own: 0.8 and (0.8 + 0.6 + 0.15) / 3
    found = find_label_errors(
        Predictions(np.arange(5), labels, shares, np.arange(5), ("a", "b"))
    )
    assert [(s.row, s.suggested) for s in found] == [(4, 0)]
    assert found[0].margin == pytest.approx(0.7)


def test_details_of_crops_in_a_store_are_written(striped_store, tmp_path: Path) -> None:
    store = CropStore.open(striped_store)
    rows = np.arange(len(store))
    shares = np.where(store.labels[:, None] == np.arange(2), 0.8, 0.2)
    shares[:3] = shares[:3, ::-1]
    predictions = Predictions(rows, store.labels, shares, store.group_index, store.classes)
    evaluation = evaluate_predictions(predictions, resamples=20)
    paths = write_details(tmp_path, evaluation, store)
    names = {path.name for path in paths}
    stems = ("precision_recall", "scores", "reliability", "groups", "cells-1", "cells-2",
             "label_errors")
    assert names == {f"{stem}{suffix}" for stem in stems for suffix in (".png", ".svg")} | {
        "groups.csv", "label_errors.csv"
    }
    assert names == {path.name for path in tmp_path.iterdir()}
    with (tmp_path / "label_errors.csv").open(newline="", encoding="utf-8") as file:
        doubted = list(csv.DictReader(file))
    assert [row["row"] for row in doubted] == ["0", "1", "2"]
    assert doubted[0]["group"] == store.group_names[store.group_index[0]]
    assert "surest" in (tmp_path / "cells-1.svg").read_text(encoding="utf-8")
    with (tmp_path / "groups.csv").open(newline="", encoding="utf-8") as file:
        assert {row["name"] for row in csv.DictReader(file)} == set(store.group_names)


def test_charts_name_what_they_draw_and_read_without_colour() -> None:
    predictions = simulated(n=200, n_groups=60)
    metrics = compute_metrics(predictions, resamples=0)
    (score_axes, *_) = draw_scores(predictions).axes
    assert {text.get_text() for text in score_axes.get_legend().texts} == {
        "of the class", "of others"
    }
    upper, _ = draw_reliability(metrics, metrics).axes
    lines = [line for line in upper.lines if line.get_marker() not in ("", "None", None)]
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == 2
    (axes,) = draw_groups(score_groups(predictions), "donor", metrics).axes
    assert "worst 40 of 58" in axes.get_title(loc="left") or "worst 40" in axes.get_title("left")


def test_names_of_scores_cannot_be_confused_and_become_consistency_rates() -> None:
    assert title_of("balanced_accuracy") != title_of("mean_recall")
    assert "1/2" in title_of("balanced_accuracy")
    assert "1/K" in title_of("mean_recall")
    sorted_labels = {"naming": CONSISTENCY}
    for key in ("accuracy", "mean_recall", "balanced_accuracy", "precision_macro"):
        assert "consisten" in title_of(key, sorted_labels)
        assert "accuracy" not in title_of(key, sorted_labels)
    assert title_of("auroc", sorted_labels) == TITLES["plain"]["auroc"]
    assert class_title_of("sensitivity", sorted_labels) == "consistency"


def test_crops_of_any_channels_and_depth_become_colours() -> None:
    grey = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1) * 85
    np.testing.assert_allclose(as_colours(grey)[0, 1, 1], [1, 1, 1])
    deep = np.arange(8, dtype=np.uint16).reshape(1, 2, 2, 2) * 9000
    shown = as_colours(deep, levels=(0, 63000))
    np.testing.assert_allclose(shown[0, 1, 1], [54000 / 63000, 1, 0])
    assert as_colours(np.zeros((2, 3, 3, 5), np.uint16)).shape == (2, 3, 3, 3)
