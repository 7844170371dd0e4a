"""What lies in a finished store is what was gathered, for any number of files."""

from __future__ import annotations

import ast
import json
import resource
from pathlib import Path

import h5py
import numpy as np
import pytest

import stemcls
from stemcls import atomic
from stemcls.errors import InputError, StemclsError
from stemcls.store import writer
from stemcls.store.cropstore import CropStore
from stemcls.store.describe import describe
from stemcls.store.gather import Columns
from stemcls.store.journal import Journal
from stemcls.store.writer import write_store

CONFIG = {"group_what": "donor"}
MANY = 100_000


def entry(number: int, n_channels: int = 1, **changes) -> dict:
    """Return what a journal says of one ready-made crop from a file of its own."""
    return {
        "path": f"class {number % 7}/Zelle {number:06}.png", "sha256": f"{number:064x}", "n": 1,
        "shape": [n_channels, 2, 2], "pixel_size_um": None, "crop_pixel_um": None,
        "position_um": None, "acquired": "", "channels": [f"c{k}" for k in range(n_channels)],
        "slices": [f"c{k}" for k in range(n_channels)], "scale_low": [float("nan")] * n_channels,
        "scale_high": [float("nan")] * n_channels, "brightness": number % 251, "focus": 1.0,
        "saturated": 0.0, "unevenness": 0.5, "n_cells": 1, "dropped": {},
        "centers_px": [[0.5, 0.5]], "radius_px": [float("nan")], "at_border": [False],
        "labels": [f"c{number % 7}"], "groups": [f"donor {number % 1000}"],
        "intensity": [[float(number)] * n_channels],
        **changes,
    }


def gathered(folder: Path, entries, crops: np.ndarray) -> tuple[Journal, Columns]:
    """Return a working folder with these crops, and their columns."""
    journal, columns = Journal(folder / "out.h5"), Columns()
    journal.folder.mkdir()
    crops.tofile(journal.images_path)
    journal.layout = (crops.dtype.name, *crops.shape[1:])
    for one in entries:
        columns.add(one)
    return journal, columns


def written(folder: Path, entries, crops: np.ndarray) -> Path:
    """Return the store of these crops."""
    journal, columns = gathered(folder, entries, crops)
    write_store(journal, columns, CONFIG, folder, folder / "out.h5", lambda: False)
    return folder / "out.h5"


def test_a_store_of_100000_files_is_read_as_it_was_written(tmp_path):
    crops = np.arange(MANY * 4, dtype=np.uint32).view(np.uint8)[: MANY * 4].reshape(MANY, 2, 2, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = written(tmp_path, map(entry, range(MANY)), crops)
    store = CropStore.open(path)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert store.fields.path == tuple(entry(number)["path"] for number in range(MANY))
    assert store.fields.sha256 == tuple(f"{number:064x}" for number in range(MANY))
    assert store.fields.dropped == ("{}",) * MANY
    assert store.fields.acquired == ("",) * MANY
    np.testing.assert_array_equal(store.fields.shape, np.tile([1, 2, 2], (MANY, 1)))
    np.testing.assert_array_equal(store.labels, np.arange(MANY) % 7)
    np.testing.assert_array_equal(store.field_index, np.arange(MANY))
    np.testing.assert_array_equal(store.intensity[:, 0], np.arange(MANY))
    names = np.array(store.group_names)[store.group_index]
    np.testing.assert_array_equal(names, [f"donor {number % 1000}" for number in range(MANY)])
    np.testing.assert_array_equal(store.images, crops)
    found = describe(path)
    assert (found["crops"], found["fields"], found["groups"]["count"]) == (MANY, MANY, 1000)
    assert grown_mb < 250


def test_numbers_of_fields_with_fewer_channels_are_filled_with_nan(tmp_path):
    entries = [
        entry(0), entry(1, n_channels=3, position_um=[1.0, 2.0]), entry(2, pixel_size_um=0.5),
    ]
    store = CropStore.open(written(tmp_path, entries, np.zeros((3, 2, 2, 1), np.uint8)))
    nan = np.nan
    np.testing.assert_array_equal(store.intensity, [[0, nan, nan], [1, 1, 1], [2, nan, nan]])
    np.testing.assert_array_equal(store.fields.position_um, [[nan, nan], [1, 2], [nan, nan]])
    np.testing.assert_array_equal(store.fields.pixel_size_um, [nan, nan, 0.5])
    assert store.intensity_channels == ("c0", "c1", "c2")


@pytest.mark.parametrize("damage", ["path", "label", "images"])
def test_a_store_that_reads_back_wrong_is_not_put_in_place(tmp_path, monkeypatch, damage):
    crops = np.arange(40, dtype=np.uint8).reshape(10, 2, 2, 1)
    journal, columns = gathered(tmp_path, map(entry, range(10)), crops)
    original = writer._read_back

    def damaged(path, parts, *others):
        with h5py.File(path, "r+") as file:
            if damage == "path":  # what HDF5 did with tens of thousands of texts
                del file["fields/path"]
                file["fields/path"] = file["fields/shape"]
            elif damage == "label":
                file["label"][3] = 0
            else:
                file["images"][9, 1, 1] = 0
        original(path, parts, *others)

    monkeypatch.setattr(writer, "_read_back", damaged)
    expected = {"path": "fields/path", "label": "label", "images": "images"}[damage]
    with pytest.raises(StemclsError, match=rf"reads back wrong \({expected}"):
        write_store(journal, columns, CONFIG, tmp_path, tmp_path / "out.h5", lambda: False)
    assert not (tmp_path / "out.h5").exists()
    assert journal.images_path.exists()


def refused_links(*_, **__):
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("taken", ["file", "dangling link"])
def test_a_store_never_replaces_what_appeared_meanwhile(tmp_path, monkeypatch, links, taken):
    crops = np.zeros((3, 2, 2, 1), np.uint8)
    journal, columns = gathered(tmp_path, map(entry, range(3)), crops)
    if not links:
        monkeypatch.setattr(atomic.os, "link", refused_links)
    out = tmp_path / "out.h5"
    if taken == "file":
        out.write_text("mine")
    else:
        out.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="made by another program in the meantime"):
        write_store(journal, columns, CONFIG, tmp_path, out, lambda: False)
    assert out.read_text() == "mine" if taken == "file" else out.is_symlink()
    assert journal.images_path.exists()


def test_a_store_is_put_in_place_where_there_are_no_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.os, "link", refused_links)
    path = written(tmp_path, map(entry, range(3)), np.zeros((3, 2, 2, 1), np.uint8))
    assert len(CropStore.open(path)) == 3


def assigned_groups(source: str) -> list[int]:
    """Return the lines that assign to a member of something opened or made by h5py."""
    tree = ast.parse(source)
    groups: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            groups |= {
                item.optional_vars.id for item in node.items
                if isinstance(item.optional_vars, ast.Name)
                and "h5py" in ast.unparse(item.context_expr)
            }
        elif isinstance(node, ast.arg) and node.annotation is not None:
            if "h5py" in ast.unparse(node.annotation):
                groups.add(node.arg)
        elif isinstance(node, ast.Assign):
            made = ast.unparse(node.value)
            if "h5py.File(" in made or "create_group(" in made or "require_group(" in made:
                groups |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Subscript) and ast.unparse(target.value) in groups
    ]


def test_no_module_assigns_to_a_member_of_an_hdf5_group():
    planted = 'import h5py\nwith h5py.File(path, "w") as file:\n    file["names"] = names\n'
    assert assigned_groups(planted) == [3]
    package = Path(stemcls.__file__).parent
    modules = [*package.rglob("*.py"), *(package.parent / "tui").rglob("*.py")]
    sources = {path.name: path.read_text(encoding="utf-8") for path in modules}
    found = {name: assigned_groups(text) for name, text in sources.items() if "h5py" in text}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_attributes_hold_no_more_than_they_must(tmp_path):
    path = written(tmp_path, map(entry, range(3)), np.zeros((3, 2, 2, 1), np.uint8))
    with h5py.File(path) as file:
        assert json.loads(file.attrs["config"]) == CONFIG
        assert file.attrs["content_hash_version"] == 2
