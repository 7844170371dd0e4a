"""Whole fields that are not square train, score and are predicted by the same commands."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from stemcls.config.imaging import BuildConfig
from stemcls.store.build import build_store


@pytest.fixture
def wide_fields(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for label, level in (("dark", 80), ("light", 170)):
        for number in range(12):
            path = tmp_path / "src" / label / f"d{number % 6}_{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = generator.normal(level, 20, (60, 90))
            cv2.imwrite(str(path), np.clip(pixels, 0, 255).astype(np.uint8))
    return tmp_path / "src"


def test_from_wide_fields_to_a_table(wide_fields, tmp_path, tiny_config, invoke, unpainted):
    store = tmp_path / "wide.h5"
    config = BuildConfig(kind="fields", resize="24x36", group=r"(d\d)_", group_what="donor")
    build_store(wide_fields, store, config)
    trained = invoke(
        "train", store, "--config", tiny_config, "--test-views", "8", "--brightness", "0",
        "--scratch-epochs", "10", "--workspace", tmp_path, "--json",
    )
    assert trained.returncode == 0, trained.stderr
    run = json.loads(trained.stdout)["run"]
    explained = invoke("explain", run, "--workspace", tmp_path, "--json")
    assert explained.returncode == 0, explained.stderr
    table = tmp_path / "cells.csv"
    done = invoke(
        "predict", run, wide_fields / "light", "--out", table, "--workspace", tmp_path, "--json"
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["rows"] == 12
    assert document["composition"]["light"] > 9
    refused = invoke(
        "predict", run, wide_fields, "--kind", "cells", "--out", tmp_path / "no.csv",
        "--workspace", tmp_path,
    )
    assert refused.returncode == 2
    assert "trained on whole fields" in refused.stderr
