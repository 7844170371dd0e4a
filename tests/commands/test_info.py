"""`stemcls info` says what is in a store and what its layout costs."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from stemcls.cli import app
from stemcls.config.imaging import BuildConfig
from stemcls.errors import InputError
from stemcls.store.build import build_store

runner = CliRunner()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for number in range(6):
        path = tmp_path / "src" / "ab"[number % 2] / f"d{number % 3}-{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), generator.integers(0, 255, (12, 12), np.uint8))
    config = BuildConfig(kind="crops", group=r"(d\d)", group_what="donor", pixel_size_um=0.4)
    build_store(tmp_path / "src", tmp_path / "out.h5", config)
    return tmp_path / "out.h5"


def info(store: Path) -> dict:
    return json.loads(runner.invoke(app, ["info", str(store), "--json"]).stdout)


def test_a_finished_store_is_contiguous_and_described(store):
    document = info(store)
    assert document["crops"] == 6
    assert document["classes"] == {"a": 3, "b": 3}
    assert document["groups"] == {
        "what": "donor", "count": 3, "crops": {"d0": 2, "d1": 2, "d2": 2},
    }
    assert document["layout"] == {"kind": "contiguous", "chunks": None, "compression": None}
    assert document["size_px"] == [12, 12]
    assert (document["dtype"], document["pixel_size_um"]) == ("uint8", 0.4)
    assert document["bytes"] == store.stat().st_size
    assert document["read_crops_per_second"] > 0
    assert document["read_cost"] is None


def test_a_chunked_store_is_told_what_that_costs(store):
    with h5py.File(store, "r+") as file:
        images = file["images"][()]
        del file["images"]
        file.create_dataset("images", data=images, chunks=(3, 12, 12, 1), compression="gzip")
    document = info(store)
    assert document["layout"] == {
        "kind": "chunked", "chunks": [3, 12, 12, 1], "compression": "gzip",
    }
    assert "chunks of 3 crops, compressed with gzip" in document["read_cost"]
    assert "one pass in random order takes about" in document["read_cost"]
    printed = runner.invoke(app, ["info", str(store)])
    assert "a random crop reads its whole chunk" in printed.stderr


def test_people_get_a_table(store):
    result = runner.invoke(app, ["info", str(store)])
    assert result.exit_code == 0
    for text in ("6 of 12x12 px", "donors", "0.4 um", "contiguous"):
        assert text in result.stdout


def test_another_file_is_bad_input(tmp_path):
    (tmp_path / "no.h5").write_text("no")
    result = runner.invoke(app, ["info", str(tmp_path / "no.h5")])
    assert isinstance(result.exception, InputError)
    assert "is not an HDF5 file" in str(result.exception)
