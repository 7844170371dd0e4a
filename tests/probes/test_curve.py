"""Learning curves: known laws are found again, draws are nested, advice follows the gains."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stemcls.config.probes import CurveConfig
from stemcls.errors import InputError
from stemcls.probes.curve import (
    Branch,
    Material,
    advice,
    extrapolate,
    measure_branch,
    points_of,
    pool_variance,
)
from stemcls.probes.draws import drawn_rows
from stemcls.probes.powerlaw import EXPONENTS, fit_power_law

SIZES = np.array([20.0, 40, 80, 160, 320])


def test_a_power_law_is_found_again() -> None:
    exponent = EXPONENTS[35]
    scores = 0.92 - 0.1 * (SIZES / 320) ** -exponent
    law = fit_power_law(SIZES, scores)
    assert law.ceiling[0] == pytest.approx(0.92)
    assert law.amount[0] == pytest.approx(0.1)
    assert law.exponent[0] == exponent
    assert law.at(640)[0] == pytest.approx(0.92 - 0.1 * 2**-exponent)


def test_no_fit_promises_more_than_perfection_or_falls_with_more_data() -> None:
    steep = np.array([0.2, 0.4, 0.6, 0.8, 0.99])
    law = fit_power_law(SIZES, np.stack([steep, steep[::-1]]))
    assert law.ceiling[0] <= 1
    assert law.at(1e9).max() <= 1
    assert law.amount[1] == 0


@pytest.mark.parametrize("by", ["cells", "groups"])
def test_draws_are_nested_and_hold_every_class(by: str) -> None:
    group = np.repeat(np.arange(10), 6)
    labels = group % 2
    before = np.zeros(60, bool)
    for fraction in (0.05, 0.3, 0.6, 1.0):
        rows = drawn_rows(by, fraction, labels, group, seed=3)
        assert set(labels[rows]) == {0, 1}
        assert (rows | ~before).all()
        if by == "groups":
            assert all(len(set(rows[group == g])) == 1 for g in range(10))
        before = rows
    assert before.all()


def _material(n: int = 240, groups: int = 12, seed: int = 0) -> Material:
    random = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    features = random.normal(size=(n, 8)) + 0.7 * labels[:, None]
    group = np.arange(n) // (n // groups)
    half = n // 2
    return Material(
        features[:half], labels[:half], group[:half], features[half:], labels[half:],
        group[half:], ("a", "b"),
    )  # fmt: skip


def test_a_branch_measures_rising_sizes_and_foretells_an_interval_around_its_value() -> None:
    branch = measure_branch(
        "cells", _material(), (0.1, 0.25, 0.5, 1.0), 6, "mean_recall", 0, lambda: None
    )
    assert isinstance(branch, Branch)
    assert branch.cells.tolist() == sorted(branch.cells)
    assert branch.cells[-1] == 120
    found = extrapolate(branch, 200, 0)
    document = found.to_document(120, "cells")
    assert document["cells"] == 240
    assert document["interval"][0] <= document["value"] <= document["interval"][1]
    points = points_of(branch)
    assert len(points[0]["draws"]) == 6
    assert len(points[-1]["draws"]) == 1


def test_too_few_groups_give_words_and_no_curve() -> None:
    found = measure_branch(
        "groups", _material(groups=4), (0.1, 0.25, 0.5, 1.0), 3, "accuracy", 0, lambda: None
    )
    assert isinstance(found, str)
    assert "2 groups" in found


def test_the_chance_of_the_pool_is_put_back() -> None:
    random = np.random.default_rng(0)
    shares, pool, sd = np.array([0.1, 0.2, 0.5, 1.0]), 1000, 2.0
    spread = sd * np.sqrt(1 / (shares * pool) - 1 / pool)
    scores = random.normal(size=(4, 4000, 1)) * spread[:, None, None]
    branch = Branch("cells", shares, shares * pool, shares * 10, scores)
    assert pool_variance(branch) == pytest.approx(sd**2 / pool, rel=0.1)


@pytest.mark.parametrize(
    ("cells", "groups", "said"),
    [
        ((0.80, 0.81), (0.80, 0.88), "collect more donors."),
        ((0.80, 0.88), (0.80, 0.81), "collect more cells of the donors you have"),
        ((0.80, 0.85), (0.80, 0.85), "whichever is cheaper"),
        ((0.80, 0.80), (0.80, 0.802), "neither will help much"),
    ],
)
def test_advice_follows_the_larger_gain(cells, groups, said) -> None:
    doubled = {
        name: {"now": now, "value": then, "gain": then - now, "interval": [then - 0.1, then + 0.1],
               "gain_interval": [-0.01, then - now + 0.01]}
        for name, (now, then) in (("cells", cells), ("groups", groups))
    }  # fmt: skip
    assert said in advice(doubled, "donors", "mean recall")
    assert "collect more donors first" in advice({"cells": doubled["cells"]}, "donors", "AUROC")


def test_fractions_that_do_not_rise_to_1_are_refused() -> None:
    with pytest.raises(InputError, match="rising, the last one 1"):
        CurveConfig(fractions=(0.5, 0.2, 0.7, 1.0))


def test_the_command_writes_points_fit_and_what_twice_as_many_bring(
    invoke, striped_store, tmp_path
) -> None:
    out = tmp_path / "curve"
    done = invoke(
        "curve", striped_store, "--features", "simple", "--repeats", 4, "--resamples", 100,
        "--json", "--out", out,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document["fit"]) == set(document["at_double"]) == {"cells", "groups"}
    # Simple features do not know which way stripes run: nothing is learned, and it is said.
    assert 0.3 < document["at_double"]["groups"]["value"] < 0.7
    assert len({point["fraction"] for point in document["points"]}) >= 4
    assert "donors" in document["advice"]
    assert {path.name for path in out.iterdir()} == {"curve.json", "curve.png", "curve.svg"}
    again = invoke("curve", striped_store, "--features", "simple", "--out", out)
    assert again.returncode == 2
    assert "not overwritten" in again.stderr
