"""Folders, manifests and tables of centres say what is built from; mistakes name their line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from stemcls.errors import InputError
from stemcls.store.discovery import list_sources


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_first_folder_level_names_the_class(tmp_path, write_image):
    for name in ("b.png", "young/a.png", "young/day 1/c.png", "aged/d.png"):
        write_image(tmp_path / name)
    (tmp_path / "young" / "notes.txt").write_text("not an image")
    listed = list_sources(tmp_path, None, None, None).sources
    found = {source.name: source.label for source in listed}
    assert found == {
        "b.png": None, "young/a.png": "young", "young/day 1/c.png": "young", "aged/d.png": "aged",
    }


def test_formats_without_a_reader_are_listed_and_not_passed_over(tmp_path, write_image):
    write_image(tmp_path / "a.png")
    (tmp_path / "b.OIR").write_bytes(b"OLYMPUSRAWFORMAT")
    (tmp_path / "c.vsi").write_bytes(b"pixels")
    (tmp_path / ".hidden.png").write_bytes(b"")
    listing = list_sources(tmp_path, None, None, None)
    assert [source.name for source in listing.sources] == ["a.png", "b.OIR"]
    assert [entry.path for entry in listing.skipped] == ["c.vsi"]
    assert [entry.path for entry in listing.ignored] == [".hidden.png"]


def test_a_single_image_is_an_unlabelled_source(tmp_path, write_image):
    path = write_image(tmp_path / "field.png")
    (source,) = list_sources(path, None, None, None).sources
    assert (source.name, source.label) == ("field.png", None)


def test_an_empty_or_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no images; formats that can be read"):
        list_sources(tmp_path, None, None, None)
    with pytest.raises(InputError, match="does not exist: expected a folder of images"):
        list_sources(tmp_path / "none", None, None, None)


def test_a_manifest_takes_paths_from_its_folder_from_src_or_absolute(tmp_path, write_image):
    here, below, far = (tmp_path / name for name in ("m/a.png", "src/b.png", "far/c.png"))
    for path in (here, below, far):
        write_image(path)
    manifest = table(
        tmp_path / "m" / "list.csv", "path,label,group", "a.png,LT/HSC,d1", "b.png,Größe 2,",
        f"{far},,d2",
    )
    sources = list_sources(tmp_path / "src", manifest, None, None).sources
    assert [source.path for source in sources] == [here, below, far]
    assert [source.label for source in sources] == ["LT/HSC", "Größe 2", None]
    assert [source.group for source in sources] == ["d1", None, "d2"]


def test_semicolons_and_a_byte_order_mark_are_understood(tmp_path, write_image):
    write_image(tmp_path / "a.png")
    manifest = tmp_path / "list.csv"
    manifest.write_text("path;label\na.png;x\n", encoding="utf-8-sig")
    assert list_sources(tmp_path, manifest, None, None).sources[0].label == "x"


def test_a_listed_file_that_is_missing_is_kept_as_a_problem(tmp_path):
    manifest = table(tmp_path / "list.csv", "path,label", "gone.png,x")
    (source,) = list_sources(tmp_path, manifest, None, None).sources
    assert source.problem == "list.csv line 2 names it, but there is no such file"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("file,label", "a.png,x"), r"no column 'path' .* expected path, label"),
        (("path,labels", "a.png,x"), r"no column 'label' .*did you mean 'labels'"),
        (("path,label", "a.png,x", "a.png,y"), r"line 3: .*a\.png is also on line 2, "
         r"there with label 'x', here with 'y'"),
        (("path,label", ",x"), r"line 2: the path is empty"),
        (("path,label",), r"list\.csv names no images"),
    ],
)
def test_mistakes_in_a_manifest_are_located(tmp_path, write_image, lines, message):
    write_image(tmp_path / "a.png")
    manifest = table(tmp_path / "list.csv", *lines)
    with pytest.raises(InputError, match=message):
        list_sources(tmp_path, manifest, None, None)


def test_a_table_in_another_encoding_is_refused(tmp_path):
    manifest = tmp_path / "list.csv"
    manifest.write_bytes(b"path,label\na\x81.png,x\n")
    with pytest.raises(InputError, match="neither UTF-8 nor Windows-1252"):
        list_sources(tmp_path, manifest, None, None)
    with pytest.raises(InputError, match=r"none\.csv does not exist: expected a file"):
        list_sources(tmp_path, tmp_path / "none.csv", None, None)


def test_a_pattern_takes_the_group_from_the_path(tmp_path, write_image):
    for name in ("x/donor1/a.png", "x/donor2/b.png", "x/other/c.png"):
        write_image(tmp_path / name)
    sources = list_sources(tmp_path, None, None, r"(donor\d)").sources
    assert [source.group for source in sources] == ["donor1", "donor2", None]
    assert sources[2].problem == "--group '(donor\\\\d)' does not match its path"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("donor", "has no group in parentheses"), ("(donor", "is not a regular expression: missing")],
)
def test_unusable_patterns_are_refused(tmp_path, write_image, pattern, message):
    write_image(tmp_path / "a.png")
    with pytest.raises(InputError, match=message):
        list_sources(tmp_path, None, None, pattern)


def test_known_cells_are_found_by_path_or_by_a_unique_bare_name(tmp_path, write_image):
    for name in ("x/a.png", "y/b.png", "y/c.png"):
        write_image(tmp_path / name)
    cells = table(
        tmp_path / "cells.csv", "field,x_px,y_px,label,radius_px,group",
        "x/a.png,1,2.5,stem,4,d1", "b.png,3,4,,,", "gone.png,5,6,,,",
    )
    a, b, c, gone = list_sources(tmp_path, None, cells, None).sources
    (cell,) = a.cells
    assert (cell.y_px, cell.x_px, cell.label, cell.radius_px, cell.group) == (
        2.5, 1.0, "stem", 4.0, "d1",
    )
    assert math.isnan(b.cells[0].radius_px)
    assert a.label is None, "the labels of the table replace the folder's"
    assert c.problem == "cells.csv gives no cells of it"
    assert gone.problem == "cells.csv gives 1 cells of it, but there is no such image"


def test_without_a_label_column_cells_inherit_the_folder(tmp_path, write_image):
    write_image(tmp_path / "x" / "a.png")
    cells = table(tmp_path / "cells.csv", "field,x_px,y_px", "a.png,1,2")
    (source,) = list_sources(tmp_path, None, cells, None).sources
    assert source.label == "x"


def test_an_ambiguous_bare_name_is_refused(tmp_path, write_image):
    write_image(tmp_path / "x" / "a.png")
    write_image(tmp_path / "y" / "a.png")
    cells = table(tmp_path / "cells.csv", "field,x_px,y_px", "a.png,1,2")
    with pytest.raises(InputError, match=r"line 2: a\.png could be any of x/a\.png, y/a\.png"):
        list_sources(tmp_path, None, cells, None)


@pytest.mark.parametrize("value", ["", "left", "nan"])
def test_a_centre_that_is_no_number_is_located(tmp_path, write_image, value):
    write_image(tmp_path / "a.png")
    cells = table(tmp_path / "cells.csv", "field,x_px,y_px", "a.png,1,2", f"a.png,{value},2")
    with pytest.raises(InputError, match=rf"line 3: x_px is '{value}', expected a number"):
        list_sources(tmp_path, None, cells, None)
