"""Several devices give what one gives, also where a batch cannot be shared equally."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.models.backend import choose_backend
from stemcls.training.batches import shared


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_two_devices_train_and_predict_as_one_does(tmp_path):
    environment = {
        **os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    probe = Path(__file__).with_name("parallel_probe.py")
    done = subprocess.run(
        [sys.executable, str(probe), str(tmp_path)], env=environment, capture_output=True,
        text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    alone, both = json.loads(done.stdout.splitlines()[-1])
    assert (alone["shares"], alone["devices"]) == (1, 1)
    assert (both["shares"], both["devices"]) == (2, 2)
    # Keras counts the crops that fill the last batch of 15 up to 16 in the mean of an epoch.
    assert np.allclose(alone["losses"], both["losses"], rtol=0.01)
    assert np.allclose(alone["probabilities"], both["probabilities"], atol=1e-5)


def test_what_fills_a_batch_up_does_not_count():
    inputs, targets, weights = shared(
        (np.arange(5.0)[:, None], np.arange(5), np.ones(5, np.float32)), 4
    )
    assert (inputs.shape, targets.shape) == ((8, 1), (8,))
    assert (weights[5:] == 0).all()
    assert (weights * 3.0).mean() == pytest.approx(3.0)


def test_several_gpus_are_an_error_where_keras_cannot_use_them():
    told = "on jax only, and this is tensorflow; add --backend jax"
    with pytest.raises(InputError, match=told):
        choose_backend("tensorflow", "0,1", shares_batches=True)
    with pytest.raises(InputError, match="this command computes on one device"):
        choose_backend("tensorflow", "0,1")
