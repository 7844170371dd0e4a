"""A store holds the pixels, labels and groups of its images, and nothing is lost silently."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from stemcls.config.imaging import BuildConfig
from stemcls.config.options import from_mapping
from stemcls.errors import InputError
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore
from stemcls.store.layout import DATASETS

CROPS = BuildConfig(kind="crops")


def pixels_of(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return image[..., None] if image.ndim == 2 else image[..., ::-1]


def test_crops_labels_and_fields_are_those_of_the_folder(crops_folder, tmp_path):
    document = build_store(crops_folder, tmp_path / "out.h5", CROPS)
    store = CropStore.open(tmp_path / "out.h5")
    assert document["crops"] == document["fields"] == len(store) == 12
    assert document["classes"] == {"aged": 6, "young": 6}
    assert store.classes == ("aged", "young")
    for row in range(12):
        path = crops_folder / store.fields.path[store.field_index[row]]
        np.testing.assert_array_equal(store.read([row])[0], pixels_of(path))
        assert store.classes[store.labels[row]] == path.parent.name
        assert store.fields.sha256[row] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert store.intensity[row, 0] == pytest.approx(pixels_of(path).mean(), rel=1e-5)
        assert store.fields.brightness[row] == pytest.approx(pixels_of(path).mean(), rel=1e-5)
    assert store.centers_px.tolist() == [[7.5, 7.5]] * 12
    assert np.isnan(store.radius_px).all()
    assert (store.group_what, store.group_names) == ("field", store.fields.path)
    assert document["groups"] == {"what": "field", "count": 12}
    assert document["size_px"] == (16, 16)
    kept = from_mapping(BuildConfig, store.config)
    assert (kept.crop_px, kept.fit) == (16, "pad"), "the images' own size"
    assert kept.recorded.dtype == ("uint8",)
    kept = dataclasses.replace(kept, recorded=CROPS.recorded)
    assert kept == dataclasses.replace(CROPS, crop_px=16, fit="pad")


def test_the_file_has_the_documented_layout(crops_folder, tmp_path):
    config = dataclasses.replace(CROPS, group=r"/(d\d)", group_what="mouse", pixel_size_um=0.25)
    build_store(crops_folder, tmp_path / "out.h5", config)
    with h5py.File(tmp_path / "out.h5") as file:
        assert all(key in file for key in DATASETS)
        assert file["images"].chunks is None
        assert file["images"].compression is None
        assert (file["images"].shape, file["images"].dtype) == ((12, 16, 16, 1), np.uint8)
        assert file["label"].dtype == file["field"].dtype == file["group"].dtype == np.int32
        assert file["label"].attrs["names"].tolist() == ["aged", "young"]
        assert file["group"].attrs["names"].tolist() == ["d0", "d1", "d2"]
        assert file["group"].attrs["what"] == "mouse"
        assert file["center_px"].dtype == file["radius_px"].dtype == np.float32
        assert file["intensity"].shape == (12, 1)
        attrs = dict(file.attrs)
    assert attrs["format"] == "stemcls-crops"
    assert attrs["version"] == 1
    assert attrs["pixel_size_um"] == 0.25
    assert json.loads(attrs["config"])["kind"] == "crops"
    assert {"created", "stemcls_version", "channels", "content_hash"} <= set(attrs)


def test_nothing_but_the_store_is_left_and_the_sources_are_untouched(crops_folder, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in crops_folder.rglob("*")}
    build_store(crops_folder, tmp_path / "made" / "out.h5", CROPS)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["out.h5"]
    assert {path: path.stat().st_mtime_ns for path in crops_folder.rglob("*")} == before


def test_the_content_hash_follows_pixels_labels_and_groups(crops_folder, tmp_path):
    def content(name: str, config: BuildConfig = CROPS) -> str:
        build_store(crops_folder, tmp_path / name, config)
        return CropStore.open(tmp_path / name).content_hash

    first = content("a.h5")
    assert content("b.h5") == first
    grouped = content("c.h5", dataclasses.replace(CROPS, group=r"/(d\d)"))
    (crops_folder / "aged").rename(crops_folder / "old")
    renamed = content("d.h5")
    path = crops_folder / "old" / "d0_00.png"
    cv2.imwrite(str(path), pixels_of(path)[..., 0] // 2)
    assert len({first, grouped, renamed, content("e.h5")}) == 4


def test_names_with_spaces_slashes_and_other_alphabets_survive(tmp_path, write_image):
    names = ["LT/HSC 1", "Zellen größer", "幹細胞"]
    for number in range(3):
        write_image(tmp_path / "src" / f"ä {number}.png", seed=number)
    manifest = tmp_path / "list.csv"
    rows = [f"src/ä {number}.png,{name},Spender ♀" for number, name in enumerate(names)]
    manifest.write_text("path,label,group\n" + "\n".join(rows) + "\n", encoding="utf-8")
    document = build_store(tmp_path / "src", tmp_path / "out.h5", CROPS, manifest=manifest)
    store = CropStore.open(tmp_path / "out.h5")
    assert store.classes == tuple(sorted(names)) == tuple(document["classes"])
    assert store.group_names == ("Spender ♀",)
    assert store.fields.path[0] == "src/ä 0.png"


def test_thousands_of_group_names_fit(tmp_path, write_image, monkeypatch):
    rows = []
    for number in range(60):
        write_image(tmp_path / f"{number}.png", seed=number, shape=(4, 4))
        rows.append(f"{number}.png,x,{number:03}{'g' * 2000}")
    manifest = tmp_path / "list.csv"
    manifest.write_text("path,label,group\n" + "\n".join(rows) + "\n")
    build_store(tmp_path, tmp_path / "out.h5", CROPS, manifest=manifest)
    assert len(CropStore.open(tmp_path / "out.h5").group_names) == 60


def test_images_without_a_class_folder_are_unlabelled(crops_folder, tmp_path, write_image):
    write_image(crops_folder / "unknown.png", seed=99)
    document = build_store(crops_folder, tmp_path / "out.h5", CROPS)
    store = CropStore.open(tmp_path / "out.h5")
    assert document["unlabelled"] == 1
    assert (store.labels == -1).sum() == 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"pixels": np.full((16, 16), 7, np.uint8)}, ""),
        ({"shape": (16, 16, 3)}, "have 3 channels, those of most images 1; --channels grey"),
    ],
)
def test_an_image_that_does_not_fit_is_skipped_with_its_reason(
    crops_folder, tmp_path, write_image, spoil, reason
):
    write_image(crops_folder / "young" / "spoilt.png", **spoil)
    document = build_store(crops_folder, tmp_path / "out.h5", CROPS)
    (skipped,) = document["skipped"]
    assert skipped["path"] == "young/spoilt.png"
    assert reason in skipped["reason"]
    assert document["crops"] == 12


def test_a_damaged_image_is_skipped_with_its_reason(crops_folder, tmp_path):
    (crops_folder / "aged" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    document = build_store(crops_folder, tmp_path / "out.h5", CROPS)
    (skipped,) = document["skipped"]
    assert skipped["path"] == "aged/torn.png"
    assert skipped["reason"]
    assert document["images"] == 13


def test_mixed_depths_are_kept_apart_without_scaling(crops_folder, tmp_path, write_image):
    write_image(crops_folder / "young" / "deep.png", dtype="uint16")
    config = dataclasses.replace(CROPS, scale="none")
    document = build_store(crops_folder, tmp_path / "out.h5", config)
    assert "its pixels are uint16, those of most images uint8; --scale auto" in (
        document["skipped"][0]["reason"]
    )


def test_sixteen_bit_is_kept_where_asked(tmp_path, write_image):
    path = write_image(tmp_path / "src" / "a.png", dtype="uint16")
    build_store(tmp_path / "src", tmp_path / "out.h5", dataclasses.replace(CROPS, scale="none"))
    store = CropStore.open(tmp_path / "out.h5")
    assert store.dtype == np.uint16
    np.testing.assert_array_equal(store.read([0])[0], pixels_of(path))


def test_nothing_usable_is_an_error_that_gives_reasons(tmp_path):
    (tmp_path / "src").mkdir()
    for number in range(5):
        (tmp_path / "src" / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"none of the 5 images .*0\.png: .*and 2 more"):
        build_store(tmp_path / "src", tmp_path / "out.h5", CROPS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["src"]


def test_an_existing_store_is_never_overwritten(crops_folder, tmp_path):
    (tmp_path / "out.h5").write_text("precious")
    with pytest.raises(InputError, match="exists and is not overwritten"):
        build_store(crops_folder, tmp_path / "out.h5", CROPS)
    assert (tmp_path / "out.h5").read_text() == "precious"


def test_copies_of_one_image_are_counted(crops_folder, tmp_path):
    copied = (crops_folder / "aged" / "d0_00.png").read_bytes()
    (crops_folder / "young" / "copy.png").write_bytes(copied)
    assert build_store(crops_folder, tmp_path / "out.h5", CROPS)["duplicates"] == 1


def test_a_given_edge_resizes_every_crop(tmp_path, write_image):
    for number, edge in enumerate((16, 32, 8)):
        write_image(tmp_path / "src" / f"{number}.png", seed=number, shape=(edge, edge))
    config = dataclasses.replace(CROPS, crop_px=16, pixel_size_um=0.5)
    build_store(tmp_path / "src", tmp_path / "out.h5", config)
    store = CropStore.open(tmp_path / "out.h5")
    assert store.shape == (3, 16, 16, 1)
    large = pixels_of(tmp_path / "src" / "1.png").astype(float)[..., 0]
    halved = large.reshape(16, 2, 16, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(store.read([1])[0, ..., 0], halved, atol=0.51)
    assert store.config["crop_px"] == 16
    assert store.pixel_size_um is None, "three crops, three sizes of a pixel"


@pytest.mark.parametrize(("kind", "resize"), [("crops", "45x60"), ("fields", "226x306")])
def test_samples_need_not_be_square(tmp_path, write_image, kind, resize):
    height, width = map(int, resize.split("x"))
    for number in range(3):
        write_image(
            tmp_path / "src" / f"{number}.png", seed=number, shape=(2 * height, 2 * width)
        )
    config = BuildConfig(kind=kind, resize=resize, pixel_size_um=0.5)
    document = build_store(tmp_path / "src", tmp_path / "out.h5", config)
    store = CropStore.open(tmp_path / "out.h5")
    assert document["size_px"] == store.size_px == (height, width)
    large = pixels_of(tmp_path / "src" / "1.png").astype(float)[..., 0]
    halved = large.reshape(height, 2, width, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(store.read([1])[0, ..., 0], halved, atol=0.51)
    assert store.pixel_size_um == 1.0


def test_ready_made_crops_keep_their_own_shape(tmp_path, write_image):
    path = write_image(tmp_path / "src" / "a.png", shape=(12, 20))
    build_store(tmp_path / "src", tmp_path / "out.h5", CROPS)
    np.testing.assert_array_equal(
        CropStore.open(tmp_path / "out.h5").read([0])[0], pixels_of(path)
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"kind": "crops", "resize": "45"}, "expected HEIGHTxWIDTH, as in 226x306"),
        ({"kind": "crops", "resize": "45x0"}, "expected HEIGHTxWIDTH"),
        ({"kind": "crops", "resize": "45x60", "crop_px": 8}, "leave one out"),
        ({"resize": "45x60"}, "cells have --crop-px"),
    ],
)
def test_a_size_that_makes_no_sense_is_refused(settings, told):
    with pytest.raises(InputError, match=told):
        BuildConfig(**settings)


def test_whole_fields_are_resized_to_512_and_their_pixels_grow(tmp_path, write_image):
    write_image(tmp_path / "src" / "a" / "1.png", shape=(1024, 1024))
    config = BuildConfig(kind="fields", pixel_size_um=0.5)
    document = build_store(tmp_path / "src", tmp_path / "out.h5", config)
    store = CropStore.open(tmp_path / "out.h5")
    assert (document["crops"], store.shape) == (1, (1, 512, 512, 1))
    assert store.pixel_size_um == 1.0
    assert store.fields.pixel_size_um.tolist() == [0.5]
    assert store.fields.shape.tolist() == [[1, 1024, 1024]]
    assert store.fields.n_cells.tolist() == [-1]


def test_known_cells_cannot_be_asked_of_crops(crops_folder, tmp_path):
    with pytest.raises(InputError, match="cannot be used with --kind crops"):
        build_store(crops_folder, tmp_path / "out.h5", CROPS, cells=tmp_path / "cells.csv")
    with pytest.raises(InputError, match="--cells-match needs --cells"):
        build_store(crops_folder, tmp_path / "out.h5", BuildConfig(match_px=5.0))


def test_crops_of_real_cells_keep_their_field_of_origin_as_group(tmp_path):
    folder = Path("../shared/data/ht1080")
    if not folder.is_dir():
        pytest.skip("the real crops of ../shared/data/ht1080 are not here")
    config = dataclasses.replace(CROPS, group=r"/([^-]+-\d+)", group_what="field of origin")
    document = build_store(folder, tmp_path / "out.h5", config)
    store = CropStore.open(tmp_path / "out.h5")
    assert document["classes"] == {"293A": 100, "HT1080": 100}
    assert document["skipped"] == []
    for row, name in enumerate(store.fields.path):
        assert Path(name).name.startswith(store.group_names[store.group_index[row]])


def test_stores_are_built_and_split_without_keras():
    program = (
        "import sys, stemcls.store.build, stemcls.store.splits, stemcls.store.describe; "
        "print(sorted({'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
