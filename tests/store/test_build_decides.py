"""What a build decides by looking at its images, asks about, or refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import BuildConfig, DetectConfig
from stemcls.errors import InputError
from stemcls.imaging.extract import extract, open_image
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore
from stemcls.store.discovery import list_sources
from stemcls.store.glance import glance, kind_of
from stemcls.store.workers import Crew

SHARED = Path(__file__).parents[2].parent / "shared"
AUTO = BuildConfig()


def kinds_of(document: dict[str, Any]) -> list[str]:
    """Return the kinds of warnings about images, without those about the list of files."""
    kinds = [one["kind"] for one in document["warnings"]]
    return [kind for kind in kinds if kind not in ("no-groups", "one-image-class")]


def cell(seed: int, edge: int, radius: int | None = None, level: int = 90) -> np.ndarray:
    """One disc in the middle of (edge, edge) noise, uint8."""
    image = np.random.default_rng(seed).normal(60, 4, (edge, edge))
    cv2.circle(image, (edge // 2, edge // 2), radius or edge // 4, 60 + level, -1)
    return np.clip(image, 0, 255).astype(np.uint8)


def field(seed: int, edge: int, radius: int = 9, step: int = 45) -> np.ndarray:
    """Discs all over (edge, edge) noise, uint8."""
    image = np.random.default_rng(seed).normal(60, 4, (edge, edge))
    for y in range(step // 2 + 4, edge - step // 2, step):
        for x in range(step // 2 + 4, edge - step // 2, step):
            cv2.circle(image, (x, y), radius, 150, -1)
    return np.clip(image, 0, 255).astype(np.uint8)


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Path]:
    """Write images of one maker, taking turns in two classes; return the folder."""

    def made(make: Callable[[int], np.ndarray], count: int = 8, suffix: str = ".png") -> Path:
        for number in range(count):
            write(tmp_path / "src" / "ab"[number % 2] / f"{number}{suffix}", make(number))
        return tmp_path / "src"

    return made


def built(folder: Path, config: BuildConfig = AUTO, name: str = "s.h5", **more) -> tuple:
    document = build_store(folder, folder.parent / name, config, workers=1, **more)
    return document, CropStore.open(folder.parent / name)


def said_kind(folder: Path) -> str:
    sources = list_sources(folder, None, None, None).sources
    with Crew(1) as crew:
        return kind_of(glance(sources, AUTO, crew, lambda: False), AUTO)


@pytest.mark.parametrize("edge", [24, 96, 224])
def test_small_images_of_one_cell_each_stay_one_crop_each(source, edge):
    document, store = built(source(lambda seed: cell(seed, edge)))
    assert (document["kind"], document["crops"]) == ("crops", 8)
    assert store.size_px == (edge, edge)


@pytest.mark.parametrize("edge", [320, 600])
def test_larger_images_of_many_cells_are_fields(source, edge):
    assert built(source(lambda seed: field(seed, edge), 2))[0]["kind"] == "cells"


def test_small_images_of_many_cells_are_fields_too(source):
    document, _ = built(source(lambda seed: field(seed, 200), 4))
    assert document["kind"] == "cells"
    assert document["crops"] == 4 * 16


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: cell(seed, 400),  # one cell, but larger than crops are
        lambda seed: np.random.default_rng(seed).integers(0, 255, (200, 200), np.uint8),
        lambda seed: np.roll(cell(seed, 200, 30), (60, 50), (0, 1)),  # one cell, not in the middle
    ],
)
def test_what_could_be_either_is_asked_and_nothing_is_left_behind(source, make):
    folder = source(make)
    with pytest.raises(InputError, match="could be fields or ready-made crops: 8 were") as caught:
        built(folder)
    for option in ("--kind crops", "--kind cells", "--kind fields"):
        assert option in str(caught.value)
    assert not list(folder.parent.glob(".s.h5.building"))


def test_settings_of_detection_or_a_crop_inside_the_image_say_fields(source):
    folder = source(lambda seed: field(seed, 128, step=40))
    for config in (BuildConfig(detect=DetectConfig(diameter_px=18.0)), BuildConfig(crop_px=32)):
        assert built(folder, config, f"{config.crop_px}.h5")[0]["kind"] == "cells"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("ht1080", "crops"), ("crops/cellcognition", "crops"), ("chula/fields", "cells"),
     ("gowt1/fields", "cells"), ("fields/dic_hela", "cells"), ("fields/psc_phase", "cells")],
)
def test_real_sets_are_taken_for_what_they_are(folder, kind):
    path = SHARED / "data" / folder
    if not path.is_dir():
        pytest.skip(f"{path} is not there")
    assert said_kind(path) == kind


@pytest.mark.parametrize("sizes", [(40, 40, 40, 48), (40, 40, 40, 32), (40, 44, 52, 36)])
def test_crops_of_different_sizes_are_all_kept_at_one_scale(source, sizes):
    folder = source(lambda seed: cell(seed, sizes[seed // 2], radius=8))
    document, store = built(folder)
    assert document["crops"] == 8
    (said,) = [one for one in document["warnings"] if one["kind"] == "mixed-sizes"]
    assert "padded by reflection" in said["message"]
    assert "--fit resize" in said["message"]
    assert store.config["fit"] == "pad"
    # The discs keep their size, but for those of images that had to be shrunk.
    bright = [(crop > 105).sum() for crop in store.read(np.arange(8))]
    larger = [max(sizes[int(Path(store.fields.path[row]).stem) // 2] / store.size_px[0], 1)
              for row in store.field_index]
    np.testing.assert_allclose(bright, np.pi * 64 / np.square(larger), rtol=0.25)


def test_sizes_that_differ_too_much_for_padding_are_stretched(source):
    sizes = (24, 30, 28, 150)
    document, store = built(source(lambda seed: cell(seed, sizes[seed // 2])))
    assert document["crops"] == 8
    assert store.config["fit"] == "resize"
    assert any("sizes differ too much for padding" in one["message"]
               for one in document["warnings"])


def test_fit_is_a_choice_of_the_user(source):
    folder = source(lambda seed: cell(seed, (40, 40, 40, 48)[seed // 2]))
    _, store = built(folder, BuildConfig(kind="crops", fit="resize"))
    assert (store.config["fit"], store.size_px) == ("resize", (40, 40))
    _, store = built(folder, BuildConfig(kind="crops", fit="pad", crop_px=64), "padded.h5")
    assert (store.config["fit"], store.size_px) == ("pad", (64, 64))


def test_the_same_fit_brings_a_new_crop_to_the_size_of_the_model(source, tmp_path):
    folder = source(lambda seed: cell(seed, (40, 40, 40, 48)[seed // 2], radius=8))
    _, store = built(folder)
    config = dataclasses.replace(AUTO, kind="crops", crop_px=40, fit=store.config["fit"])
    path = write(tmp_path / "new.png", cell(9, 32, radius=8))
    found = extract(open_image(path, config), config)
    assert found.images.shape == (1, 40, 40, 1)
    np.testing.assert_array_equal(found.images[0, 4:36, 4:36, 0], cell(9, 32, radius=8))


@pytest.mark.parametrize("odd", [0, 3, 7])
def test_one_odd_image_is_skipped_wherever_it_stands(source, odd):
    def make(seed: int) -> np.ndarray:
        image = cell(seed, 48)
        return np.dstack([image, image // 2, image // 3]) if seed == odd else image

    document, _ = built(source(make))
    assert document["crops"] == 7
    (skipped,) = document["skipped"]
    assert skipped["path"].endswith(f"/{odd}.png")
    assert "those of most images 1" in skipped["reason"]


def test_a_build_that_would_skip_most_images_fails_unless_forced(source):
    folder = source(lambda seed: cell(seed, 48))
    for number in range(10):
        (folder / "a" / f"torn{number}.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    with pytest.raises(InputError, match=r"10 of 18 images were skipped \(10: .*--force"):
        built(folder, BuildConfig(kind="crops"))
    document, _ = built(folder, BuildConfig(kind="crops"), force=True)
    assert document["crops"] == 8
    assert document["continued_at"] == 18, "what was read is not read again"
    assert kinds_of(document) == ["most-skipped"]


def test_a_class_of_which_nothing_is_left_is_an_error(source):
    folder = source(lambda seed: cell(seed, 48))
    (folder / "c").mkdir()
    (folder / "c" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    with pytest.raises(InputError, match="nothing is left of the class c"):
        built(folder)


@pytest.mark.parametrize(
    ("radius", "crop_px"), [(6, 24), (16, 64), (20, 64), (34, 136)]
)
def test_the_size_of_crops_follows_that_of_cells(source, radius, crop_px):
    folder = source(lambda seed: field(seed, 420, radius, 3 * radius), 2)
    document, store = built(folder, BuildConfig(kind="cells"))
    assert document["diameter_px"] == pytest.approx(2 * radius, rel=0.15)
    assert abs(document["crop_px"] - crop_px) <= 8
    assert store.size_px == (document["crop_px"],) * 2
    assert store.config["detect"]["diameter_px"] == document["diameter_px"]


def test_known_radii_give_the_diameter(source, tmp_path):
    folder = source(lambda seed: field(seed, 320), 2)
    table = tmp_path / "cells.csv"
    table.write_text("field,x_px,y_px,radius_px\na/0.png,100,100,40\na/0.png,200,200,44\n"
                     "b/1.png,150,150,42\n")
    document, store = built(folder, BuildConfig(), cells=table)
    assert (document["diameter_px"], document["crop_px"]) == (84.0, 168)
    assert store.config["detect"]["diameter_px"] == 84.0, "the prior of predictions"


def test_a_crop_that_cuts_the_usual_cell_is_refused_unless_forced(source):
    folder = source(lambda seed: field(seed, 420, 30, 90), 2)
    config = BuildConfig(kind="cells", crop_px=32)
    told = r"--crop-px 32 cuts the usual cell: cells are (5[5-9]|6[0-9]) px"
    with pytest.raises(InputError, match=told):
        built(folder, config)
    document, _ = built(folder, config, force=True)
    assert kinds_of(document) == ["cut-cells"]


def test_cells_at_the_border_are_kept_flagged_and_counted(source):
    folder = source(lambda seed: field(seed, 320, 12, 45), 2)
    kept, store = built(folder, BuildConfig(kind="cells"))
    dropped, _ = built(folder, BuildConfig(kind="cells", edge="drop"), "drop.h5")
    assert kept["at_border"] == store.at_border.sum() > 10
    assert dropped["dropped"]["crop leaves the field"] == kept["at_border"]
    assert dropped["at_border"] == 0
    centers = store.centers_px[store.at_border]
    assert (np.minimum(centers, 320 - centers).min(axis=1) < 33).all()


def deep(path: Path, image: np.ndarray, size_um: float = 0.0, names: tuple[str, ...] = ()) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    about: dict = {"axes": "CYX" if image.ndim == 3 else "YX"}
    if size_um:
        about |= {"PhysicalSizeX": size_um, "PhysicalSizeY": size_um}
    if names:
        about["Channel"] = {"Name": list(names)}
    tifffile.imwrite(path, image, photometric="minisblack", metadata=about, ome=True)


def by_depth(folder: Path, seed: int, label: str) -> None:
    image = cell(seed, 48)
    deep(folder / label / f"{seed}.tif", image.astype(np.uint16) * 16 if label == "b" else image)


def by_format(folder: Path, seed: int, label: str) -> None:
    write(folder / label / f"{seed}{'.png' if label == 'a' else '.jpg'}", cell(seed, 48))


def by_pixel(folder: Path, seed: int, label: str) -> None:
    deep(folder / label / f"{seed}.tif", cell(seed, 48), 0.5 if label == "a" else 0.65)


def by_channels(folder: Path, seed: int, label: str) -> None:
    names = ("DIC", "GFP") if label == "a" else ("GFP", "DIC")
    deep(folder / label / f"{seed}.tif", np.stack([cell(seed, 48)] * 2), names=names)


def by_size(folder: Path, seed: int, label: str) -> None:
    write(folder / label / f"{seed}.png", cell(seed, 48 if label == "a" else 52))


@pytest.mark.parametrize(
    ("make", "said"),
    [(by_depth, "bit depth: a uint8 in 4 of 4"), (by_format, "file format: a PNG in 4 of 4"),
     (by_pixel, "pixel size: a 0.5 um in 4 of 4"), (by_channels, "channels: a DIC, GFP in 4 of 4"),
     (by_size, "size of the crops: a 48x48 px in 4 of 4")],
)
def test_classes_that_their_files_give_away_are_refused_unless_forced(tmp_path, make, said):
    folder = tmp_path / "src"
    for seed in range(8):
        make(folder, seed, "ab"[seed % 2])
    config = BuildConfig(kind="crops")
    with pytest.raises(InputError, match="the classes differ in how") as caught:
        built(folder, config)
    assert said in str(caught.value)
    assert "as a/0." in str(caught.value)
    document, store = built(folder, config, force=True)
    assert "classes-differ" in [one["kind"] for one in document["warnings"]]
    assert any("the classes differ" in text for text in store.config["recorded"]["warnings"])


def test_depths_mixed_alike_in_all_classes_are_a_loud_warning(tmp_path):
    folder = tmp_path / "src"
    for seed in range(8):
        image = cell(seed, 48)
        deep(folder / "ab"[seed % 2] / f"{seed}.tif",
             image.astype(np.uint16) * 16 if seed < 2 else image)
    document, store = built(folder)
    (said,) = [one for one in document["warnings"] if one["kind"] == "mixed-bit-depth"]
    assert said["paths"] == ["a/0.tif", "b/1.tif"]
    assert "--scale field" in said["message"]
    assert set(store.config["recorded"]["dtype"]) == {"uint8", "uint16"}
    assert kinds_of(built(folder, BuildConfig(scale="field"), "field.h5")[0]) == []


def test_known_cells_of_classes_with_different_depths_are_refused(tmp_path):
    folder = tmp_path / "src"
    lines = ["field,x_px,y_px"]
    for seed in range(6):
        label = "ab"[seed % 2]
        image = field(seed, 200)
        deep(folder / label / f"{seed}.tif", image.astype(np.uint16) * 16 if seed % 2 else image)
        lines.append(f"{label}/{seed}.tif,26,26")
    (tmp_path / "cells.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="bit depth: a uint8 in 3 of 3 images"):
        built(folder, BuildConfig(crop_px=24), cells=tmp_path / "cells.csv")


def test_equal_pixels_under_other_names_and_in_other_files_are_said_to_be_equal(source):
    folder = source(lambda seed: cell(seed, 48))
    write(folder / "a" / "copy.png", cell(2, 48))
    cv2.imwrite(str(folder / "b" / "lie.png"), cell(4, 48), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    document, _ = built(folder)
    assert document["duplicates"] == 2
    wrong, copy = [one for one in document["warnings"] if one["kind"] == "equal-images"]
    assert (wrong["paths"], copy["paths"]) == (["b/lie.png"], ["a/copy.png"])
    assert "EQUAL IMAGES IN TWO CLASSES" in wrong["message"]
    assert "b/lie.png equals a/4.png" in wrong["message"]


def test_a_picture_of_the_store_is_drawn_beside_it_and_replaces_nothing(source, monkeypatch):
    from stemcls.store import look

    folder = source(lambda seed: field(seed, 320, 12, 45), 4)
    config = BuildConfig(kind="cells", crop_px=64, detect=DetectConfig(diameter_px=24.0))
    (folder.parent / "s-look.png").write_bytes(b"mine")
    document, _ = built(folder, config, look=True)
    assert document["look"] == str(folder.parent / "s-look-2.png")
    assert (folder.parent / "s-look.png").read_bytes() == b"mine"
    picture = cv2.imread(document["look"])
    assert picture.shape[1] > 2 * 320
    ringed = (picture.astype(int) == (0, 159, 230)).all(axis=2)  # blue, green, red
    assert ringed[:, 330:].sum() > 200, "the cells are drawn into the fields"

    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(look, "write_sheet", fails)
    document, store = built(folder, config, "other.h5", look=True)
    assert document["look"] is None
    assert len(store) == document["crops"] > 10
    assert kinds_of(document) == ["no-look"]


def test_a_file_of_crops_is_a_set_of_images_of_its_own(tmp_path):
    images = np.stack([cell(seed, 28) for seed in range(9)])
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(9) % 3,
             names=np.array(["x", "y", "z"]))
    document, store = built(tmp_path / "set.npz")
    assert document["classes"] == {"x": 3, "y": 3, "z": 3}
    np.testing.assert_array_equal(store.read(np.arange(9))[..., 0], images)
    assert store.fields.path[4] == "set.npz#4"
    assert len(set(store.fields.sha256)) == 9
