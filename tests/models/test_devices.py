"""Devices are those that were asked for, or an error that lists what there is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stemcls.errors import InputError
from stemcls.models import devices

TWO = """0, NVIDIA H100 80GB HBM3, 81559, 80000, 9.0, 550.54
1, Tesla T4, 15360, 9000, 7.5, 550.54
"""


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put an nvidia-smi on the path that prints what it is told and ends as it is told."""

    def write(text: str, code: int = 0) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\ncat <<'END'\n{text}END\nexit {code}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return write


@pytest.fixture(autouse=True)
def _before_keras(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))


def test_gpus_are_listed_with_memory_and_capability(smi):
    smi(TWO)
    first, second = devices.list_gpus()
    assert (first.index, first.name, first.free_mib) == (0, "NVIDIA H100 80GB HBM3", 80000)
    assert (second.compute_capability, second.driver) == (7.5, "550.54")


def test_the_chosen_gpu_is_all_that_frameworks_see(smi):
    smi(TWO)
    devices.choose_device("1")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"


def test_a_process_that_runs_keras_elsewhere_is_told_so(smi, monkeypatch):
    smi(TWO)
    monkeypatch.setitem(sys.modules, "keras", object())
    with pytest.raises(InputError, match="Keras runs already; start a new process"):
        devices.choose_device("1")
    devices.choose_device("cpu")  # where it runs already


def test_the_processor_hides_every_gpu():
    devices.choose_device("cpu")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert os.environ["JAX_PLATFORMS"] == "cpu"


def test_auto_changes_nothing(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    devices.choose_device("auto")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"


def test_a_run_tells_which_devices_it_sees(smi, monkeypatch):
    smi(TWO)
    devices.choose_device("1")
    assert devices.device_in_use() == "1"
    devices.choose_device("cpu")
    assert devices.device_in_use() == "cpu"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert devices.device_in_use() == "0,1"
    monkeypatch.setenv("PATH", "")
    assert devices.device_in_use() == "cpu"


@pytest.mark.parametrize("wanted", ["gpu", "", "0,0", "0,", "-1"])
def test_a_device_that_is_none_is_refused(wanted):
    with pytest.raises(InputError, match="expected auto, cpu, or the number of a GPU"):
        devices.choose_device(wanted)


def test_a_gpu_that_is_not_there_is_an_error_that_lists_those_that_are(smi):
    smi(TWO)
    with pytest.raises(InputError, match=r"no GPU 2; .* has 0: NVIDIA H100.*1: Tesla T4, 9000 MiB"):
        devices.choose_device("2")


def test_a_driver_in_trouble_is_told_in_its_own_words(smi):
    smi("NVIDIA-SMI has failed because it couldn't communicate with the driver\n", 9)
    with pytest.raises(InputError, match=r"--device 0: nvidia-smi says: .*couldn't communicate"):
        devices.choose_device("0")


def test_a_machine_without_gpus_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=r"no nvidia-smi here.*choose --device cpu"):
        devices.choose_device("0")


def test_train_refuses_a_gpu_that_is_not_there(striped_store, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "stemcls", "train", str(striped_store), "--device", "3"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PATH": ""}, check=False,
    )
    assert done.returncode == 2
    assert "--device 3: no nvidia-smi here" in done.stderr


def test_several_gpus_are_chosen_by_their_numbers(smi):
    smi(TWO)
    devices.choose_device("1,0")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,0"
    assert devices.n_devices("1,0") == 2
    with pytest.raises(InputError, match="no GPU 2; this machine has 0: NVIDIA H100"):
        devices.choose_device("0,2")
