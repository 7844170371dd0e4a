"""Folders that are no classes are asked about before anything is built; donors are proposed."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import FilesConfig, ReadConfig
from stemcls.errors import InputError
from stemcls.store.classfolders import is_split
from stemcls.store.discovery import list_sources
from stemcls.store.grouping import proposed_pattern
from stemcls.store.sources import Listing


@pytest.fixture
def put(tmp_path, write_image):
    """Write images below the folder of the test."""

    def write(*names: str) -> Path:
        for number, name in enumerate(names):
            write_image(tmp_path / "src" / name, number)
        return tmp_path / "src"

    return write


def listed(folder: Path, group: str | None = None, what: str = "group", **files) -> Listing:
    return list_sources(folder, None, None, group, files=FilesConfig(**files), group_what=what)


def classes(listing: Listing) -> dict[str, str | None]:
    return {source.name: source.label for source in listing.sources}


def kinds(listing: Listing) -> list[str]:
    return [notice.kind for notice in listing.notices]


@pytest.mark.parametrize(
    "splits",
    [("train", "val", "test"), ("Training", "Testing"), ("train_set", "test-set"),
     ("fold1", "fold2", "fold3"), ("TRAIN", "validation"), ("images_train", "images_test")],
)  # fmt: skip
def test_train_and_test_above_equal_classes_are_asked_and_merged(put, splits):
    folder = put(*(f"{s}/{c}/{n}.png" for s in splits for c in ("HSC", "MPP") for n in (1, 2)))
    with pytest.raises(InputError, match=r"parts of a split.*HSC, MPP.*--split-folders merge"):
        listed(folder)
    merged = listed(folder, split_folders="merge")
    assert set(classes(merged).values()) == {"HSC", "MPP"}
    assert {source.metadata["split"] for source in merged.sources} == set(splits)
    kept = listed(folder, split_folders="classes")
    assert set(classes(kept).values()) == set(splits)


def test_train_and_test_without_classes_below_are_asked_too(put):
    with pytest.raises(InputError, match=r"would be the classes.*--split-folders classes"):
        listed(put("train/1.png", "test/2.png"))


def test_split_words_are_told_from_classes():
    assert all(map(is_split, ("train", "Val", "test2", "fold_3", "cv-1", "TestSet")))
    assert not any(map(is_split, ("HSC", "testis", "trained", "folded", "day1", "t-cells")))


def test_merge_without_such_folders_is_refused(put):
    with pytest.raises(InputError, match=r"no folders such as train and test; its folders"):
        listed(put("a/1.png", "b/2.png"), split_folders="merge")


def test_one_folder_around_all_is_asked(put):
    folder = put("data/HSC/1.png", "data/MPP/2.png")
    with pytest.raises(InputError, match=r"in its folder data.*HSC, MPP: --class-level 2 takes"):
        listed(folder)
    assert set(classes(listed(folder, class_level=2)).values()) == {"HSC", "MPP"}
    assert set(classes(listed(folder, class_level=1)).values()) == {"data"}
    with pytest.raises(InputError, match=r"no image of .* lies that deep"):
        listed(folder, class_level=4)


def test_a_split_in_one_folder_is_asked_for_both(put):
    folder = put(*(f"d/e/{s}/{c}/1.png" for s in ("train", "test") for c in ("A", "B")))
    with pytest.raises(InputError, match=r"--class-level 3 --split-folders merge"):
        listed(folder)
    with pytest.raises(InputError, match=r"parts of a split"):
        listed(folder, class_level=3)
    merged = listed(folder, class_level=3, split_folders="merge")
    assert set(classes(merged).values()) == {"A", "B"}


def test_one_class_with_a_folder_per_donor_needs_no_answer(put):
    assert set(classes(listed(put("HSC/donor1/a.png", "HSC/donor2/b.png"))).values()) == {"HSC"}


@pytest.mark.parametrize(
    "outer", [("donor1", "donor2"), ("2024-05-01", "2024-05-02"), ("m1", "m2")]
)
def test_donors_above_the_classes_are_asked(put, outer):
    folder = put(*(f"{d}/{c}/1.png" for d in outer for c in ("HSC", "MPP")))
    with pytest.raises(InputError, match=r"--class-level 2 --group '\^\(\[\^/\]\+\)/'"):
        listed(folder)
    answered = listed(folder, "^([^/]+)/", class_level=2)
    assert set(classes(answered).values()) == {"HSC", "MPP"}
    assert {source.group for source in answered.sources} == set(outer)


@pytest.mark.parametrize("name", ["unsorted", "Unlabelled", "to_sort", "unknown", "TODO"])
def test_a_folder_of_unsorted_images_is_asked(put, name):
    folder = put("HSC/1.png", "MPP/2.png", f"{name}/3.png")
    with pytest.raises(InputError, match=rf"is it a class\? --unlabelled {name}"):
        listed(folder)
    found = classes(listed(folder, unlabelled=(name,)))
    assert found == {"HSC/1.png": "HSC", "MPP/2.png": "MPP", f"{name}/3.png": None}
    assert f"{name}/3.png" not in classes(listed(folder, exclude=(name,)))
    assert classes(listed(folder, class_level=1))[f"{name}/3.png"] == name


def test_unlabelled_takes_deeper_folders_and_refuses_unknown_ones(put):
    folder = put("HSC/1.png", "HSC/new/2.png", "MPP/3.png", "4.png")
    found = listed(folder, unlabelled=("HSC/new", "."))
    assert classes(found)["HSC/new/2.png"] is None
    assert "loose-images" not in kinds(found)
    with pytest.raises(InputError, match=r"no images in such a folder.*did you mean 'HSC'"):
        listed(folder, unlabelled=("HSCs",))


def test_loose_images_beside_classes_are_told(put):
    found = listed(put("HSC/1.png", "MPP/2.png", "3.png"))
    (notice,) = (one for one in found.notices if one.kind == "loose-images")
    assert notice.paths == ("3.png",)
    assert "unlabelled crops" in notice.message


def test_a_class_of_one_image_is_told_loudly(put):
    found = listed(put("HSC/1.png", "HSC/2.png", "MPP/3.png"))
    (notice,) = (one for one in found.notices if one.kind == "one-image-class")
    assert notice.message.startswith("ONE IMAGE: class MPP")


def test_names_are_classes_in_their_composed_unicode_form(put):
    found = listed(put(f"{unicodedata.normalize('NFD', 'Müller')}/1.png", "b/2.png"))
    assert unicodedata.normalize("NFC", "Müller") in classes(found).values()


def test_a_link_that_puts_images_in_two_classes_is_refused(put):
    folder = put("HSC/1.png", "MPP/2.png")
    (folder / "LSK").symlink_to(folder / "HSC")
    with pytest.raises(InputError, match=r"LSK is a link to HSC.* two classes"):
        listed(folder)
    assert set(classes(listed(folder, exclude=("LSK",))).values()) == {"HSC", "MPP"}


def test_group_folder_takes_the_folders_below_the_class(put):
    folder = put(*(f"{c}/{d}/s{n}/{n}.png" for c in "AB" for d in ("d1", "d2") for n in (1, 2)))
    assert {s.group for s in listed(folder, "folder").sources} == {"d1", "d2"}
    assert {s.group for s in listed(folder, "folder2").sources} == {"s1", "s2"}
    with pytest.raises(InputError, match="hold no subfolders that deep"):
        listed(folder, "folder3")


def test_an_image_without_a_donor_is_skipped_unless_it_has_no_class(put):
    found = listed(put("A/d1/1.png", "A/2.png", "B/d1/3.png", "4.png"), "folder")
    problems = {source.name: source.problem for source in found.sources if source.problem}
    assert problems == {"A/2.png": "it lies in no folder that --group folder could take"}


def test_group_folder_without_subfolders_is_refused_with_what_names_show(put):
    with pytest.raises(InputError, match=r"hold no subfolders; file names hold d1, d2: --group '"):
        listed(put(*(f"{c}/d{d}_{n}.png" for c in "AB" for d in (1, 2) for n in (1, 2))), "folder")


def test_a_build_without_groups_says_what_to_type(put):
    folder = put(*(f"{c}/donor{d}/{n}.png" for c in "AB" for d in (1, 2) for n in (1, 2)))
    (notice,) = listed(folder).notices
    assert notice.kind == "no-groups"
    assert "hold the folders donor1, donor2: --group folder takes them as donors" in notice.message
    assert "\n" not in notice.message
    assert "no-groups" not in kinds(listed(folder, "folder"))


def test_group_what_without_groups_is_refused(put):
    folder = put("A/d1/1.png", "B/d1/2.png")
    with pytest.raises(InputError, match=r"--group-what donor says .*: --group folder takes them"):
        listed(folder, what="donor")
    assert listed(folder, "folder", "donor").sources[0].group == "d1"


@pytest.mark.parametrize(
    ("names", "groups"),
    [(["A/donor1_1.png", "A/donor1_2.png", "B/donor2_1.png", "B/donor2_2.png"], 2),
     (["A/x mouse-3 1.png", "A/x mouse-4 1.png", "B/y mouse-3 2.png", "B/y mouse-4 2.png"], 2),
     ([f"A/HT1080-0001-{n}.png" for n in "12"] + [f"B/293A-02.j-{n}.png" for n in "12"], 2),
     (["A/d0_1.png", "A/d0_2.png", "B/d1_1.png", "B/d1_2.png"], 2),
     (["A/Exp01_a.png", "A/Exp01_b.png", "B/exp02_a.png", "B/exp02_b.png"], 2),
     (["A/1.png", "A/2.png", "B/3.png", "B/4.png"], None)],
)  # fmt: skip
def test_a_proposed_pattern_finds_a_group_for_every_image(put, names, groups):
    proposed = proposed_pattern(names)
    assert (proposed is None) == (groups is None)
    if proposed:
        pattern, found = proposed
        assert len(found) == groups
        assert {s.group for s in listed(put(*names), pattern).sources} == set(found)


def test_time_points_of_a_position_are_one_group_unless_others_are_given(tmp_path):
    for label in "AB":
        (tmp_path / label).mkdir()
        pixels = np.zeros((3, 8, 8), np.uint8)
        tifffile.imwrite(tmp_path / label / "a.ome.tif", pixels, ome=True, metadata={"axes": "TYX"})
    found = list_sources(tmp_path, None, None, None, read=ReadConfig(time="all"))
    assert [source.name for source in found.sources][:2] == ["A/a.ome.tif[t=0]", "A/a.ome.tif[t=1]"]
    assert {source.group for source in found.sources} == {"A/a.ome.tif", "B/a.ome.tif"}
    assert "time-series" in kinds(found)
    given = list_sources(tmp_path, None, None, "^(.)", read=ReadConfig(time="all"))
    assert {source.group for source in given.sources} == {"A", "B"}
    asked = list_sources(tmp_path, None, None, None)
    assert all("--time all" in source.problem for source in asked.sources)


def test_a_part_of_a_split_in_another_language_is_told_by_what_it_holds(put):
    folder = put(*(
        f"{part}/{name}/1.png" for part in ("Training", "Validierung", "Testing")
        for name in ("HSC", "MPP")
    ))
    with pytest.raises(InputError, match=r"Testing, Training, Validierung .* parts of a split"):
        listed(folder)
    merged = listed(folder, split_folders="merge")
    assert set(classes(merged).values()) == {"HSC", "MPP"}
