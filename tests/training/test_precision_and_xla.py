"""Mixed precision and XLA change how a run computes, not what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import pytest


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_run_in_mixed_precision_saves_a_float32_model_that_is_as_good(
    precision, striped_store, tiny_config, tmp_path, invoke, unpainted
):
    done = invoke(
        "train", striped_store, "--config", tiny_config, "--precision", precision, "--xla", "on",
        "--scratch-epochs", "8", "--device", "cpu", "--workspace", tmp_path, "--json",
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["metrics"]["mean_recall"] > 0.9
    run = Path(document["run"])
    model = keras.saving.load_model(run / "model.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert json.loads((run / "environment.json").read_text())["precision"] == precision
    assert keras.config.dtype_policy().name == "float32", "this process is as it was"
