"""Files are replaced whole or not at all."""

import errno
import json

import numpy as np
import pytest

from stemcls import atomic
from stemcls.errors import InputError, StemclsError, explained_disk_errors


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "a.json"
    atomic.write_text(path, "old")


    def write_half():
        with atomic.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_is_strict_and_knows_numpy(tmp_path):
    path = tmp_path / "a.json"
    atomic.write_json(path, {"a": np.float32(1.5), "b": np.arange(2), "c": np.inf, 1: tmp_path})
    assert json.loads(path.read_text()) == {"a": 1.5, "b": [0, 1], "c": None, "1": str(tmp_path)}


def test_a_full_disk_is_explained(tmp_path):
    with (
        pytest.raises(StemclsError, match=r"no space left while writing .*: all is kept"),
        explained_disk_errors(tmp_path / "x", "all is kept"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), explained_disk_errors(tmp_path, "kept"):
        raise PermissionError(errno.EACCES, "denied")


def test_a_folder_takes_its_name_when_it_is_whole_or_leaves_nothing(tmp_path):
    with atomic.new_folder(tmp_path / "a" / "out") as folder:
        (folder / "x").write_text("1")
        assert not (tmp_path / "a" / "out").exists()
    assert [p.name for p in (tmp_path / "a" / "out").iterdir()] == ["x"]
    with pytest.raises(InputError, match="exists and is not empty"):
        atomic.check_free(tmp_path / "a" / "out")

    def fail():
        with atomic.new_folder(tmp_path / "b") as folder:
            (folder / "x").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
