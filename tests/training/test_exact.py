"""Heads that are solved for: the right optimum, inner folds, and a graph that says the same."""

import json
import shutil

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from stemcls.config.experiment import Experiment, ModelConfig, StageConfig
from stemcls.errors import InputError
from stemcls.evaluation.predictions import read_predictions
from stemcls.evaluation.runfiles import UNSEEN, read_split
from stemcls.models.build import add_head, build_extractor
from stemcls.models.inference import predict
from stemcls.models.pooling import RINGS, block_widths, ring_weights
from stemcls.models.saved import load_model
from stemcls.runs import Run
from stemcls.store.cropstore import CropStore
from stemcls.training import logistic
from stemcls.training.exact import set_head
from stemcls.training.features import Averaged, FeatureBank
from stemcls.training.folds import compare_with_baseline
from stemcls.training.logistic import balanced_log_loss, fit_logistic
from stemcls.training.train import prepare_run, train

EXACT = StageConfig(name="frozen", trainable="none", epochs=1, views=2, optimizer="lbfgs")
RINGED = ModelConfig(backbone="TinyCNN", weights="none", pooling="rings")


def clouds(n=120, width=6, k=3, seed=0, spread=1.0):
    """Return features of k overlapping classes in groups of four."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % k
    centres = rng.normal(0, 2, (k, width))
    features = centres[targets] + rng.normal(0, spread, (n, width))
    return features.astype(np.float32), targets, np.arange(n) // 4


def test_the_optimum_is_that_of_scikit_learn(monkeypatch):
    features, targets, unit = clouds()
    monkeypatch.setattr(logistic, "STRENGTHS", (1.0,))
    fit = fit_logistic(features, targets, 3, unit, blocks=[6])
    # Half-whitened by hand, from the singular values of the standardised rows.
    x = (features - features.mean(axis=0)) / features.std(axis=0) / np.sqrt(6)
    _, singular, directions = np.linalg.svd(x, full_matrices=False)
    half = x @ directions.T / (singular / np.sqrt(len(x))) ** 0.5
    theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=5000).fit(half, targets)
    assert np.abs(fit.head.probabilities(features) - theirs.predict_proba(half)).max() < 2e-3


def test_noise_calls_for_a_stronger_penalty_and_inner_folds_keep_groups_together():
    features, targets, unit = clouds(spread=0.5)
    clear = fit_logistic(features, targets, 3, unit, blocks=[6])
    rng = np.random.default_rng(1)
    noisy = fit_logistic(
        rng.normal(size=(120, 40)).astype(np.float32), targets, 3, unit, blocks=[40]
    )
    assert noisy.strength < clear.strength
    assert min(clear.losses, key=clear.losses.get) == clear.strength
    assert all(len(set(clear.fold[unit == one])) == 1 for one in np.unique(unit))
    assert balanced_log_loss(clear.unseen, targets, 3) == pytest.approx(
        clear.losses[clear.strength]
    )
    # What nothing can be learned from is not believed: close to guessing, not below it.
    assert balanced_log_loss(noisy.unseen, targets, 3) < np.log(3) + 0.1


def test_one_in_a_thousand_is_still_found_where_classes_count_alike():
    rng = np.random.default_rng(0)
    targets = np.zeros(3000, np.int64)
    targets[::1000] = 1
    features = rng.normal(size=(3000, 4)).astype(np.float32)
    features[targets == 1, 0] += 8
    fit = fit_logistic(features, targets, 2, np.arange(3000), blocks=[4])
    found = fit.head.probabilities(features).argmax(axis=1)
    assert found[targets == 1].all()
    assert (found[targets == 0] == 0).mean() > 0.99


def test_constant_features_give_guesses_and_nothing_that_is_no_number():
    targets = np.arange(24) % 3
    fit = fit_logistic(np.full((24, 5), 7, np.float32), targets, 3, np.arange(24), blocks=[5])
    found = fit.head.probabilities(np.full((2, 5), 9, np.float32))
    assert np.allclose(found, 1 / 3, atol=1e-4)


def test_a_class_in_one_group_takes_the_usual_strength_and_says_nothing_of_unseen_crops():
    features, targets, _ = clouds(24, 3, 2)
    fit = fit_logistic(features, targets, 2, targets, blocks=[3])
    assert fit.strength == logistic.USUAL_STRENGTH
    assert fit.unseen is None
    assert not fit.losses


def test_chunks_and_memory_come_to_the_same(monkeypatch):
    features, targets, unit = clouds(90, 8, 3)
    at_once = fit_logistic(features, targets, 3, unit, blocks=[4, 4])
    monkeypatch.setattr(logistic, "spare_memory_bytes", lambda: 0)
    monkeypatch.setattr(logistic, "_CHUNK", 32)
    halves = Averaged((features - 1, features + 1), np.arange(90))
    chunked = fit_logistic(halves, targets, 3, unit, blocks=[4, 4])
    assert np.allclose(
        at_once.head.probabilities(features), chunked.head.probabilities(features), atol=1e-3
    )


def test_rings_cover_the_map_around_its_middle():
    for height, width in ((12, 12), (3, 3), (1, 1), (6, 9)):
        weights = ring_weights(height, width)
        assert weights.shape == (height * width, len(RINGS))
        assert np.allclose(weights.sum(axis=0), 1)
    inner, _, outer = ring_weights(13, 13).reshape(13, 13, 3).transpose(2, 0, 1)
    assert inner[6, 6] > 0
    assert inner[0, 6] == 0
    assert outer[6, 6] == 0


def test_a_model_with_rings_is_plain_keras_and_says_what_the_solved_head_says(tmp_path):
    extractor = build_extractor(RINGED, (16, 16), 2, 255.0)
    assert block_widths(extractor) == [64 * (1 + len(RINGS))]
    crops = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 2)).astype(np.uint8)
    features = extractor.predict(crops, verbose=0)
    fit = fit_logistic(features, np.arange(24) % 3, 3, np.arange(24), blocks=[256])
    wanted = fit.head.probabilities(features)
    for scaled in (features, None):
        model = add_head(extractor, RINGED, 3, scaled, 0)
        set_head(model, fit.head)
        assert np.allclose(model.predict(crops, verbose=0), wanted, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert np.allclose(loaded.predict(crops, verbose=0), wanted, atol=1e-5)


def test_large_sets_keep_half_the_precision_and_the_views_that_fit(tmp_path, monkeypatch):
    from stemcls.training import features as module

    monkeypatch.setattr(module, "DISK_BYTES", 2 * 4 * 100 * 10)
    assert module.affordable_views((100, 10), 4, tmp_path) == 4
    assert module.affordable_views((200, 10), 4, tmp_path / "not" / "there") == 2
    assert module.affordable_views((10_000, 10), 4, tmp_path) == 1
    bank = FeatureBank(np.array([3, 5]), (np.ones((2, 2), np.float16), np.zeros((2, 2), "f2")))
    assert bank.averaged(np.array([5]), 2, 0)[:].dtype == np.float32
    assert np.array_equal(bank.averaged(np.array([5, 3]), 2, 1e9), np.full((2, 2), 0.5))


@pytest.fixture(scope="module")
def solved(striped_store, tmp_path_factory):
    """A run whose only stage solves for the head on random features."""
    workspace = tmp_path_factory.mktemp("solved")
    experiment = Experiment(store=str(striped_store), model=RINGED, stages=(EXACT,), test_views=2)
    run = prepare_run(experiment, workspace)
    return run, train(run)


def test_a_solved_run_scores_as_its_saved_model_does(solved, striped_store):
    run, metrics = solved
    model, card = load_model(run.model_path)
    assert card.views == 2
    split, store = read_split(run), CropStore.open(striped_store)
    again = predict(model, store.read, split.test, views=2)
    kept = read_predictions(run.path / "evaluation" / "predictions.csv")
    assert np.allclose(kept.probabilities, again, atol=1e-5)
    assert metrics["baseline"]["mean_recall"] > 0.5
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert [e["epoch"] for e in events if e["event"] == "epoch"] == [1]
    assert "strength" in (run.path / "log.txt").read_text()


def test_no_crop_is_held_back_and_each_is_judged_by_a_head_that_had_not_seen_it(solved):
    run, _ = solved
    split = read_split(run)
    unseen = read_predictions(run.path / "evaluation" / UNSEEN)
    assert set(unseen.rows) == {*split.train, *split.validation}


def test_calibration_takes_the_unseen_crops(solved, tmp_path):
    from stemcls.evaluation.calibration.calibrate import calibrate_run

    run, _ = solved
    copy = Run(shutil.copytree(run.path, tmp_path / run.name))
    document = calibrate_run(copy)
    assert document["temperature"]["value"] > 0


def test_crops_that_score_a_run_without_test_crops_are_not_fitted_to(
    striped_store, tmp_path
):
    from dataclasses import replace

    experiment = Experiment(store=str(striped_store), model=RINGED, stages=(EXACT,))
    experiment = replace(experiment, split=replace(experiment.split, test=0.0))
    run = prepare_run(experiment, tmp_path)
    metrics = train(run)
    unseen = read_predictions(run.path / "evaluation" / UNSEEN)
    assert metrics["evaluated_on"] == "validation"
    assert set(unseen.rows) == set(read_split(run).train)


def finetuned(rate):
    return StageConfig(
        name="finetune", epochs=1, learning_rate=rate, batch_size=16, batch_norm="fixed"
    )


def test_where_fine_tuning_gains_nothing_the_head_is_solved_anew_with_all_crops(
    striped_store, tmp_path, solved
):
    experiment = Experiment(
        store=str(striped_store), model=RINGED, stages=(EXACT, finetuned(1e-9)), test_views=2
    )
    run = prepare_run(experiment, tmp_path)
    metrics = train(run)
    split = read_split(run)
    unseen = read_predictions(run.path / "evaluation" / UNSEEN)
    assert set(unseen.rows) == {*split.train, *split.validation}
    assert "finetune rejected" in (run.path / "log.txt").read_text()
    # The same head on the same backbone as without the stage; and the stage began without these.
    assert metrics["mean_recall"] == pytest.approx(solved[1]["mean_recall"], abs=0.02)
    stages = json.loads((run.path / "evaluation" / "stages.json").read_text())
    assert set(stages) == {"frozen", "final"}


def test_the_default_solves_for_one_layer_and_trains_deeper_heads():
    default = Experiment()
    assert default.is_exact(default.plan[0])
    deep = Experiment(model=ModelConfig(dense=(8,)))
    assert not deep.is_exact(deep.plan[0])
    with pytest.raises(InputError, match=r"solves for one layer, but model.dense is \[8\]"):
        Experiment(model=ModelConfig(dense=(8,)), stages=(EXACT,))
    with pytest.raises(InputError, match="fits a head on a frozen backbone alone"):
        StageConfig(name="all", trainable="all", optimizer="lbfgs")


def test_the_verdict_says_when_the_network_adds_nothing():
    def scored(recall):
        return {"mean_recall": recall, "auroc": recall, "name": "simple"}

    worse = compare_with_baseline([scored(0.8), scored(0.7)], [scored(0.9), scored(0.8)])
    assert worse["difference"] == pytest.approx(-0.1)
    assert "adds nothing" in worse["verdict"]
    better = compare_with_baseline([scored(0.8), scored(0.9)], [scored(0.7), scored(0.7)])
    assert better["difference_se"] == pytest.approx(0.05)
    assert "adds nothing" not in better["verdict"]
