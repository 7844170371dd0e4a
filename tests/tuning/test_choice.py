"""Folds compared fold by fold: which trials are alike, which is chosen, which is given up."""

import numpy as np
import pytest

from stemcls.errors import InputError, StemclsError
from stemcls.tuning.results.choice import best_trial
from stemcls.tuning.search.evidence import weigh
from stemcls.tuning.search.history import Trial
from stemcls.tuning.space.dimensions import Dimension
from stemcls.tuning.space.space import SearchSpace
from stemcls.tuning.study.racing import hopeless

SPACE = SearchSpace((Dimension(key="width", kind="int", low=1, high=999),))
# Fold 2 is hard for every trial; that is no noise.
FOLD = np.array([0.0, -0.2, 0.05])


def trials_of(means, sd, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Trial(n, {"width": n + 1}, "finished", tuple(mean + FOLD + rng.normal(0, sd, 3)))
        for n, mean in enumerate(means)
    ]


def width(values):
    return values["width"]


def test_the_scatter_of_folds_is_found_beneath_their_difficulty():
    evidence = weigh(trials_of(np.linspace(0.5, 0.9, 200), sd=0.02))
    assert evidence.scatter == pytest.approx(0.02, rel=0.15)
    assert evidence.fold_effects == pytest.approx(FOLD - FOLD.mean(), abs=0.005)


def test_a_few_trials_that_diverged_do_not_change_the_scatter():
    trials = trials_of([0.8] * 40, sd=0.01)
    wild = [Trial(90 + n, {"width": 1}, "finished", (0.1, 0.9, 0.2)) for n in range(4)]
    assert weigh([*trials, *wild]).scatter == pytest.approx(weigh(trials).scatter, rel=0.3)


def test_a_trial_stopped_after_a_hard_fold_is_not_taken_for_a_bad_one():
    evidence = weigh(trials_of([0.8] * 30, sd=0.01))
    stopped = Trial(50, {}, "stopped", (0.8, 0.6))
    assert np.mean(stopped.scores) == pytest.approx(0.7)
    assert evidence.mean(stopped) == pytest.approx(0.75, abs=0.01)  # as whole trials: 0.75
    whole = Trial(51, {}, "finished", tuple(0.8 + FOLD))
    assert evidence.mean(whole) == pytest.approx(0.75, abs=0.001)
    assert evidence.variance(stopped) > evidence.variance(whole)


def test_the_simplest_of_those_within_one_standard_error_is_chosen():
    means = [0.7, 0.70, 0.895, 0.9, 0.9, 0.901]
    trials = trials_of(means, sd=0.01, seed=4)
    chosen = best_trial(trials, SPACE, width, maximise=True)
    error = weigh(trials).difference_se(3)
    best = max(trials, key=lambda t: t.score)
    alike = {t.number for t in trials if t is not best and best.score - t.score <= error}
    assert chosen.best is best
    assert {t.number for t in chosen.alike} == alike
    assert chosen.trial.number == min({best.number, *alike})
    assert "cannot be told apart" in chosen.reason
    assert "standard error" in chosen.reason


def test_minimising_chooses_the_least():
    trials = trials_of([0.3, 0.1, 0.2], sd=1e-4)
    chosen = best_trial(trials, SPACE, width, maximise=False)
    assert (chosen.trial.number, chosen.alike) == (1, ())
    assert "no other is within" in chosen.reason


def test_only_finished_trials_are_chosen():
    good = Trial(0, {"width": 9}, "finished", (0.5, 0.5))
    others = [Trial(1, {"width": 1}, "stopped", (0.9,)), Trial(2, {"width": 1}, "failed", ())]
    assert best_trial([good, *others], SPACE, width, True).trial is good
    with pytest.raises(StemclsError, match="none of 2 trials finished"):
        best_trial(others, SPACE, width, True)


@pytest.mark.parametrize("maximise", [True, False])
def test_a_trial_far_behind_after_its_first_fold_is_hopeless(maximise):
    sign = 1 if maximise else -1
    finished = [
        Trial(t.number, t.values, t.state, tuple(sign * s for s in t.scores))
        for t in trials_of([0.85, 0.86, 0.9, 0.88, 0.87], sd=0.01)
    ]
    why = hopeless([sign * 0.6], 3, finished, maximise)
    assert why is not None
    assert "behind trial 2 after fold 1" in why
    # The second fold is hard for all: 0.7 there is as good as the best.
    assert hopeless([sign * 0.9, sign * 0.7], 3, finished, maximise) is None
    assert hopeless([sign * 0.88], 3, finished, maximise) is None


def test_nothing_is_given_up_before_the_scatter_is_known():
    assert hopeless([0.1], 3, trials_of([0.9] * 3, sd=0.01), True) is None
    assert hopeless([0.1] * 3, 3, trials_of([0.9] * 9, sd=0.01), True) is None


def test_trials_as_good_as_the_best_are_hardly_ever_given_up():
    rng = np.random.default_rng(1)
    finished = trials_of([0.9] * 12, sd=0.02, seed=1)
    given_up = sum(
        hopeless([0.9 + rng.normal(0, 0.02)], 3, finished, True) is not None for _ in range(500)
    )
    assert given_up <= 25


def test_a_trial_knows_its_mean_and_spread():
    trial = Trial(0, {}, "finished", (0.5, 0.7))
    assert (trial.score, trial.sd) == (pytest.approx(0.6), pytest.approx(0.1 * 2**0.5))
    assert Trial(1, {}, "failed", (0.5,)).score is None
    with pytest.raises(InputError, match="'done'; expected one of pending"):
        Trial(2, {}, "done")
