"""`stemcls build` prints one document and ends with the promised exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from stemcls.cli import app
from stemcls.errors import InputError, SkippedError

runner = CliRunner()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for number in range(6):
        path = tmp_path / "my cells" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), generator.integers(0, 255, (12, 12), np.uint8))
    return tmp_path / "my cells"


def stemcls(*arguments: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "stemcls", *map(str, arguments)], capture_output=True, text=True
    )


def test_the_json_document_is_all_there_is_on_stdout(source, tmp_path):
    done = stemcls("build", source, "--kind", "crops", "--out", tmp_path / "o.h5", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"store", "crops", "fields", "skipped", "classes"} <= set(document)
    assert document["classes"] == {"a": 3, "b": 3}


def test_without_out_the_store_lands_in_the_workspace(source, tmp_path):
    arguments = ["build", str(source), "--kind", "crops", "--workspace", str(tmp_path), "--json"]
    result = runner.invoke(app, arguments)
    assert json.loads(result.stdout)["store"] == str(tmp_path / "datasets" / "my cells.h5")
    assert (tmp_path / "datasets" / "my cells.h5").exists()


def test_people_see_classes_and_every_skipped_image(source, tmp_path):
    (source / "a" / "torn.png").write_bytes(b"torn")
    cv2.imwrite(str(source / "loose.png"), np.arange(144, dtype=np.uint8).reshape(12, 12))
    out = tmp_path / "o.h5"
    result = runner.invoke(app, ["build", str(source), "--kind", "crops", "--out", str(out)])
    assert result.exit_code == 0
    assert "(unlabelled)" in result.stdout
    assert "skipped a/torn.png:" in result.stderr


def test_strict_ends_with_code_3_after_the_document(source, tmp_path):
    (source / "a" / "torn.png").write_bytes(b"torn")
    out = tmp_path / "o.h5"
    arguments = ["build", str(source), "--kind", "crops", "--out", str(out), "--strict", "--json"]
    result = runner.invoke(app, arguments)
    assert json.loads(result.stdout)["skipped"][0]["path"] == "a/torn.png"
    assert isinstance(result.exception, SkippedError)
    assert "1 of 7 images were skipped" in str(result.exception)
    assert result.exception.exit_code == 3


def test_options_of_the_config_reach_the_build(source, tmp_path):
    arguments = [
        "build", str(source), "--kind", "crops", "--out", str(tmp_path / "o.h5"), "--json",
        "--crop-px", "8", "--group", r"(\d)\.png", "--group-what", "donor",
    ]
    document = json.loads(runner.invoke(app, arguments).stdout)
    assert document["size_px"] == [8, 8]
    assert document["groups"] == {"what": "donor", "count": 6}


def test_an_existing_store_is_bad_input(source, tmp_path):
    (tmp_path / "o.h5").touch()
    result = runner.invoke(app, ["build", str(source), "--out", str(tmp_path / "o.h5")])
    assert isinstance(result.exception, InputError)
    assert result.exception.exit_code == 2
