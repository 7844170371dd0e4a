"""Files of an earlier version open; those of a newer one are refused in words.

version-1/ was written by the first version of both formats and is not to be written anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stemcls.atomic import write_json
from stemcls.errors import InputError
from stemcls.runs import FORMAT, Run
from stemcls.store.cropstore import CropStore

KEPT = Path(__file__).with_name("version-1")


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """A copy of the run of version 1, its config naming the copied store."""
    folder = tmp_path / "saved_models" / "old"
    shutil.copytree(KEPT / "run", folder)
    shutil.copy(KEPT / "store.h5", tmp_path / "store.h5")
    config = folder / "config.toml"
    told = config.read_text().replace('"store.h5"', json.dumps(str(tmp_path / "store.h5")))
    config.write_text(told)
    return folder


def test_a_store_of_version_1_opens_with_all_it_holds():
    store = CropStore.open(KEPT / "store.h5")
    assert store.version == 1
    assert (len(store), store.classes, store.group_what) == (48, ("across", "along"), "donor")
    assert len(store.group_names) == 8
    assert store.read(range(3)).shape == (3, 12, 12, 1)


def test_a_run_of_version_1_is_scored_again_to_the_same_numbers(old_run, invoke: Callable):
    result = invoke("evaluate", old_run, "--no-figures", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    before = json.loads((old_run / "evaluation" / "metrics.json").read_text())
    assert (found["n"], found["labels"]) == (before["n"], before["labels"])
    assert Run.open(old_run).summary()["state"] == "finished"


def test_a_run_of_a_newer_version_asks_for_an_update(old_run, invoke: Callable):
    write_json(old_run / "run.json", {"format": FORMAT + 1, "stemcls": "9.0"})
    with pytest.raises(InputError, match=r"run of format 2, made by stemcls 9\.0.*update stemcls"):
        Run.open(old_run)
    assert invoke("evaluate", old_run).returncode == 2


def test_new_runs_say_their_format(tmp_path):
    run = Run.create(tmp_path, "x")
    assert run.read_json("run.json")["format"] == FORMAT
