"""Folds are summed up as mean and standard deviation."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from stemcls.atomic import dump_json
from stemcls.errors import InputError
from stemcls.evaluation.folds import summarise_folds
from stemcls.evaluation.metrics import HEADLINE, compute_metrics

from .conftest import certain, simulated


def test_mean_and_sample_standard_deviation_over_folds() -> None:
    folds = [compute_metrics(simulated(seed=seed), resamples=0) for seed in range(4)]
    found = summarise_folds(folds)
    for key in HEADLINE:
        values = [fold[key] for fold in folds]
        assert found[key] == pytest.approx(np.mean(values))
        assert found[f"{key}_sd"] == pytest.approx(np.std(values, ddof=1))
    values = [fold["per_class"]["B"]["ppv"] for fold in folds]
    assert found["per_class"]["B"]["ppv_sd"] == pytest.approx(np.std(values, ddof=1))
    assert [fold["auroc"] for fold in found["folds"]] == [fold["auroc"] for fold in folds]
    assert found["n"] == 1600
    assert found["n_folds"] == 4


def test_metrics_read_back_from_json_sum_up_alike_and_undefined_ones_are_skipped() -> None:
    folds = [
        compute_metrics(certain([0, 1, 1], [0, 1, 0], ("a", "b")), resamples=0),
        compute_metrics(certain([0, 0, 0], [0, 0, 0], ("a", "b")), resamples=0),
    ]
    read = [json.loads(dump_json(fold)) for fold in folds]
    found = summarise_folds(read)
    assert found["auroc"] == folds[0]["auroc"]
    assert math.isnan(found["auroc_sd"])
    assert found["accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["positive_class"] == "b"
    assert found["positive"]["sensitivity"] == 0.5


def test_no_folds_or_other_classes_are_refused() -> None:
    with pytest.raises(InputError, match="at least one fold"):
        summarise_folds([])
    folds = [compute_metrics(simulated(k=k), resamples=0) for k in (2, 3)]
    with pytest.raises(InputError, match=r"fold 1 has classes \['A', 'B', 'C'\]"):
        summarise_folds(folds)
