"""Suggestions: pure functions of the history that find minima, and never repeat themselves."""

import math
from functools import cache

import numpy as np
import pytest

from stemcls.bench.objectives import OBJECTIVES
from stemcls.errors import InputError
from stemcls.tuning.search.acquisition import log_expected_improvement, name_of
from stemcls.tuning.search.encoding import Encoding
from stemcls.tuning.search.history import Trial
from stemcls.tuning.search.suggest import ALGORITHMS, suggest
from stemcls.tuning.search.surrogate import Surrogate
from stemcls.tuning.space.dimensions import Condition, Dimension
from stemcls.tuning.space.space import SearchSpace

SMALL = SearchSpace((
    Dimension(key="net", kind="choice", choices=("a", "b", "c")),
    Dimension(key="deep", kind="boolean", default=False),
    Dimension(key="width", kind="choice", choices=(8, 16), when=Condition("deep", (True,))),
))
LINE = SearchSpace((
    Dimension(key="x", kind="float", low=0.0, high=1.0),
    Dimension(key="y", kind="float", low=0.0, high=1.0),
))


def searched(objective, count, seed=0, algorithm="ei"):
    trials = []
    for number in range(count):
        values = suggest(objective.space, trials, number, seed, algorithm, maximise=False)
        trials.append(objective.tried(values, number, seed))
    return trials


def ended(number, values, *scores, state="finished"):
    return Trial(number, values, state, scores)


def score(values):
    return -((values["x"] - 0.7) ** 2) - (values["y"] - 0.2) ** 2


@cache
def line_search():
    trials = []
    for number in range(14):
        values = suggest(LINE, trials, number, seed=3)
        trials.append(ended(number, values, score(values)))
    return trials


def line_history(count=8):
    return line_search()[:count]


def test_trial_0_is_the_initial_configuration():
    assert suggest(SMALL, [], 0, seed=9) == {"net": "a", "deep": False}


def test_the_search_beats_chance_where_chance_is_hopeless():
    mixed = OBJECTIVES["mixed"]
    ours = min(t.score for t in searched(mixed, 14))
    chance = min(t.score for seed in range(3) for t in searched(mixed, 14, seed, "random"))
    assert ours < chance


def test_maximising_is_minimising_the_negative():
    best = max(line_history(14), key=lambda t: t.score)
    assert abs(best.values["x"] - 0.7) < 0.05
    assert abs(best.values["y"] - 0.2) < 0.05


@pytest.mark.parametrize("algorithm", ["ei", "random"])
def test_a_suggestion_depends_on_history_number_and_seed_alone(algorithm):
    history = line_history()
    first = suggest(LINE, history, 8, 3, algorithm)
    suggest(LINE, history[:5], 5, 7, algorithm)
    assert suggest(LINE, history, 8, 3, algorithm) == first
    assert suggest(LINE, list(reversed(history)), 8, 3, algorithm) == first
    assert suggest(LINE, history, 8, 4, algorithm) != first


@pytest.mark.parametrize("algorithm", ["ei", "random"])
def test_a_small_space_is_searched_to_its_end_without_a_repeat(algorithm):
    trials = []
    # Failed, pending and stopped settings are not tried again either.
    states = ("finished", "failed", "pending", "stopped")
    while (values := suggest(SMALL, trials, len(trials), 1, algorithm)) is not None:
        state = states[len(trials) % 4]
        scores = () if state in ("failed", "pending") else (len(trials) / 10,)
        trials.append(Trial(len(trials), values, state, scores))
        assert len(trials) <= 9
    assert {name_of(t.values) for t in trials} == {name_of(s) for s in SMALL.settings()}


def test_trials_under_way_are_spread_apart():
    history = line_history(6)
    first = suggest(LINE, history, 6, 3)
    second = suggest(LINE, [*history, Trial(6, first)], 7, 3)
    third = suggest(LINE, [*history, Trial(6, first), Trial(7, second)], 8, 3)
    places = np.array([list(values.values()) for values in (first, second, third)])
    gaps = np.linalg.norm(places[[0, 0, 1]] - places[[1, 2, 2]], axis=1)
    assert gaps.min() >= 0.05


LOST = (
    {"state": "failed"}, {"state": "finished", "scores": (math.nan,)},
    {"state": "finished", "scores": (math.inf, 0.5)},
)


def test_what_failed_counts_as_the_worst():
    # Everything right of the middle fails: the search must not be drawn there.
    trials = []
    for number in range(12):
        values = suggest(LINE, trials, number, 5)
        broken = values["x"] > 0.5
        trials.append(
            Trial(number, values, **LOST[number % 3]) if broken
            else ended(number, values, -values["y"])
        )
    assert sum(t.values["x"] <= 0.5 for t in trials[6:]) >= 4
    assert all(t.lost == (t.values["x"] > 0.5) for t in trials)


def test_a_search_of_which_everything_failed_goes_on():
    trials = []
    for number in range(12):
        values = suggest(LINE, trials, number, 0)
        trials.append(Trial(number, values, "failed"))
    assert len({name_of(t.values) for t in trials}) == 12


def test_hyperband_gives_the_better_settings_more_epochs():
    space = SearchSpace((
        LINE["x"], Dimension(key="stages.frozen.epochs", kind="int", low=3, high=27, default=27),
    ))
    trials = []
    for number in range(17):
        values = suggest(space, trials, number, 0, "hyperband")
        trials.append(ended(number, values, -abs(values["x"] - 0.4)))
    epochs = [t.values["stages.frozen.epochs"] for t in trials]
    # Three lengths, 3, 9 and 27: nine settings (the first is the initial one), then the best three
    # of those, then the best; then the next bracket begins at 9.
    assert epochs[1:9] == [3] * 8
    assert epochs[9:12] == [9] * 3
    assert epochs[12] == 27
    assert epochs[13:17] == [9] * 4
    first = sorted(trials[:9], key=lambda t: -t.score)
    promoted = {t.values["x"] for t in trials[9:12]}
    assert promoted == {t.values["x"] for t in first[:3]}
    assert trials[12].values["x"] == first[0].values["x"]


def test_hyperband_without_epochs_is_refused():
    with pytest.raises(InputError, match="the space has none"):
        suggest(LINE, line_history(1), 1, 0, "hyperband")


def test_an_unknown_algorithm_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'random'"):
        suggest(LINE, [], 0, 0, "ramdom")
    assert set(ALGORITHMS) == {"ei", "random", "kerastuner", "hyperband"}


def test_names_are_equally_far_apart_and_what_is_absent_has_one_place():
    encoding = Encoding(SMALL)
    points = encoding.points([
        {"net": net, "deep": False} for net in ("a", "b", "c")
    ])
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert gaps[np.triu_indices(3, 1)] == pytest.approx(1.0)
    shallow, narrow, wide = encoding.points([
        {"net": "a", "deep": False}, {"net": "a", "deep": True, "width": 8},
        {"net": "a", "deep": True, "width": 16},
    ])
    assert (shallow[-1], narrow[-1], wide[-1]) == (0.5, 0.0, 1.0)


def test_the_surrogate_agrees_with_scikit_learn():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern

    rng = np.random.default_rng(0)
    points, others = rng.random((12, 1)), rng.random((5, 1))
    scores, variances = np.sin(5 * points[:, 0]), rng.uniform(0.001, 0.05, 12)
    surrogate = Surrogate(points, (1,), scores, variances)
    alone, near, together, far, white = surrogate._parameters
    kernel = ConstantKernel(alone) * RBF(near) + ConstantKernel(together) * Matern(far, nu=2.5)
    scale = scores.std()
    reference = GaussianProcessRegressor(
        kernel, alpha=variances / scale**2 + white + 1e-9, optimizer=None
    ).fit(points, (scores - scores.mean()) / scale)
    mean, deviation = reference.predict(others, return_std=True)
    ours = surrogate.predict(others)
    assert ours[0] == pytest.approx(mean * scale + scores.mean(), abs=1e-6)
    assert ours[1] == pytest.approx(deviation * scale, abs=1e-5)


def test_a_noisy_trial_moves_the_surrogate_less_than_a_sure_one():
    points = np.linspace(0, 1, 9)[:, None]
    scores = points[:, 0].copy()
    scores[4] += 0.3
    off = [
        Surrogate(
            points, (1,), scores, np.where(np.arange(9) == 4, variance, 1e-6)
        ).predict(points[4:5])[0][0] - 0.5
        for variance in (1e-6, 0.09)
    ]
    assert abs(off[1]) < off[0] / 2


def test_expected_improvement_has_its_known_values_and_a_tail():
    # E[max(0, -z)] of a standard normal is 1 / sqrt(2 pi); far above the least it vanishes.
    found = log_expected_improvement(
        np.array([0.0, 2.0, 7.9, 8.1, 50.0]), np.ones(5), 0.0
    )
    assert np.exp(found[0]) == pytest.approx(1 / math.sqrt(2 * math.pi))
    assert np.exp(found[1]) == pytest.approx(0.00849070, rel=1e-4)
    assert np.all(np.isfinite(found))
    assert np.all(np.diff(found) < 0)
    assert found[2] - found[3] == pytest.approx(1.65, abs=0.1)
