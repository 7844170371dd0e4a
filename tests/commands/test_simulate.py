"""`stemcls simulate` prints one document and refuses what it cannot do."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stemcls.cli import app
from stemcls.errors import InputError

runner = CliRunner()
SMALL = ["--fields", "2", "--cells", "4", "--size-px", "128", "--radius-px", "6", "--groups", "2"]


def test_simulate_prints_fields_cells_and_where_the_truth_is(tmp_path):
    out = tmp_path / "sim"
    arguments = ["simulate", str(out), "--classes", "2", *SMALL, "--json"]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert set(document) == {"fields", "cells", "truth", "manifest"}
    assert document["cells"] == 16
    assert [entry["label"] for entry in document["fields"]] == ["class-a"] * 2 + ["class-b"] * 2
    assert all(Path(entry["path"]).is_file() for entry in document["fields"])
    with Path(document["truth"]).open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 16


def test_simulate_tells_a_person_what_to_do_next(tmp_path):
    out = tmp_path / "sim"
    result = runner.invoke(app, ["simulate", str(out), "--classes", "2", *SMALL])
    assert result.exit_code == 0
    assert "16 cells in 4 fields" in " ".join(result.stdout.split())
    assert f"stemcls build {out} --manifest {out / 'manifest.csv'}" in result.stderr


def test_simulate_says_when_cells_found_no_room(tmp_path):
    arguments = ["simulate", str(tmp_path / "sim"), "--classes", "1", *SMALL, "--cells", "900"]
    result = runner.invoke(app, arguments)
    assert "of 1800 cells found no room" in result.stderr


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--modality", "dik", "did you mean 'dic'"),
        ("--classes", "27", "above the most allowed, 26"),
        ("--radius-px", "90", "do not fit a field of 128 px"),
    ],
)
def test_bad_settings_are_bad_input(tmp_path, option, value, message):
    result = runner.invoke(app, ["simulate", str(tmp_path / "sim"), *SMALL, option, value])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "sim").exists()
