"""Labels are permuted as they could have fallen, so that a test keeps its level."""

from __future__ import annotations

import math

import numpy as np

from stemcls.probes.permutation import exchange_of, p_value, permuted


def test_groups_of_one_class_each_are_exchanged_whole() -> None:
    group = np.repeat(np.arange(6), 4)
    labels = group % 2
    exchange = exchange_of(group, np.arange(24), labels, 2, "donors")
    assert (exchange.what, exchange.n_units) == ("donors", 6)
    assert round(10**exchange.log10_ways) == math.comb(6, 3)
    assert round(exchange.least_p, 3) == 0.1
    for one in permuted(labels, exchange, 50, 0):
        assert all(len(set(one[group == g])) == 1 for g in range(6))
        assert one.sum() == 12


def test_fields_are_exchanged_within_donors_that_hold_all_classes() -> None:
    field = np.repeat(np.arange(12), 3)
    group, labels = field // 4, field % 2
    exchange = exchange_of(group, field, labels, 2)
    assert exchange.what == "fields"
    assert round(10**exchange.log10_ways) == math.comb(4, 2) ** 3
    drawn = permuted(labels, exchange, 200, 0)
    for one in drawn:
        assert all(len(set(one[field == f])) == 1 for f in range(12))
        assert all(one[group == g].sum() == 6 for g in range(3))
    # Every arrangement is about equally likely.
    assert abs(drawn.mean(axis=0) - 0.5).max() < 0.15


def test_a_mixed_field_gives_its_mixture() -> None:
    field = np.repeat(np.arange(4), 10)
    labels = np.where(field < 2, 0, np.arange(40) % 2)
    exchange = exchange_of(field, field, labels, 2)
    for one in permuted(labels, exchange, 20, 0):
        assert sorted(one[field == f].sum() for f in range(4)) == [0, 0, 5, 5]


def test_p_counts_the_observed_arrangement_too() -> None:
    shuffled = np.linspace(0, 1, 99)
    assert p_value(2.0, shuffled) == 0.01
    assert p_value(-1.0, shuffled) == 1.0
    assert p_value(shuffled[50], shuffled) == 0.5
