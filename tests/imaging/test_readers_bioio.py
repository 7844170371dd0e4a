"""Formats that packages of bioio read."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from stemcls.config.imaging import ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.readers import describe_file, read_field

STACK = np.random.default_rng(0).integers(0, 4000, (2, 3, 20, 26)).astype(np.uint16)


@pytest.fixture
def deltavision(tmp_path):
    mrc = pytest.importorskip("mrc")
    pytest.importorskip("bioio_dv")
    path = tmp_path / "cells ü.dv"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mrc.imsave(str(path), STACK)
    return path


def test_a_deltavision_file_gives_its_planes_and_no_made_up_size(deltavision):
    (scene,) = describe_file(deltavision)["scenes"]
    assert scene["axes"] == {"C": 2, "Z": 3, "Y": 20, "X": 26}
    for z in range(3):
        field = read_field(deltavision, ReadConfig(z=str(z)))
        assert np.array_equal(field.pixels, STACK[:, z])
    assert field.pixel_size_um is None
    assert field.channels == ("channel-1", "channel-2")


def test_a_cut_deltavision_file_is_refused(deltavision):
    data = deltavision.read_bytes()
    for part in (0.1, 0.5, 0.99):
        deltavision.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(InputError, match=r"\.dv is damaged or truncated, bioio_dv says"):
            read_field(deltavision, ReadConfig(z="2"))
