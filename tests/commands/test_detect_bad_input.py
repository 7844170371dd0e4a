"""`stemcls detect` on bad files, bad options and empty fields: said, and never passed over."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from stemcls.errors import InputError, SkippedError

from .detect_files import detect, write_field, write_tiff


def test_a_truth_file_without_its_columns_or_fields_is_refused(tmp_path):
    path = write_field(tmp_path / "a.png")
    (tmp_path / "cells.csv").write_text("field,x,y_px\na.png,1,2\n")
    with pytest.raises(InputError, match="no column 'x_px'"):
        detect(path, "--truth", tmp_path / "cells.csv")
    (tmp_path / "cells.csv").write_text("field,x_px,y_px\nother.png,1,2\n")
    with pytest.raises(InputError, match="knows none of the fields"):
        detect(path, "--truth", tmp_path / "cells.csv")


def test_an_unreadable_file_is_listed_and_strict_says_so(tmp_path):
    write_field(tmp_path / "a.png")
    (tmp_path / "b.png").touch()
    document = detect(tmp_path)
    assert len(document["fields"]) == 1
    assert document["skipped"][0]["path"].endswith("b.png")
    assert "empty" in document["skipped"][0]["reason"]
    with pytest.raises(SkippedError, match="1 of 2 files were skipped"):
        detect(tmp_path, "--strict")


def test_nothing_readable_is_an_error(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    with pytest.raises(InputError, match="none of 2 files could be read"):
        detect(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        detect(tmp_path / "c.png")


BAD_FILES = {
    "a.foo": (lambda path: path.write_bytes(b"pixels"), r"a.foo has no image suffix .*export it"),
    "lies.png": (
        lambda path: path.write_bytes(b"hello, this is text"),
        r"lies.png is named .png but its content is no PNG: export it again",
    ),
    "cut.tif": (
        lambda path: path.write_bytes(tiff_bytes(np.ones((2, 300, 300), np.uint16))[:250_000]),
        r"cut.tif is damaged or truncated, .*; export it again",
    ),
    "nan.tif": (
        lambda path: tifffile.imwrite(path, np.full((50, 50), np.nan, np.float32)),
        r"nan.tif holds 2500 NaN or infinite pixels; replace them",
    ),
    "empty.tif": (lambda path: path.touch(), r"empty.tif is empty \(0 bytes\): export it again"),
    "axes.tif": (
        lambda path: tifffile.imwrite(
            path, np.zeros((2, 3, 40, 40), np.uint8), ome=True, metadata={"axes": "TZYX"}
        ),
        r"axes.tif holds 2 time points: --time all makes each a field",
    ),
}  # fmt: skip


def tiff_bytes(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels)
    return file.getvalue()


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_alone_is_an_error_and_among_good_ones_is_listed(name, tmp_path, invoke):
    write, says = BAD_FILES[name]
    bad = tmp_path / name
    write(bad)
    alone = invoke("detect", bad)
    assert alone.returncode == 2
    assert re.search(says, alone.stderr)
    document = detect(bad, write_field(tmp_path / "good.png"))
    assert [Path(field["path"]).name for field in document["fields"]] == ["good.png"]
    (skipped,) = document["skipped"]
    assert skipped["path"] == str(bad)
    assert re.search(says, skipped["reason"])


def test_a_missing_reader_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.nd2").write_bytes(b"\xda\xce\xbe\n" + bytes(100))
    monkeypatch.setitem(sys.modules, "nd2", None)
    with pytest.raises(InputError, match=r"a.nd2: the package nd2 .*pip install 'stemcls\["):
        detect(tmp_path / "a.nd2")


def test_a_blank_field_holds_no_cells_and_is_warned_of(tmp_path, invoke):
    blank = write_tiff(tmp_path / "blank.tif", np.full((80, 80), 7, np.uint8))
    document = detect(blank)
    assert document["fields"][0]["cells"] == []
    assert document["fields"][0]["radius_px"] is None
    assert document["warnings"][0]["path"] == str(blank)
    assert "blank: all pixels" in document["warnings"][0]["warning"]
    said = invoke("detect", blank)
    assert said.returncode == 0
    assert "nothing looks like a cell; --overlay shows the field" in said.stderr
    assert "estimated" not in said.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--grid", "treshold=1"], "'treshold' is not a setting; did you mean 'threshold'"),
        (["--grid", "polarity=brite"], "'brite' is not a choice; did you mean 'bright'"),
        (["--grid", "threshold=1", "--out", "c.csv"], "leave out --overlay, --out and --export"),
        (["--sheet", "s.png", "--overlay", "o"], "leave out --overlay, --out and --export"),
        (["--grid", "threshold=1", "--sheet", "s.jpg"], "expected a .png file; name it s.png"),
        (["--out", "cells.txt"], "expected a .csv file; name it cells.csv"),
        (["--out", "gone/cells.csv"], "there is no folder gone to write cells.csv to"),
        (["--overlay", "a.jpg"], "expected a .png file; name it a.png"),
        (["--method", "lgo"], "no detector 'lgo'; did you mean 'log'"),
    ],
)
def test_options_that_cannot_be_used_exit_with_2(arguments, says, tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    result = invoke("detect", write_field(tmp_path / "a.png"), *arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
