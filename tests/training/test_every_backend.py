"""What must hold on every backend: losses, rates, batches, and the route from store to table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
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


OTHERS = [name for name in ("tensorflow", "jax", "torch") if name != keras.backend.backend()]


@pytest.fixture(scope="module")
def probed(tmp_path_factory, striped_store, trained_workspace):
    """Return what the probe found on each installed backend, here or in a process of its own."""
    from .backend_probe import answers

    found = {keras.backend.backend(): answers(tmp_path_factory.mktemp("here"))}
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    config = trained_workspace / "tiny.toml"
    for backend in set(OTHERS) & set(installed_backends()):
        folder = tmp_path_factory.mktemp(backend)
        done = subprocess.run(
            [sys.executable, "-c", START, backend, PROBE, folder, striped_store, config],
            capture_output=True, text=True, check=False, timeout=240, env=environment,
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


@pytest.mark.parametrize("backend", OTHERS)
def test_the_route_runs_on_every_backend(backend, probed, trained_run):
    if backend not in probed:
        pytest.skip(f"{backend} is not installed")
    run = Path(probed[backend]["route"])
    assert json.loads((run / "environment.json").read_text())["backend"] == backend
    theirs = (trained_run / "history.csv").read_text().splitlines()
    ours = (run / "history.csv").read_text().splitlines()
    assert theirs[0] == ours[0]
    assert len(theirs) == len(ours)
    assert (run.parents[1] / "cells.csv").read_text().count("\n") == 161


def test_a_backend_learns_what_the_others_learn(probed):
    """Initial weights and dropout differ in their numbers, so the losses are only close."""
    losses = [document["losses"][-1] for document in probed.values()]
    assert max(losses) - min(losses) < 0.5
