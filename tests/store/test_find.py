"""A store is found by path, by name and, for what was made from it, by its content."""

import shutil
from pathlib import Path

import h5py
import pytest

from stemcls.errors import InputError
from stemcls.store.find import find_input, find_store, open_same


@pytest.fixture
def workspace(tmp_path: Path, striped_store: Path) -> Path:
    (tmp_path / "w" / "datasets").mkdir(parents=True)
    (tmp_path / "w" / "saved_models" / "run").mkdir(parents=True)
    shutil.copyfile(striped_store, tmp_path / "w" / "datasets" / "striped.h5")
    return tmp_path / "w"


def content_of(path: Path) -> str:
    with h5py.File(path) as file:
        return str(file.attrs["content_hash"])


def relabelled(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["content_hash"] = "other"


@pytest.mark.parametrize("name", ["striped", "striped.h5"])
def test_a_store_is_named_with_its_ending_or_without(workspace, name):
    assert find_store(Path(name), workspace) == workspace / "datasets" / "striped.h5"
    assert find_input(Path(name), workspace) == workspace / "datasets" / "striped.h5"


def test_what_is_no_store_is_told_the_nearest_name(workspace):
    with pytest.raises(InputError, match=r"no store stripped, here .*did you mean 'striped'"):
        find_store(Path("stripped"), workspace)
    with pytest.raises(InputError, match="is a folder: expected a crop store"):
        find_store(workspace, workspace)
    assert find_input(Path("field.tif"), workspace) == Path("field.tif")


def test_the_store_of_a_run_is_found_after_the_workspace_moved(workspace, tmp_path):
    recorded = workspace / "datasets" / "striped.h5"
    content = content_of(recorded)
    moved = workspace.rename(tmp_path / "moved")
    found = open_same(recorded, content, moved / "saved_models" / "run")
    assert found.path == moved / "datasets" / "striped.h5"


def test_the_store_of_a_run_is_found_under_another_name(workspace, tmp_path):
    recorded = workspace / "datasets" / "striped.h5"
    content = content_of(recorded)
    recorded.rename(recorded.with_name("renamed.h5"))
    shutil.copyfile(recorded.with_name("renamed.h5"), recorded)
    relabelled(recorded)  # another store has taken its place
    (recorded.with_name("broken.h5")).write_bytes(b"no HDF5")
    run = tmp_path / "elsewhere" / "run"
    found = open_same(recorded, content, run, workspace)
    assert found.path == workspace / "datasets" / "renamed.h5"


def test_a_store_that_is_nowhere_says_where_it_was_looked_for_and_what_differs(workspace, tmp_path):
    recorded = workspace / "datasets" / "striped.h5"
    home = workspace / "saved_models" / "run"
    with pytest.raises(InputError, match=r"is not the store that .* differ .*Put it into a"):
        open_same(recorded, "abc", home)
    recorded.unlink()
    with pytest.raises(InputError, match=r"is not at .*striped\.h5 any more; no store with its"):
        open_same(recorded, "abc", home)
