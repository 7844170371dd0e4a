"""`stemcls populations` describes a sample by what a run calls its cells."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from .conftest import NAMES


def test_a_sample_is_described_by_its_predicted_classes(
    ask, run, striped_store, tmp_path, unpainted
):
    out = tmp_path / "sample"
    found = ask("populations", run, striped_store, "--cut", 0.6, "--top", 10, "--out", out)
    assert found["n"] == 160
    assert found["ci_of"] == "10 groups"
    shares = found["composition"]
    assert sum(row["n"] for row in shares.values()) == 160
    for row in shares.values():
        low, high = row["share_ci"] or (row["share"], row["share"])  # none where all groups agree
        assert low <= row["share"] <= high
    (cut,) = found["cuts"]
    assert cut["kept"] + cut["lost"] == 160
    with (out / "cells.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 160
    assert cut["kept"] == sum(float(row["score"]) >= 0.6 for row in rows)
    for measure in found["gates"]:
        values = np.array([float(row[measure["measure"]]) for row in rows])
        assert measure["n"] == (values >= measure["threshold"]).sum() >= 16
        inside = [row["class"] for row, value in zip(rows, values, strict=True)
                  if value >= measure["threshold"]]
        assert measure["composition"][NAMES[0]]["n"] == inside.count(NAMES[0])
    medians = {
        name: found["measures"][0]["by_cell"]["summary"][name]["median"] for name in shares
        if shares[name]["n"]
    }
    column = found["measures"][0]["name"]
    for name, median in medians.items():
        own = [float(row[column]) for row in rows if row["class"] == name]
        assert median == pytest.approx(np.median(own))
    names = {path.name for path in out.iterdir()}
    assert {"composition.png", "composition.svg", "gate-1.svg", "populations.json"} <= names


@pytest.mark.parametrize(("words", "told"), [
    (("--cut", 1.5), "--cut: 1.5 is out of range; expected 0 to 1"),
    (("--top", 0), "--top"),
    (("--test", "welsh"), "did you mean 'welch'"),
])
def test_what_no_sample_can_be_asked_is_refused(ask, run, striped_store, words, told):
    assert told in ask("populations", run, striped_store, *words, code=2)
