"""Every file and folder is accounted for: an image, skipped with a reason, or known litter."""

from __future__ import annotations

import os
import re
from pathlib import Path

import h5py
import pytest

from stemcls.errors import InputError
from stemcls.imaging.listing import litter
from stemcls.imaging.listing.walk import MOST_NAMED, Walk, walk

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


def put(folder: Path, *names: str, data: bytes = PNG) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def images(walked: Walk) -> list[str]:
    return [path.relative_to(walked.folder).as_posix() for path in walked.images]


def reasons(entries) -> dict[str, str]:
    return {entry.path: entry.reason for entry in entries}


def test_images_come_in_order_and_their_suffix_may_be_in_capitals(tmp_path):
    put(tmp_path, "b/2.PNG", "a.tif", "b/1.jpg", "ä/3.TIF")
    assert images(walk(tmp_path)) == ["a.tif", "b/1.jpg", "b/2.PNG", "ä/3.TIF"]
    with pytest.raises(InputError, match="is not a folder"):
        walk(tmp_path / "none")


@pytest.mark.parametrize(
    "folder",
    [*litter.LITTER_FOLDERS, "@EADIR", "Lost+Found", "System Volume Information", ".AppleDouble",
     ".Trash-1000", ".Trashes", ".snapshot", ".@__thumb", ".git", ".ipynb_checkpoints",
     "cells-overlays", "HSC_masks", "masks", "cp_masks", "01_GT", "02_ST", "segmentation"],
)  # fmt: skip
def test_litter_folders_are_not_looked_into_and_are_named(tmp_path, folder):
    put(tmp_path, "HSC/a.png", f"HSC/{folder}/a.png", f"{folder}/HSC/b.png")
    walked = walk(tmp_path)
    assert images(walked) == ["HSC/a.png"]
    assert set(reasons(walked.ignored)) == {folder, f"HSC/{folder}"}
    assert not walked.skipped


@pytest.mark.parametrize(
    "name",
    ["Thumbs.db", "ehthumbs.db", "desktop.ini", ".DS_Store", "._a.png", ".hidden.png", "~$a.xlsx",
     "a.png~", "notes.txt", "cells.csv", "meta.xml", "a_seg.npy", "a_mask.png", "a_cp_masks.tif",
     "a_cp_outlines.txt", "a-masks.tif", "store-look.png", "detect-grid.png", "a_thumb.jpg",
     "a_labels.tif", "a_flows.tif", "plan.pdf", "RoiSet.zip", "README", "x.tmp"],
)  # fmt: skip
def test_litter_files_are_ignored_with_a_reason(tmp_path, name):
    put(tmp_path, "a.png")
    put(tmp_path, name, data=b"some text\n")
    walked = walk(tmp_path)
    assert images(walked) == ["a.png"]
    assert list(reasons(walked.ignored)) == [name]
    assert not walked.skipped


@pytest.mark.parametrize(
    "name", ["masked.png", "unmask.png", "labels.tif", "b_labels.tif", "thumbelina.png", "b_gt.png"]
)
def test_what_only_sounds_like_litter_is_an_image(tmp_path, name):
    put(tmp_path, "a.png", name)
    assert name in images(walk(tmp_path))


@pytest.mark.parametrize(
    ("name", "says"),
    [("a.vsi", "export it as OME-TIFF"), ("a.ndpi", "slide scanner"), ("a.heic", "a picture"),
     ("a.npy", "an array"), ("a.zip", "unpack it"), ("a.mp4", "export its frames"),
     ("a.lnk", "shortcut"), ("a.tif.part", "finish it"), ("a.xyz", "no image format that is read"),
     ("a.tif ", "no image format that is read"), ("noend", "no suffix")],
)  # fmt: skip
def test_other_formats_are_skipped_and_the_way_out_is_named(tmp_path, name, says):
    put(tmp_path, "ok.png")
    put(tmp_path, name, data=b"\0\1\2\3binary")
    walked = walk(tmp_path)
    assert list(reasons(walked.skipped)) == [name]
    assert says in reasons(walked.skipped)[name]


def test_a_picture_of_another_suffix_is_told_by_its_content(tmp_path):
    put(tmp_path, "a.image", "b")
    skipped = reasons(walk(tmp_path).skipped)
    assert skipped["a.image"] == ".image: it holds PNG data; give it the suffix of its format"
    assert "it holds PNG data" in skipped["b"]


def test_ten_thousand_alike_are_named_a_hundred_times_and_counted(tmp_path):
    put(tmp_path, "a.png")
    for number in range(MOST_NAMED + 150):
        (tmp_path / f"{number:04}.xyz").touch()
    skipped = walk(tmp_path).skipped
    assert len(skipped) == MOST_NAMED + 1
    assert skipped[-1].path == f"{MOST_NAMED:04}.xyz"
    assert skipped[-1].reason.endswith("the same holds for 149 more")


def test_links_to_folders_and_files_are_followed(tmp_path):
    put(tmp_path / "far", "MPP/1.png", "MPP/deep/2.png", "3.png")
    put(tmp_path / "src", "HSC/0.png")
    (tmp_path / "src/MPP").symlink_to(tmp_path / "far/MPP")
    (tmp_path / "src/HSC/3.png").symlink_to(tmp_path / "far/3.png")
    walked = walk(tmp_path / "src")
    assert images(walked) == ["HSC/0.png", "HSC/3.png", "MPP/1.png", "MPP/deep/2.png"]
    assert not walked.skipped
    assert not walked.ignored


@pytest.mark.parametrize("target", [".", "..", "HSC", "/"])
def test_a_link_in_a_circle_is_passed_over_once(tmp_path, target):
    put(tmp_path / "src", "HSC/0.png")
    (tmp_path / "src/HSC/again").symlink_to(
        target if target == "/" else tmp_path / "src" / target, target_is_directory=True
    )
    walked = walk(tmp_path / "src")
    assert images(walked) == ["HSC/0.png"]
    assert reasons(walked.ignored) == {"HSC/again": "a link to a folder that it lies in"}


def test_two_folders_that_lead_to_each_other_end(tmp_path):
    put(tmp_path, "src/a/1.png", "far/b/2.png")
    (tmp_path / "src/x").symlink_to(tmp_path / "far")
    (tmp_path / "far/y").symlink_to(tmp_path / "src")
    walked = walk(tmp_path / "src")
    assert images(walked) == ["a/1.png", "x/b/2.png"]
    assert list(reasons(walked.ignored)) == ["x/y"]


@pytest.mark.parametrize("target", ["gone.png", "loop.png"])
def test_a_link_that_dangles_or_goes_round_is_skipped(tmp_path, target):
    put(tmp_path, "a.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / target)
    (reason,) = reasons(walk(tmp_path).skipped).values()
    assert "cannot be reached" in reason


def test_what_a_link_reaches_a_second_time_counts_once_as_itself(tmp_path):
    put(tmp_path, "b/1.png", "b/2.png")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "c.png").symlink_to(tmp_path / "b/1.png")
    walked = walk(tmp_path)
    assert images(walked) == ["b/1.png", "b/2.png"]
    assert walked.aliases == (("a", "b"), ("c.png", "b/1.png"))
    assert "leads to b, which counts already" in reasons(walked.ignored)["a"]


def test_a_folder_that_cannot_be_listed_is_skipped_and_the_root_an_error(tmp_path, monkeypatch):
    put(tmp_path, "a.png", "shut/b.png")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("stemcls.imaging.listing.walk.os.scandir", refuse)
    walked = walk(tmp_path)
    assert images(walked) == ["a.png"]
    assert "cannot be listed: Permission denied" in reasons(walked.skipped)["shut"]
    with pytest.raises(InputError, match="cannot be listed"):
        walk(tmp_path / "shut")


@pytest.mark.timeout(20)
def test_a_pipe_named_like_an_image_is_not_opened(tmp_path):
    put(tmp_path, "a.png")
    os.mkfifo(tmp_path / "b.png")
    assert reasons(walk(tmp_path).skipped) == {"b.png": "a pipe, socket or device, not a file"}


def test_own_runs_and_stores_are_no_images(tmp_path):
    put(tmp_path, "a.png", "saved_models/run/figures/roc.png")
    put(tmp_path, "saved_models/run/events.jsonl", data=b"{}")
    put(tmp_path, "other.h5", data=b"no store")
    with h5py.File(tmp_path / "o.h5", "w") as file:
        file.attrs["format"] = "stemcls-crops"
    walked = walk(tmp_path)
    assert images(walked) == ["a.png"]
    assert [path.name for path in walked.stores] == ["o.h5"]
    assert reasons(walked.ignored) == {"saved_models/run": "a run of stemcls"}
    assert list(reasons(walked.skipped)) == ["other.h5"]


def test_planes_in_a_folder_beside_their_file_belong_to_it(tmp_path):
    put(tmp_path, "a.oif", "a.oif.files/s_C001.tif", "x.vsi", "_x_/stack1/frame_t_0.tif")
    walked = walk(tmp_path)
    assert images(walked) == ["a.oif"]
    assert set(reasons(walked.ignored)) == {"a.oif.files", "_x_"}
    assert set(reasons(walked.skipped)) == {"x.vsi"}


def test_a_zarr_folder_is_one_image_and_not_looked_into(tmp_path):
    put(tmp_path, "a.zarr/.zattrs", "a.zarr/0/0.png", "b.n5/c.png", data=b"{}")
    walked = walk(tmp_path)
    assert images(walked) == ["a.zarr"]
    assert list(reasons(walked.skipped)) == ["b.n5"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [("old*", ["HSC/a.png"]), ("HSC/old", ["HSC/a.png", "old.png"]), ("*.png", []),
     ("HSC/", ["old.png"]), ("./HSC/old/*", ["HSC/a.png", "old.png"])],
)  # fmt: skip
def test_a_pattern_leaves_out_names_or_paths(tmp_path, pattern, left):
    put(tmp_path, "HSC/a.png", "HSC/old/b.png", "old.png")
    walked = walk(tmp_path, [pattern])
    assert images(walked) == left
    assert walked.excluded_by == {pattern}
    assert {entry.reason for entry in walked.ignored} == {f"--exclude {pattern}"}


def test_a_pattern_and_a_name_match_in_any_unicode_form(tmp_path):
    put(tmp_path, "Mu\u0308ller/a.png", "b.png")
    assert images(walk(tmp_path, ["M\u00fcller"])) == ["b.png"]


def test_names_that_are_no_utf8_are_shown_with_escapes(tmp_path):
    (tmp_path / os.fsdecode(b"champ_\xe9t\xe9.xyz")).write_bytes(b"\0\1")
    assert list(reasons(walk(tmp_path).skipped)) == [r"champ_\xe9t\xe9.xyz"]


def test_the_documentation_lists_all_litter():
    text = (Path(__file__).parents[2] / "docs/folders.md").read_text(encoding="utf-8")
    named = {name.casefold() for name in re.findall(r"`([^`]+)`", text)}
    named = {word for name in named for word in (name, *name.split())}
    for table in (litter.LITTER_FOLDERS, litter.LITTER_FILES):
        for name in table:
            assert name.strip() in named, name
    for suffixes in (*litter.DOCUMENTS.values(), *litter.FORMATS.values()):
        assert set(suffixes.split()) <= named
