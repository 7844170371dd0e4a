"""The first answer is measured on the crops and folds of both sides."""

import json
import types

import numpy as np
import pytest

from stemcls.bench import firstanswer
from stemcls.store.cropstore import CropStore


@pytest.mark.parametrize("lost", [0, 1])
def test_both_sides_get_the_same_folds_and_a_lost_crop_is_told(
    striped_store, tmp_path, monkeypatch, lost
):
    n = len(CropStore.open(striped_store))
    given = []

    def train(*arguments):
        return {"metrics": {"mean_recall": 0.8, "n": n - lost}}

    def forty_lines(command, **_options):
        given.append(np.load(command[3]))
        return types.SimpleNamespace(stdout=json.dumps(0.9))

    monkeypatch.setattr(firstanswer, "stemcls_json", train)
    monkeypatch.setattr(firstanswer.subprocess, "run", forty_lines)
    time, recall = firstanswer._measure("striped", striped_store, tmp_path, tmp_path, 3)
    assert len(given) == 3
    assert set(np.unique(given[0]["fold"])) == {0, 1, 2, 3, 4}
    assert len(given[0]["crops"]) == n
    assert time["equal_outputs"] is (lost == 0)
    assert recall["ratio"] == pytest.approx(0.8 / 0.9)
