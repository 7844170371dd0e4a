"""The folders that went wrong: each is read right, or refused with what to type."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from stemcls.cli import app
from stemcls.errors import InputError, SkippedError

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases"
runner = CliRunner()


@pytest.fixture
def case(tmp_path, monkeypatch):
    """Make the inputs of a case in a copy of its folder; return the folder."""

    def make(name: str) -> Path:
        if not (CASES / name / "make.py").is_file():
            pytest.skip(f"../shared/cases/{name} is not there")
        shutil.copytree(CASES / name, tmp_path / name)
        monkeypatch.chdir(tmp_path)
        runpy.run_path(str(tmp_path / name / "make.py"))
        return tmp_path / name

    return make


def build(folder: Path, *options: str) -> dict:
    arguments = ["build", str(folder), "--out", str(folder.parent / "o.h5"), "--workers", "1"]
    result = runner.invoke(app, [*arguments, "--json", *options])
    if result.exception:
        raise result.exception
    return json.loads(result.stdout)


def detect(*arguments: object) -> dict:
    result = runner.invoke(app, ["detect", *map(str, arguments), "--json"])
    if result.exception:
        raise result.exception
    return json.loads(result.stdout)


def paths(entries: list[dict]) -> set[str]:
    return {entry["path"] for entry in entries}


def test_thumbnails_and_recycle_bins_are_passed_over_by_name(case):
    document = build(case("nas-litter") / "src", "--kind", "crops")
    assert document["classes"] == {"HSC": 3, "MPP": 3}
    ignored = {"#recycle", "$RECYCLE.BIN", "lost+found", "HSC/@eaDir"}
    assert paths(document["ignored"]) == ignored


def test_a_linked_folder_is_a_class(case):
    document = build(case("symlink-folder") / "src", "--kind", "crops", "--strict")
    assert document["classes"] == {"HSC": 4, "MPP": 4}


def test_other_formats_are_named_by_detect_too(case):
    folder = case("formats-passed-over") / "src"
    document = detect(folder)
    named = {Path(path).name for path in paths(document["skipped"])}
    assert named == {path.name for path in (folder / "HSC").iterdir() if path.suffix != ".png"}
    with pytest.raises(SkippedError):
        detect(folder, "--strict")


def test_names_that_are_no_utf8_are_escaped_in_every_table(case):
    folder = case("non-utf8-name") / "src"
    document = detect(folder, "--diameter-px", "18", "--out", folder / "d.csv")
    assert {entry["name"] for entry in document["fields"]} == {r"champ_\xe9t\xe9.tif", "ok.tif"}
    assert r"champ_\xe9t\xe9.tif" in (folder / "d.csv").read_text(encoding="utf-8")


def test_near_equal_class_names_are_asked(case):
    folder = case("class-name-twins") / "src"
    with pytest.raises(InputError, match=r"'HSC' \(4\) = 'hsc' \(2\).*--same-names merge"):
        build(folder, "--kind", "crops")
    document = build(folder, "--kind", "crops", "--same-names", "merge")
    assert document["classes"] == {"HSC": 6, "Müller": 4}
    assert "spelling-of-class" in {warning["kind"] for warning in document["warnings"]}


def test_folders_of_a_split_are_asked_and_the_split_is_kept(case):
    folder = case("split-folders") / "src"
    with pytest.raises(InputError, match="--split-folders merge"):
        build(folder, "--kind", "crops")
    document = build(folder, "--kind", "crops", "--split-folders", "merge")
    assert document["classes"] == {"HSC": 9, "MPP": 9}


@pytest.mark.parametrize("compression", ["src", "srclzw"])
def test_a_set_of_files_gives_each_position_once(case, compression):
    folder = case("ome-multifile-scene") / compression
    options = ("--kind", "fields", "--crop-px", "32")
    document = build(folder, *options)
    assert document["fields"] == 2
    assert document["duplicates"] == 0
    with h5py.File(document["store"]) as file:
        assert list(file["fields/path"].asstr()) == [
            "A/set_Pos0.ome.tif[Pos0]", "A/set_Pos0.ome.tif[Pos1]"
        ]
        assert np.allclose(file["intensity"], [[22.5, 62.5], [122.5, 162.5]], atol=0.2)
    Path(document["store"]).unlink()
    document = build(folder, *options, "--scene", "Pos1")
    with h5py.File(document["store"]) as file:
        assert np.allclose(file["intensity"], [[122.5, 162.5]], atol=0.2)


def crop(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(20, 200, (24, 24), np.uint8)
    cv2.imwrite(str(path), pixels)


def test_the_folder_of_a_new_user_comes_out_right_with_what_it_asks_for(tmp_path):
    folder = tmp_path / "Bilder für stemcls"
    for number, name in enumerate(
        f"{label}/Spender {donor}/Zelle ä {n}.TIF"
        for label in ("Größe 1", "Größe 2") for donor in "12" for n in range(3)
    ):
        crop(folder / name, number)
    crop(folder / "unsorted/x.png", 99)
    (folder / "Größe 1/Thumbs.db").write_bytes(b"\xd0\xcf")
    (folder / "notes.txt").write_text("from the microscope")
    with pytest.raises(InputError, match="--unlabelled unsorted"):
        build(folder, "--kind", "crops")
    answers = ("--unlabelled", "unsorted", "--group", "folder", "--group-what", "donor")
    document = build(folder, "--kind", "crops", *answers)
    assert document["classes"] == {"Größe 1": 6, "Größe 2": 6}
    assert document["unlabelled"] == 1
    assert document["groups"]["what"] == "donor"
    assert paths(document["ignored"]) == {"Größe 1/Thumbs.db", "notes.txt"}
    assert not document["skipped"]


def test_channels_of_several_files_become_channels_of_the_store(tmp_path):
    for number in range(4):
        for channel in (1, 2):
            name = f"{'ab'[number % 2]}/{number}_Ch{channel}.png"
            crop(tmp_path / "src" / name, number + channel)
    with pytest.raises(InputError, match="--one-file-per-channel auto puts the files"):
        build(tmp_path / "src", "--kind", "crops")
    document = build(tmp_path / "src", "--kind", "crops", "--one-file-per-channel", "auto")
    assert (document["crops"], document["slices"]) == (4, ["Ch1", "Ch2"])
    with h5py.File(document["store"]) as file:
        assert file["fields/path"].asstr()[0] == "a/0_Ch1.png[Ch1+Ch2]"
