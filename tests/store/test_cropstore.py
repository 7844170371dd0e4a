"""Crop stores are read without a handle, and every unusable file is explained."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.store.cropstore import ChunkedImages, CropStore

LABELS = [0, 1] * 20


def test_a_contiguous_store_is_a_memory_map_equal_to_what_h5py_reads(foreign_store):
    store = foreign_store(LABELS)
    with h5py.File(store.path) as file:
        expected = file["images"][()]
    assert isinstance(store.images, np.memmap)
    assert not store.images.flags.writeable
    np.testing.assert_array_equal(store.images, expected)
    rows = np.array([5, 0, 39, 5])
    np.testing.assert_array_equal(store.read(rows), expected[rows])
    np.testing.assert_array_equal(store.read(slice(3, 9, 2)), expected[3:9:2])
    np.testing.assert_array_equal(store.read(store.labels == 1), expected[1::2])


def test_what_is_read_is_a_plain_array_that_may_be_changed(foreign_store):
    store = foreign_store(LABELS)
    crops = store.read([1, 2])
    crops += 1
    assert type(crops) is np.ndarray
    assert not np.array_equal(crops, store.read([1, 2]))


def resident_kib(path: Path) -> int:
    """Return how much of the file counts as memory of this process."""
    parts = Path("/proc/self/smaps").read_text(encoding="utf-8").split("VmFlags:")
    mapped = [part for part in parts if str(path) in part]
    return sum(int(line.split()[1]) for part in mapped for line in part.splitlines()
               if line.startswith("Rss:"))


def test_mapped_pages_are_handed_back_and_read_again(foreign_store, monkeypatch):
    store = foreign_store(LABELS, edge=128)  # 1.9 MB
    expected = store.read(slice(None))
    assert resident_kib(store.path) > 1500
    monkeypatch.setattr("stemcls.store.cropstore.RESIDENT_BYTES", 10_000)
    np.testing.assert_array_equal(store.read([3, 39]), expected[[3, 39]])
    assert resident_kib(store.path) < 300
    np.testing.assert_array_equal(store.read(slice(None)), expected)


@pytest.mark.parametrize(
    "layout",
    [{"chunks": (1, 4, 4, 3)}, {"chunks": (7, 4, 4, 3), "compression": "gzip"},
     {"chunks": (40, 2, 4, 1), "compression": "lzf"}],
)
def test_a_chunked_store_gives_the_same_rows_in_the_order_asked(foreign_store, layout):
    store = foreign_store(LABELS, **layout)
    with h5py.File(store.path) as file:
        expected = file["images"][()]
    rows = np.random.default_rng(1).integers(0, 40, 100)
    assert isinstance(store.images, ChunkedImages)
    assert store.layout.kind == "chunked"
    np.testing.assert_array_equal(store.read(rows), expected[rows])
    np.testing.assert_array_equal(store.images[-1], expected[-1])
    np.testing.assert_array_equal(store.images[10:20], expected[10:20])
    assert store.read([]).shape == (0, 4, 4, 3)


def test_a_chunk_read_in_blocks_is_read_once(foreign_store, monkeypatch):
    store = foreign_store(LABELS, chunks=(5, 4, 4, 3))
    images = ChunkedImages(store.path, store.shape, store.dtype, 5)
    reads = []
    original = h5py.Dataset.__getitem__

    def counted(dataset, key, *args, **kwargs):
        reads.append(key)
        return original(dataset, key, *args, **kwargs)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    images[[0, 39, 1, 38, 2]]
    assert reads == [slice(0, 5), slice(35, 40)]


@pytest.mark.parametrize("layout", [{}, {"chunks": (5, 4, 4, 3)}])
def test_no_hdf5_handle_stays_open(foreign_store, layout):
    gc.collect()
    kinds = h5py.h5f.OBJ_FILE | h5py.h5f.OBJ_DATASET
    before = h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, kinds)  # of other libraries in this process
    store = foreign_store(LABELS, **layout)
    store.read([0])
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, kinds) == before


def test_a_store_is_pickled_as_its_path(foreign_store):
    store = foreign_store(LABELS)
    store.read([0])
    data = pickle.dumps(store)
    assert len(data) < 500
    np.testing.assert_array_equal(pickle.loads(data).read([3]), store.read([3]))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("layout", [{}, {"chunks": (5, 4, 4, 3)}])
def test_forked_processes_read_the_same_pixels(foreign_store, layout):
    store = foreign_store(LABELS, **layout)
    expected = [int(store.read([row]).sum()) for row in range(40)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(_Sum(store), range(40))
    assert found == expected


class _Sum:
    def __init__(self, store: CropStore) -> None:
        self.store = store

    def __call__(self, row: int) -> int:
        return int(self.store.read([row]).sum())


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match=r"no crop store at .*none\.h5; `stemcls build"):
        CropStore.open(tmp_path / "none.h5")


def test_a_folder_is_not_a_store(tmp_path):
    with pytest.raises(InputError, match="is a folder: expected a crop store"):
        CropStore.open(tmp_path)


def test_a_file_that_is_not_hdf5_is_refused(tmp_path):
    path = tmp_path / "cells.h5"
    path.write_text("field,x_px,y_px\n")
    with pytest.raises(InputError, match="is not an HDF5 file: expected a crop store"):
        CropStore.open(path)


def test_hdf5_of_another_kind_names_what_it_holds(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = [1.0]
    with pytest.raises(InputError, match=r"not a crop store.*found None; it holds weights") as info:
        CropStore.open(tmp_path / "other.h5")
    assert info.value.__notes__ == ["at HDF5 key '/', attribute 'format'"]


def test_a_newer_version_asks_for_an_update(foreign_store):
    path = foreign_store(LABELS).path
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 99
    with pytest.raises(InputError, match="has version 99, this stemcls reads up to 1: update"):
        CropStore.open(path)


@pytest.mark.parametrize("key", ["images", "label", "fields/sha256", "intensity"])
def test_a_missing_dataset_is_named(foreign_store, key):
    path = foreign_store(LABELS).path
    with h5py.File(path, "r+") as file:
        del file[key]
    with pytest.raises(InputError, match=f"has no dataset '{key}'") as info:
        CropStore.open(path)
    assert info.value.__notes__ == [f"at HDF5 key '/{key}'"]


def test_a_missing_attribute_is_named_with_its_key(foreign_store):
    path = foreign_store(LABELS).path
    with h5py.File(path, "r+") as file:
        del file["label"].attrs["names"]
    with pytest.raises(InputError, match="is damaged") as info:
        CropStore.open(path)
    assert info.value.__notes__ == ["at HDF5 key '/label'"]


@pytest.mark.parametrize("kept", [0.2, 0.9, 0.999])
def test_a_store_cut_short_is_refused_at_any_length(foreign_store, kept):
    path = foreign_store(LABELS, edge=64).path
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(InputError, match="is cut short"):
        CropStore.open(path)


def test_a_map_beyond_the_end_of_the_file_is_refused(foreign_store, monkeypatch):
    # HDF5 notices most short files itself; this is the check behind it.
    store = foreign_store(LABELS, edge=64)
    size = store.path.stat().st_size
    monkeypatch.setattr(
        Path, "stat", lambda path, **_: os.stat_result((0o100644, *[0] * 5, size // 2, 0, 0, 0))
    )
    with pytest.raises(InputError, match=r"cut short .* need \d+ bytes") as info:
        CropStore.open(store.path)
    assert info.value.__notes__


def test_columns_of_another_length_are_refused(foreign_store):
    path = foreign_store(LABELS).path
    with h5py.File(path, "r+") as file:
        del file["radius_px"]
        file["radius_px"] = np.zeros(3, np.float32)
    with pytest.raises(InputError, match="40 images but 3 rows of radius_px"):
        CropStore.open(path)


def test_a_label_without_a_name_is_refused(foreign_store):
    path = foreign_store(LABELS).path
    with h5py.File(path, "r+") as file:
        file["label"][0] = 7
    with pytest.raises(InputError, match="label reaches 7 but there are 2 names"):
        CropStore.open(path)


def test_images_of_another_type_are_refused(foreign_store):
    path = foreign_store(LABELS).path
    with h5py.File(path, "r+") as file:
        del file["images"]
        file["images"] = np.zeros((40, 4, 4, 3), np.float32)
    with pytest.raises(InputError, match=r"expected images .* uint8 or uint16, found .*float32"):
        CropStore.open(path)
