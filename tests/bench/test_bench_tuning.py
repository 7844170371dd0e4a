"""What `stemcls bench tune` measures: known minima, the same noise for all, honest counts."""

from __future__ import annotations

import math

import pytest

from stemcls.bench import tuning
from stemcls.bench.objectives import BOWL_CENTRE, OBJECTIVES
from stemcls.bench.tuning import row_of, search, searched, trials_needed

MINIMA = {
    "bowl": {f"x{axis}": centre for axis, centre in enumerate(BOWL_CENTRE)},
    "branin": {"x": math.pi, "y": 2.275},
    "mixed": {
        "network": "A", "depth": 1, "width_1": 128, "rate": 1e-3, "dropout": 0.3, "batch": 32,
        "augment": True, "strength": 0.8,
    },
}
MINIMA["noisy"] = MINIMA["bowl"]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_has_the_minimum_that_it_says(name):
    objective = OBJECTIVES[name]
    assert objective.value(MINIMA[name]) == pytest.approx(objective.least, abs=1e-6)
    chance = [objective.value(t.values) for t in search(objective, 0, 200, "random")]
    assert min(chance) > objective.least
    # A search does not begin beside what it looks for.
    first = objective.value(objective.space.defaults())
    assert first > sorted(chance)[20]


def test_noise_is_that_of_the_trial_and_the_seed():
    noisy = OBJECTIVES["noisy"]
    first, again, other = (
        noisy.tried(MINIMA["noisy"], number, seed) for number, seed in ((3, 1), (3, 1), (3, 2))
    )
    assert first.scores == again.scores != other.scores
    assert first.sd == pytest.approx(noisy.noise_sd, rel=2.0)


def test_a_search_has_arrived_when_it_stays_there():
    assert trials_needed([5.0, 3.0, 1.0, 1.0], 3.0) == 2
    assert trials_needed([5.0, 1.0, 3.0, 1.0], 2.0) == 4
    assert trials_needed([5.0, 4.0], 2.0) == 3
    assert trials_needed([1.0], 2.0) == 1


def test_a_row_is_the_median_over_seeds():
    ours = [{"incumbents": [9.0] * n + [0.0] * (36 - n), "seconds": 1.0} for n in (9, 11, 29)]
    stock = [{"incumbents": [0.5] * 36, "seconds": 60.0}] * 3
    row = row_of("bowl", ours, stock)
    assert row["trials_of_each_seed"] == [10, 12, 30]
    assert (row["ours"], row["baseline"], row["ratio"]) == (12, 36, 3.0)
    assert row["stock_at_end"] == 0.5
    assert row["trials_of_the_median"] == 12


def test_incumbents_are_judged_without_their_noise(monkeypatch):
    monkeypatch.setattr(tuning, "TRIALS", 8)
    noisy = OBJECTIVES["noisy"]
    trials = search(noisy, 4, 8, "random")
    run = searched("random", "noisy", 4)
    lucky = min(trials, key=lambda trial: trial.score)
    assert run["incumbents"][-1] == noisy.value(lucky.values)
    assert len(run["incumbents"]) == 8
