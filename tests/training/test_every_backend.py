"""What must hold on every backend: the one asked for is in force, losses, rates and batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stemcls.models.backend import installed_backends

PROBE = Path(__file__).with_name("backend_probe.py")
# As commands do: the backend is chosen by name ahead of Keras' import, whatever is the default.
START = """
import runpy, sys
from stemcls.models.backend import choose_backend
choose_backend(sys.argv.pop(1))
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""
FACTOR, RATE, DECAY = 0.01, 0.1, 0.5


@pytest.fixture(scope="session")
def probed(tmp_path_factory):
    """Return what the probe found on each installed backend."""
    found = {}
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    for backend in installed_backends():
        folder = tmp_path_factory.mktemp(backend)
        done = subprocess.run(
            [sys.executable, "-c", START, backend, str(PROBE), str(folder)],
            capture_output=True, text=True, check=False, timeout=200, env=environment,
        )
        assert done.returncode == 0, done.stderr
        found[backend] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_each_installed_backend_is_the_one_in_force(probed):
    assert {backend: document["backend"] for backend, document in probed.items()} == {
        backend: backend for backend in installed_backends()
    }


def test_the_focal_loss_is_the_same_number_on_every_backend(probed):
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    labels = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    each = -(labels * (1 - probabilities) ** 2 * np.log(probabilities)).sum(axis=1)
    # Keras sums over the batch and divides by its size, weights or not, and scales by them.
    expected = (each * [1.0, 3.0]).sum() / 2
    for backend, document in probed.items():
        assert document["focal_loss"] == pytest.approx(expected, rel=1e-4), backend


def test_the_backbone_moves_at_exactly_its_share_of_the_heads_steps(probed):
    """Under Adam a gradient that is scaled would move it just as far as the head."""
    for backend, document in probed.items():
        for name, (backbone, head) in document["steps"].items():
            assert backbone / head == pytest.approx(FACTOR, rel=0.02), (backend, name)
        # None of Adam's steps is much longer than its rate, and the first is as long.
        assert 1e-3 < document["steps"]["adam"][1] < 4.4e-3, backend


def test_a_factor_of_one_moves_both_alike(probed):
    for document in probed.values():
        backbone, head = document["plain"]
        assert backbone == pytest.approx(head, rel=1e-5)


def test_weight_decay_follows_each_weights_own_rate(probed):
    for backend, document in probed.items():
        expected = [RATE * FACTOR * DECAY, RATE * DECAY]
        assert document["decay"] == pytest.approx(expected, rel=1e-3), backend


def test_every_backend_sees_the_same_batches_of_a_seed(probed):
    assert len({document["stream"] for document in probed.values()}) == 1


def test_a_stage_that_was_ended_in_an_epoch_goes_on_to_the_very_same_weights(probed):
    for backend, document in probed.items():
        assert document["resumed"] == {"all": True, "none": True}, backend


def test_a_backend_learns_what_the_others_learn(probed):
    """Initial weights and dropout differ in their numbers, so the losses are only close."""
    losses = [document["losses"][-1] for document in probed.values()]
    assert max(losses) - min(losses) < 0.5
