"""`stemcls doctor` says what works here and what each file holds, without loading a backend."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from stemcls.imaging.readers import READERS

STATES = {"pass", "warn", "fail"}


@pytest.fixture
def stack(tmp_path):
    path = tmp_path / "stack.ome.tif"
    tifffile.imwrite(path, np.ones((4, 3, 16, 12), np.uint16), ome=True, metadata={"axes": "TZYX"})
    return path


def checks_of(result):
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def test_every_part_of_the_machine_is_checked(invoke, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("STEMCLS_CACHE", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "a.h5").touch()
    (tmp_path / "saved_models" / "run").mkdir(parents=True)
    result = invoke("doctor", "--json", "--workspace", tmp_path)
    assert result.returncode == 0, result.stderr
    checks = checks_of(result)
    assert all(set(check) == {"name", "status", "value", "why"} for check in checks.values())
    assert {check["status"] for check in checks.values()} <= STATES
    expected = {"python", "keras", "gpu", "processor", "codecs", "weights", "workspace"}
    expected |= {f"backend {name}" for name in ("tensorflow", "jax", "torch")}
    expected |= {f"format {reader.format}" for reader in READERS.values()}
    assert set(checks) == expected
    assert checks["python"]["value"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert checks["workspace"]["value"]["stores"] == 1
    assert checks["workspace"]["value"]["runs"] == 1
    assert checks["weights"]["status"] == "warn"
    assert checks["weights"]["value"]["folders"] == [
        str(tmp_path / "weights"), str(tmp_path / "keras" / "models")
    ]
    assert checks["format TIFF"]["value"]["suffixes"] == [".tif", ".tiff", ".btf", ".tf8"]


def test_weights_that_are_there_are_listed(invoke, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("STEMCLS_CACHE", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mobilenet.h5").touch()
    (tmp_path / "weights" / "ResNet18").mkdir(parents=True)
    (tmp_path / "weights" / "ResNet18" / "resnet18.safetensors").touch()
    weights = checks_of(invoke("doctor", "--json"))["weights"]
    assert weights["status"] == "pass"
    assert weights["value"]["files"] == ["mobilenet.h5", "resnet18.safetensors"]


def test_a_backend_that_is_asked_for_but_absent_fails(invoke, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "jax" else found(name, *a)
    )
    assert checks_of(invoke("doctor", "--json"))["backend jax"]["status"] == "warn"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    result = invoke("doctor", "--json")
    assert result.returncode == 1
    assert checks_of(result)["backend jax"]["status"] == "fail"
    assert "pip install 'stemcls[jax]'" in checks_of(result)["backend jax"]["why"]


def test_a_missing_reader_package_is_a_warning_with_the_way_out(invoke, monkeypatch):
    monkeypatch.setitem(sys.modules, "nd2", None)
    check = checks_of(invoke("doctor", "--json"))["format Nikon ND2"]
    assert check["status"] == "warn"
    assert "pip install 'stemcls[microscopes]'" in check["why"]


def test_a_file_is_described_with_the_options_it_needs(invoke, stack):
    result = invoke("doctor", stack, "--json")
    assert result.returncode == 0
    check = checks_of(result)[f"file {stack}"]
    assert check["status"] == "warn"
    assert "choose with --time N|max|mean|slices, --z N|max|mean|slices" in check["why"]
    value = check["value"]
    assert value["format"] == "OME-TIFF"
    assert not value["opens"]
    assert value["scenes"][0]["axes"] == {"T": 4, "Z": 3, "Y": 16, "X": 12}
    assert value["scenes"][0]["dtype"] == "uint16"


def test_files_of_a_folder_open_as_they_are_or_fail(invoke, tmp_path):
    tifffile.imwrite(tmp_path / "good.tif", np.ones((8, 9), np.uint8))
    (tmp_path / "bad.tif").write_bytes(b"")
    result = invoke("doctor", tmp_path, "--json")
    assert result.returncode == 1
    assert "1 of" in result.stderr
    assert "bad.tif" in result.stderr
    checks = checks_of(result)
    assert checks[f"file {tmp_path / 'good.tif'}"]["why"] == "opens as it is: 1 x 8 x 9 (grey)"
    assert "is empty" in checks[f"file {tmp_path / 'bad.tif'}"]["why"]


def test_people_get_tables(invoke, stack):
    result = invoke("doctor", stack)
    assert result.returncode == 0
    assert "format Zeiss CZI" in result.stdout
    assert "T 4, Z 3, Y 16, X 12" in result.stdout
    assert "choose with --time" in result.stderr


def test_doctor_imports_no_backend(tmp_path):
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom stemcls.cli import app\n"
        "assert CliRunner().invoke(app, ['doctor', '--json']).exit_code == 0\n"
        "print([name for name in ('keras', 'tensorflow', 'torch', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
