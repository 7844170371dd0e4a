"""Files are replaced whole or not at all."""

import errno
import json
import subprocess
import sys

import numpy as np
import pytest

from stemcls import atomic, leftovers
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


def test_a_new_file_never_replaces_one_that_appears_while_it_is_written(tmp_path):
    path = tmp_path / "cells.csv"

    def write():
        with atomic.new_file(path) as temporary:
            temporary.write_text("ours")
            path.write_text("of somebody else")

    with pytest.raises(InputError, match=r"cells\.csv was made by another program"):
        write()
    assert path.read_text() == "of somebody else"
    assert [p.name for p in tmp_path.iterdir()] == ["cells.csv"]


@pytest.mark.parametrize("taken", [False, True])
def test_without_hard_links_nothing_is_replaced_either(tmp_path, monkeypatch, taken):
    def no_links(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(atomic.os, "link", no_links)
    path = tmp_path / "cells.csv"

    def write():
        with atomic.new_file(path) as temporary:
            temporary.write_text("ours")
            if taken:
                path.write_text("of somebody else")

    if taken:
        with pytest.raises(InputError):
            write()
    else:
        write()
    assert path.read_text() == ("of somebody else" if taken else "ours")
    assert [p.name for p in tmp_path.iterdir()] == ["cells.csv"]


def test_a_link_that_leads_nowhere_is_not_replaced(tmp_path):
    (tmp_path / "cells.csv").symlink_to(tmp_path / "unplugged" / "cells.csv")
    with pytest.raises(InputError, match="exists"):
        atomic.check_new(tmp_path / "cells.csv")


def test_a_folder_that_fills_while_a_new_one_is_made_stays(tmp_path):
    def write():
        with atomic.new_folder(tmp_path / "out") as folder:
            (folder / "x").write_text("ours")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "y").write_text("of somebody else")

    with pytest.raises(InputError, match="exists"):
        write()
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "y"]


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    folder = tmp_path / "calibration"
    with atomic.replacing_folder(folder) as new:
        (new / "a").touch()
    with atomic.replacing_folder(folder) as new:
        (new / "b").touch()
    assert [p.name for p in tmp_path.rglob("*")] == ["calibration", "b"]

    def fail():
        with atomic.replacing_folder(folder):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [p.name for p in tmp_path.rglob("*")] == ["calibration", "b"]


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_works_on_is_not(tmp_path):
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom stemcls import atomic\n"
        "folder = Path(sys.argv[1])\n"
        "with atomic.new_folder(folder / 'big') as big:\n"
        "  with atomic.new_file(folder / 'a.csv') as table:\n"
        "    (big / 'x').touch(); table.touch()\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 2
    with atomic.replacing(tmp_path / "mine.json") as mine:
        mine.write_text("{}")
        leftovers.sweep(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {mine.name}


def test_paths_of_a_temporary_folder_become_those_of_the_final_one(tmp_path):
    temporary, folder = tmp_path / ".out.part", tmp_path / "out"
    document = {"files": [str(temporary / "a.png")], "out": str(temporary), "other": "a.png"}
    assert atomic.moved(document, temporary, folder) == {
        "files": [str(folder / "a.png")], "out": str(folder), "other": "a.png",
    }
    assert atomic.moved([temporary / "a", tmp_path], temporary, folder) == [folder / "a", tmp_path]
