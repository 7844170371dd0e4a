"""Manifests and tables of cells: columns, links, spellings, scenes, and places given twice."""

import json
import os
from pathlib import Path

import pytest

from stemcls.audit.composition import check_names
from stemcls.config.imaging import BuildConfig
from stemcls.errors import InputError
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore
from stemcls.store.describe import describe
from stemcls.store.discovery import list_sources


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def images(tmp_path, write_image):
    for name in ("A/0.png", "A/1.png", "B/0.png"):
        write_image(tmp_path / "src" / name)
    return tmp_path / "src"


def listed(folder: Path, *lines: str, label=None, group=None):
    manifest = table(folder.parent / "list.csv", *lines)
    return list_sources(folder, manifest, None, group, label)


def test_scene_time_and_plane_are_taken_and_other_columns_are_metadata(images):
    found = listed(
        images, "path,label,group,scene,time,z,plate,Well ID", "A/0.png,x,d1,2,0,max,P 1,B03",
        "A/0.png,y,d1,3,0,,P 1,NA",
    )
    first, second = found.sources
    assert (first.scene, first.time, first.z) == ("2", "0", "max")
    assert first.metadata == {"plate": "P 1", "Well ID": "B03"}
    assert second.metadata == {"plate": "P 1"}
    assert (first.label, second.label) == ("x", "y"), "scenes of one file may differ in class"


def test_any_column_names_the_classes_or_the_groups(images):
    lines = ("path,label,donor,Cell Type", "A/0.png,x,1.0,HSC", "A/1.png,x,2.0,MPP")
    found = listed(images, *lines, label="cell-type", group="Donor")
    assert [(s.label, s.group) for s in found.sources] == [("HSC", "1"), ("MPP", "2")]
    assert found.sources[0].metadata == {"donor": "1", "Cell Type": "HSC", "label": "x"}
    without = listed(images, "path,kind", "A/0.png,x", label="kind")
    assert without.sources[0].label == "x"


def test_parentheses_make_it_a_pattern_on_the_path(images):
    lines = ("path,label,donor", "A/0.png,x,7", "B/0.png,y,7")
    assert [s.group for s in listed(images, *lines, group="^([AB])").sources] == ["A", "B"]
    with pytest.raises(InputError, match=r"--group 'doner' is no column .*did you mean 'donor'"):
        listed(images, *lines, group="doner")
    with pytest.raises(InputError, match="--label 'kind' is no column"):
        listed(images, *lines, label="kind")
    with pytest.raises(InputError, match="give --manifest or --cells too"):
        list_sources(images, None, None, None, "kind")


@pytest.mark.parametrize("written", ["A\\0.png", "./A/0.png", " A/0.png ", "A/./0.png"])
def test_paths_may_be_written_as_windows_writes_them(images, written):
    (source,) = listed(images, "path,label", f"{written},x").sources
    assert source.path.is_file()
    assert source.name == "A/0.png"


def test_a_name_with_bytes_that_are_no_utf8_is_found_as_stemcls_writes_it(images):
    os.rename(images / "A/0.png", os.fsencode(images) + b"/A/\xe9t\xe9.png")  # noqa: PTH104
    (source,) = listed(images, "path,label", r"A/\xe9t\xe9.png,x").sources
    assert source.problem is None


@pytest.mark.parametrize("how", ["spelling", "link", "hard link"])
def test_one_file_is_listed_once_under_any_name(images, how):
    other = "A/../A/0.png"
    if how == "link":
        (images / "C.png").symlink_to(images / "A/0.png")
        other = "C.png"
    if how == "hard link":
        os.link(images / "A/0.png", images / "D.png")
        other = "D.png"
    with pytest.raises(InputError, match=r"line 3: .* is also on line 2, there with label 'x'"):
        listed(images, "path,label", "A/0.png,x", f"{other},y")
    with pytest.raises(InputError, match=r"line 3: .* is also on line 2; one image may be listed"):
        listed(images, "path,label", "A/0.png,x", f"{other},x")


def test_one_scene_is_listed_once_and_scenes_are_named_on_all_lines(images):
    with pytest.raises(InputError, match=r"is also on line 2 \(scene 1, time not given\)"):
        listed(images, "path,label,scene,z", "A/0.png,x,1,0", "A/0.png,x,1,1")
    with pytest.raises(InputError, match="only one of the two names a scene"):
        listed(images, "path,label,scene", "A/0.png,x,1", "A/0.png,x,")


def test_two_different_files_of_one_name_are_refused(images, write_image):
    write_image(images.parent / "A/0.png", seed=9)
    with pytest.raises(InputError, match=r"A/0\.png is both .* and .*, which differ"):
        listed(images, "path,label", "A/0.png,x")
    (images.parent / "A/0.png").write_bytes((images / "A/0.png").read_bytes())
    assert listed(images, "path,label", "A/0.png,x").sources[0].problem is None


def cells(folder: Path, *lines: str, **columns):
    return list_sources(
        folder, None, table(folder.parent / "cells.csv", *lines),
        columns.get("group"), columns.get("label"),
    )


def test_one_place_with_two_labels_is_refused_and_with_one_is_used_once(images):
    head = "field,x_px,y_px,label"
    with pytest.raises(InputError, match=r"lines 2 and 3: A/0\.png has one place with two labels"):
        cells(images, head, "A/0.png,5,5,x", "A/0.png,5.6,5.2,y")
    found = cells(
        images, head, "A/0.png,5,5,x", "A/0.png,5.6,5.2,x", "A/0.png,9,5,y", "A/1.png,5,5,y"
    )
    assert [len(source.cells) for source in found.sources] == [2, 1, 0]
    (notice,) = (one for one in found.notices if one.kind == "same-place")
    assert (notice.kind, "1 places twice" in notice.message) == ("same-place", True)


def test_columns_of_a_table_of_cells_name_classes_and_groups(images):
    found = cells(
        images, "field,x_px,y_px,phenotype,mouse", "A\\0.png,5,5,HSC,m1", "A/0.png,8,9,NA,m2",
        label="phenotype", group="mouse",
    )
    assert [(c.label, c.group) for c in found.sources[0].cells] == [("HSC", "m1"), (None, "m2")]


def test_cells_of_a_file_with_scenes_say_which(images):
    manifest = table(images.parent / "m.csv", "path,label,scene", "A/0.png,x,0", "A/0.png,y,1")
    given = table(images.parent / "c.csv", "field,x_px,y_px,scene", "A/0.png,5,5,1")
    first, second = list_sources(images, manifest, given, None).sources
    assert (len(first.cells), len(second.cells)) == (0, 1)
    table(given, "field,x_px,y_px", "A/0.png,5,5")
    with pytest.raises(InputError, match="has 2 scenes or time points; say which"):
        list_sources(images, manifest, given, None)


@pytest.fixture
def built(images):
    def build(*lines: str, **settings):
        out = images.parent / "o.h5"
        out.unlink(missing_ok=True)
        config = BuildConfig(kind="crops", **settings)
        return build_store(images, out, config, table(images.parent / "list.csv", *lines))

    return build


def test_metadata_are_kept_in_the_store_and_shown(built):
    document = built("path,label,plate", "A/0.png,x,P1", "A/1.png,x,P2", "B/0.png,y,P2")
    store = CropStore.open(document["store"])
    assert [json.loads(text) for text in store.fields.metadata] == [
        {"plate": "P1"}, {"plate": "P2"}, {"plate": "P2"},
    ]
    assert describe(store.path)["metadata"] == {"plate": {"P1": 1, "P2": 2}}
    plain = built("path,label", "A/0.png,x", "B/0.png,y")
    assert CropStore.open(plain["store"]).fields.metadata is None


class _Subject:
    def __init__(self, store: CropStore) -> None:
        self.store = store


def test_near_equal_names_are_asked_about_merged_or_kept_and_audited(built):
    lines = ("path,label,group", "A/0.png,HSC,Mouse 1", "A/1.png,hsc,mouse-01", "B/0.png,HSC,m2")
    with pytest.raises(InputError, match="near-equal names: classes 'HSC'"):
        built(*lines)
    merged = built(*lines, same_names="merge")
    assert merged["classes"] == {"HSC": 3}
    assert any("are taken as one" in str(warning) for warning in merged["warnings"])
    assert check_names(_Subject(CropStore.open(merged["store"]))).status == "pass"
    kept = built(*lines, same_names="keep")
    assert kept["classes"] == {"HSC": 2, "hsc": 1}
    store = CropStore.open(kept["store"])
    found = check_names(_Subject(store))
    assert (found.status, found.value) == ("warn", 2)
    store.config["same_names"] = "ask"  # as a store of an older version
    assert check_names(_Subject(store)).status == "fail"
