"""`stemcls morphometry` finds the size that was simulated, and none where there is none."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stemcls.cli import app
from stemcls.errors import InputError

runner = CliRunner()
STUDY = [
    "--classes", "2", "--groups", "3", "--fields", "6", "--cells", "18", "--size-px", "256",
    "--radius-px", "10", "--slices", "1", "--modality", "fluorescence", "--debris", "0",
    "--clusters", "0", "--pixel-size-um", "0.4",
]


def build(folder: Path, size_effect: float, *options: str, seed: int = 0) -> Path:
    source = folder / f"sim-{size_effect:g}"
    study = [*STUDY, "--size-effect", str(size_effect), "--seed", str(seed)]
    assert runner.invoke(app, ["simulate", str(source), *study]).exit_code == 0
    store = folder / f"{source.name}.h5"
    arguments = ["build", str(source), "--manifest", str(source / "manifest.csv"), "--out",
                 str(store), "--group-what", "donor", "--crop-px", "32", *options]
    assert runner.invoke(app, arguments).exit_code == 0
    return store


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Store of two classes whose mean radius differs by 30 %; 18 fields, 3 donors."""
    return build(tmp_path_factory.mktemp("study"), 0.3)


@pytest.fixture(scope="module")
def alike(tmp_path_factory) -> Path:
    """The same, but the classes have the same size.

    Of few donors chance makes some differ: the cells that seed 0 draws do, by their true radii.
    """
    return build(tmp_path_factory.mktemp("alike"), 0.0, seed=1)


def document(*arguments: object) -> dict:
    result = runner.invoke(app, ["morphometry", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def true_diameters_um(study: Path) -> dict[str, float]:
    with (study.with_suffix("") / "truth.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        name: np.mean([2 * 0.4 * float(row["radius_px"]) for row in rows if row["label"] == name])
        for name in ("class-a", "class-b")
    }


def test_the_simulated_difference_is_found_in_micrometres(study):
    true_um = true_diameters_um(study)
    found = document(study)
    diameter = found["measures"][0]
    assert (diameter["name"], diameter["unit"], found["unit_is"]) == ("diameter_um", "um", "donor")
    for level in ("by_unit", "by_cell"):
        for name, value in true_um.items():
            # Found radii are those of the blob that fits best: a little small in fluorescence.
            mean = diameter[level]["summary"][name]["mean"]
            assert mean == pytest.approx(value, rel=0.12)
        (pair,) = diameter[level]["pairs"]
        low, high = pair["difference_ci"]
        assert low < pair["difference"] < high < 0
        assert pair["difference"] == pytest.approx(
            true_um["class-a"] - true_um["class-b"], rel=0.35
        )
        assert pair["p_holm"] < 0.01
        assert diameter[level]["anova"]["p"] < 0.01
    assert diameter["by_unit"]["summary"]["class-a"]["n"] == 3
    assert diameter["by_cell"]["summary"]["class-a"]["n"] > 50


def known_radii(study: Path, store: Path) -> Path:
    """Build the store of a study whose cells are the simulated ones, not those that were found."""
    source = study.with_suffix("")
    arguments = ["build", str(source), "--manifest", str(source / "manifest.csv"), "--cells",
                 str(source / "truth.csv"), "--edge", "reflect", "--out", str(store),
                 "--group-what", "donor", "--crop-px", "32"]
    assert runner.invoke(app, arguments).exit_code == 0
    return store


def test_known_radii_give_the_true_diameters(study, tmp_path):
    store = known_radii(study, tmp_path / "known.h5")
    summary = document(store)["measures"][0]["by_cell"]["summary"]
    means = {name: row["mean"] for name, row in summary.items()}
    assert means == pytest.approx(true_diameters_um(study), rel=1e-6)


def test_no_difference_is_found_where_classes_are_alike(alike, tmp_path):
    for store in (known_radii(alike, tmp_path / "known.h5"), alike):
        diameter = document(store)["measures"][0]
        assert diameter["by_unit"]["anova"]["p"] > 0.05
        assert diameter["by_unit"]["pairs"][0]["stars"] == "n.s."
        low, high = diameter["by_unit"]["pairs"][0]["difference_ci"]
        assert low < 0 < high


def test_students_test_may_be_chosen(study):
    cells = document(study, "--test", "student")["measures"][0]["by_cell"]
    total = sum(row["n"] for row in cells["summary"].values())
    assert cells["pairs"][0]["df"] == total - 2
    assert cells["pairs"][0]["t"] ** 2 == pytest.approx(cells["anova"]["f"])


def test_people_get_tables_that_say_which_n_is_which(study, tmp_path):
    out = tmp_path / "out"
    result = runner.invoke(app, ["morphometry", str(study), "--out", str(out)])
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    for expected in ("diameter, um", "Welch's t test", "donors", "cells", "F(1, 4)", "***"):
        assert expected in text
    assert "judge by the rows where n is donors" in result.stderr
    assert {"cells.csv", "units.csv", "morphometry.json", "1-diameter_um.png"} <= {
        path.name for path in out.iterdir()
    }
    again = runner.invoke(app, ["morphometry", str(study), "--out", str(out)])
    assert isinstance(again.exception, InputError)
    assert "not empty" in str(again.exception)


def test_one_class_gets_a_summary_and_no_tests(study):
    result = runner.invoke(app, ["morphometry", str(study), "--classes", "class-b"])
    assert result.exit_code == 0
    assert "one class, so nothing to compare" in result.stderr
    assert "of another class" in result.stderr
    assert "t test" not in result.stdout


def test_a_file_that_is_no_store_is_bad_input(tmp_path):
    result = runner.invoke(app, ["morphometry", str(tmp_path / "none.h5")])
    assert isinstance(result.exception, InputError)
    assert "there is no store" in str(result.exception)
