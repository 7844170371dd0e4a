"""Readers whose package is missing, broken or made for a newer Python, and what they then say."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
import types

import numpy as np
import pytest

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.readers import READERS, read_field

from .reader_files import CHANNELS, PLANES, WRITERS, skip_without_package, write_czi

PACKAGED = sorted(suffix for suffix, reader in READERS.items() if reader.package)


@pytest.mark.parametrize("suffix", PACKAGED)
def test_a_missing_package_is_named_with_the_way_out(suffix, tmp_path, monkeypatch):
    reader = READERS[suffix]
    if sys.version_info < reader.python:
        pytest.skip("this Python is refused before the package is looked for")
    monkeypatch.setitem(sys.modules, reader.package, None)
    if reader.folder:
        (tmp_path / f"a{suffix}").mkdir()
        (tmp_path / f"a{suffix}" / "zarr.json").write_text("{}")
    else:
        head = b"".join(reader.signatures[:1]).ljust(reader.at, b"\0") if reader.inside else b""
        head += b"".join((reader.inside or reader.signatures)[:1])
        (tmp_path / f"a{suffix}").write_bytes(head + bytes(64))
    with pytest.raises(InputError) as caught:
        read_field(tmp_path / f"a{suffix}")
    assert f"a{suffix}: the package {reader.package} " in str(caught.value)
    assert f"pip install 'stemcls[{reader.extra}]'" in str(caught.value)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="oirfile runs on this Python")
@pytest.mark.parametrize("suffix", [".oir", ".poir"])
def test_oir_on_python_3_11_says_which_python_it_needs(suffix, tmp_path):
    WRITERS[suffix](tmp_path / f"a{suffix}", PLANES)
    with pytest.raises(InputError, match=r"oirfile needs Python 3\.12 or newer.*OME-TIFF"):
        read_field(tmp_path / f"a{suffix}")


class FakeOir:
    """The part of oirfile.OirFile that the adapter uses."""

    sizes = {"Z": 3, "C": 2, "Y": 40, "X": 52}  # noqa: RUF012
    dtype = np.dtype("<u2")
    coord_scales = {"X": 0.5, "Y": 0.5}  # noqa: RUF012
    coords = {"C": np.array(CHANNELS)}  # noqa: RUF012
    channels = ()
    datetime = "2020-12-23T14:44:50.939+13:00"

    def __init__(self, _path):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def asarray(self):
        return np.stack([PLANES, PLANES + 1, PLANES + 2])


def test_the_oir_adapter_works_on_the_api_of_oirfile(tmp_path, monkeypatch):
    module = types.ModuleType("oirfile")
    module.OirFile = FakeOir
    monkeypatch.setitem(sys.modules, "oirfile", module)
    monkeypatch.setitem(READERS, ".oir", dataclasses.replace(READERS[".oir"], python=(3, 11)))
    WRITERS[".oir"](tmp_path / "a.oir", PLANES)
    field = read_field(tmp_path / "a.oir", ReadConfig(z="2"))
    assert np.array_equal(field.pixels, PLANES + 2)
    assert field.channels == CHANNELS
    assert field.pixel_size_um == 0.5
    assert field.acquired.isoformat() == "2020-12-23T14:44:50.939000+13:00"
    data = (tmp_path / "a.oir").read_bytes()
    (tmp_path / "a.oir").write_bytes(data[:-100])
    with pytest.raises(InputError, match=r"damaged or truncated.*its header says"):
        read_field(tmp_path / "a.oir")


def test_a_package_that_fails_on_import_is_an_input_error(tmp_path, monkeypatch):
    skip_without_package(".czi")
    write_czi(tmp_path / "a.czi", PLANES)

    def refuse(name, *_):
        raise ImportError("libCZI.so: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(InputError, match=r"pylibCZIrw cannot be imported \(libCZI\.so"):
        read_field(tmp_path / "a.czi")


def test_importing_the_readers_imports_no_microscope_package():
    packages = {reader.package for reader in READERS.values() if reader.package}
    code = (
        "import sys, stemcls.imaging.readers; "
        f"print([name for name in {sorted(packages)!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
