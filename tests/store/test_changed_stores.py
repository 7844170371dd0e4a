"""A store that does not hold what it was built with is found, and nothing is computed on it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.store import verify as verifying
from stemcls.store.columns import ChangedStoreError
from stemcls.store.cropstore import CropStore
from stemcls.store.digest import blocks_of, first_version_digest
from stemcls.store.verify import open_verified, verify


@pytest.fixture
def store(tmp_path: Path, striped_store: Path) -> Path:
    """A copy of a built store."""
    path = tmp_path / "copy.h5"
    shutil.copy(striped_store, path)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("STEMCLS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def noise(file: h5py.File) -> None:
    images = file["images"]
    images[...] = np.random.default_rng(1).integers(0, 256, images.shape, np.uint8)


def one_pixel(file: h5py.File) -> None:
    file["images"][77, 5, 5, 1] ^= 1


def rotated_labels(file: h5py.File) -> None:
    file["label"][:] = np.roll(file["label"][:], 7)


def swapped_names(file: h5py.File) -> None:
    file["label"].attrs["names"] = file["label"].attrs["names"][::-1]


def shuffled_groups(file: h5py.File) -> None:
    file["group"][:] = np.random.default_rng(2).permutation(file["group"][:])


def moved_cells(file: h5py.File) -> None:
    file["center_px"][3] += 1


def other_radius(file: h5py.File) -> None:
    file["radius_px"][3] = 4


def other_field(file: h5py.File) -> None:
    file["fields/path"][3] = "elsewhere.png"


def other_size(file: h5py.File) -> None:
    file.attrs["pixel_size_um"] = 7.0


CHANGES = [
    noise, rotated_labels, swapped_names, shuffled_groups, moved_cells, other_radius, other_field,
    other_size,
]


def changed(path: Path, change: Callable[[h5py.File], None]) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_shows_without_reading_all_images_is_found_at_every_open(store, change):
    CropStore.open(store)
    with pytest.raises(ChangedStoreError, match="was changed after it was built"):
        CropStore.open(changed(store, change))


def test_one_bit_of_one_pixel_is_found_by_a_full_check(store):
    open_verified(store)
    CropStore.open(changed(store, one_pixel))
    with pytest.raises(ChangedStoreError, match="the images are not what its digest says"):
        open_verified(store)


def test_a_verified_file_is_read_once_for_each_of_its_states(store, monkeypatch):
    reads = []

    def counted(store, update):
        reads.append(store.path)
        return original(store, update)

    original = verifying._digest
    monkeypatch.setattr(verifying, "_digest", counted)
    open_verified(store)
    open_verified(store)
    assert len(reads) == 1
    os.utime(store)
    open_verified(store)
    assert len(reads) == 2
    verify(CropStore.open(store), again=True)
    assert len(reads) == 3


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", '{"a": 1}'])
def test_a_damaged_cache_costs_time_only(store, cache, content):
    cache.mkdir()
    (cache / "verified.json").write_text(content)
    assert open_verified(store).verified_hash == CropStore.open(store).content_hash


def as_first_version(path: Path) -> None:
    """Make the store one of an older stemcls: another digest, and nothing beside it."""
    opened = CropStore.open(path)
    digest = first_version_digest(
        blocks_of(path, opened.layout.offset, opened.n_bytes), opened.labels, opened.group_index,
        opened.classes, opened.group_names,
    )
    with h5py.File(path, "r+") as file:
        for name in ("content_hash_version", "content_parts", "columns_hash", "images_hash",
                     "sample_hash"):
            del file.attrs[name]
        file.attrs["content_hash"] = digest


@pytest.mark.parametrize("change", [noise, one_pixel, rotated_labels, shuffled_groups])
def test_older_stores_open_and_are_verified_by_their_own_digest(store, change):
    as_first_version(store)
    assert open_verified(store).digests.version == 1
    with pytest.raises(ChangedStoreError):
        open_verified(changed(store, change))


def test_a_store_of_another_program_is_known_by_what_was_read(foreign_store):
    path = foreign_store([0, 1] * 4).path
    first = open_verified(path)
    assert not verify(first)
    changed(path, lambda file: file["images"].__setitem__(0, 0))
    assert open_verified(path).verified_hash != first.verified_hash


def test_a_chunked_copy_has_the_same_digest(store, tmp_path):
    with h5py.File(store) as source, h5py.File(tmp_path / "chunked.h5", "w") as target:
        for name in source:
            if name != "images":
                source.copy(name, target)
        target.create_dataset("images", data=source["images"][()], chunks=(7, 24, 24, 3),
                              compression="gzip")
        for name, value in source.attrs.items():
            target.attrs[name] = value
    assert verify(open_verified(tmp_path / "chunked.h5"))
    with pytest.raises(ChangedStoreError):
        open_verified(changed(tmp_path / "chunked.h5", one_pixel))


def test_info_verify_says_whether_the_content_is_as_it_was_built(store, invoke):
    good = invoke("info", store, "--verify", "--json")
    assert (good.returncode, json.loads(good.stdout)["verified"]) == (0, True)
    changed(store, one_pixel)
    assert invoke("info", store).returncode == 0
    bad = invoke("info", store, "--verify", "--json")
    assert (bad.returncode, json.loads(bad.stdout)["verified"]) == (1, False)
    assert "was changed after it was built" in bad.stderr


@pytest.mark.parametrize("change", [one_pixel, rotated_labels, shuffled_groups])
def test_no_command_computes_on_a_changed_store(store, change, trained_run, tmp_path, invoke):
    changed(store, change)
    for words in (
        ("train", store), ("tune", store), ("audit", store), ("curve", store),
        ("evaluate", trained_run, store), ("explain", trained_run, store),
        ("predict", trained_run, store, "--out", tmp_path / "cells.csv"),
        ("populations", trained_run, store), ("embed", trained_run, store),
    ):
        result = invoke(*words, *(() if words[0] == "predict" else ("--workspace", tmp_path)))
        assert "was changed after it was built" in " ".join(result.stderr.split()), words
        assert result.returncode == 2, words
    assert not (tmp_path / "saved_models").exists()
    assert not (tmp_path / "cells.csv").exists()


def a_link(file: h5py.File, path: Path) -> None:
    file["label"] = h5py.SoftLink("/elsewhere")


def another_file(file: h5py.File, path: Path) -> None:
    file["label"] = h5py.ExternalLink("other.h5", "/label")


def virtual(file: h5py.File, path: Path) -> None:
    layout = h5py.VirtualLayout((160,), "i4")
    layout[:] = h5py.VirtualSource("other.h5", "label", (160,))
    file.create_virtual_dataset("label", layout)


def external(file: h5py.File, path: Path) -> None:
    raw = path.with_name("raw.bin")
    raw.write_bytes(bytes(640))
    file.create_dataset("label", (160,), "i4", external=[(str(raw), 0, 640)])


@pytest.mark.parametrize("make", [a_link, another_file, virtual, external])
@pytest.mark.parametrize("name", ["images", "label", "fields/path"])
def test_data_that_lie_elsewhere_are_refused(store, make, name):
    with h5py.File(store, "r+") as file:
        attributes = dict(file["label"].attrs)
        del file["label"]
        make(file, store)
        if name != "label":  # the same link or dataset under another name
            del file[name]
            file.move("label", name)
            file.create_dataset("label", data=np.zeros(160, np.int32))
            file["label"].attrs.update(attributes)
    with pytest.raises(InputError, match=r"is not whole by itself: .* is ") as info:
        CropStore.open(store)
    assert info.value.__notes__ == [f"at HDF5 key '/{name}'"]


@pytest.mark.parametrize("layout", [{}, {"chunks": (1000, 24, 24, 3)}])
def test_a_billion_declared_rows_are_refused_before_memory_is_asked_for(store, layout):
    with h5py.File(store, "r+") as file:
        del file["images"], file["label"]
        file.create_dataset("images", (10**9, 24, 24, 3), "u1", **layout)
        file.create_dataset("label", (10**9,), "i4", **({"chunks": (1000,)} if layout else {}))
    with pytest.raises(InputError, match="cut short or was never completed: its label need"):
        CropStore.open(store)


def test_chunks_that_were_never_written_are_no_black_crops(store):
    with h5py.File(store, "r+") as file:
        images = file["images"][()]
        del file["images"], file.attrs["content_hash_version"]
        made = file.create_dataset("images", images.shape, "u1", chunks=(10, 24, 24, 3))
        made[:150] = images[:150]
    with pytest.raises(InputError, match="never completed: its images need"):
        CropStore.open(store)


def test_a_store_cut_short_while_it_is_mapped_is_an_error_not_a_signal(store):
    opened = CropStore.open(store)
    opened.read([0, 159])
    os.truncate(store, store.stat().st_size // 2)
    with pytest.raises(InputError, match="became shorter while it was being read"):
        opened.read([159])
    with pytest.raises(InputError, match="is cut short"):
        CropStore.open(store)


@pytest.mark.parametrize("seed", range(12))
def test_any_damage_to_the_metadata_is_a_plain_error_or_none(store, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(store.read_bytes())
    pixels = CropStore.open(store).layout.offset
    places = [place for place in range(len(data)) if not pixels <= place < pixels + 160 * 24 * 72]
    for place in rng.choice(places, 40):
        data[place] ^= 1 << int(rng.integers(8))
    store.write_bytes(data)
    with suppress(InputError):
        CropStore.open(store)
