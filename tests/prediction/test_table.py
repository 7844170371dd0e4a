"""The table, its summary and the overlays of `predict`: whole or not there, and easy to open."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from stemcls.config.imaging import BuildConfig
from stemcls.errors import InputError
from stemcls.prediction import predict as module
from stemcls.prediction.inputs import expand, load_sample
from stemcls.prediction.predict import Predicted, predict_table
from stemcls.prediction.sample import Sample, well_of
from stemcls.prediction.tableformat import TableFormat
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore

from .conftest import CENTRES, card_of, discs, store_of, write


@pytest.fixture
def card(tmp_path):
    for number in range(4):
        write(tmp_path / "src" / "ab"[number % 2] / f"{number}.ome.tif", discs(number), ("DIC",))
    return card_of(store_of(tmp_path / "src", tmp_path / "s.h5"))


@pytest.fixture(autouse=True)
def answers(monkeypatch):
    """Answer as a model would that calls every third cell b."""
    def look(_model, read, rows, **_options):
        assert read(rows).shape[0] == len(rows)
        second = np.where(np.arange(len(rows)) % 3 == 2, 0.9, 0.2).astype(np.float32)
        return np.stack([1 - second, second], axis=1)

    monkeypatch.setattr(module, "predict", look)


def rows_of(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def fields(folder: Path, n: int = 4) -> list[Path]:
    return [write(folder / f"donor-{k // 2}" / f"{k}.ome.tif", discs(k), ("DIC",))
            for k in range(n)]


def test_the_summary_counts_fields_groups_and_classes_and_bounds_shares_over_groups(
    tmp_path, card
):
    paths = fields(tmp_path / "new", 6)
    done = predict_table(
        None, card, paths, tmp_path / "p.csv", group=r"(donor-\d)", overlays=tmp_path / "o",
    )
    rows = rows_of(tmp_path / "p-summary.csv")
    assert [row["level"] for row in rows] == ["field"] * 12 + ["group"] * 6 + ["class"] * 2
    of_b = [row for row in rows if row["class"] == "b"]
    assert [row["n"] for row in of_b if row["level"] == "field"] == ["3"] * 6
    assert {row["name"] for row in rows if row["level"] == "group"} == {
        "donor-0", "donor-1", "donor-2"
    }
    for row in rows:
        assert float(row["share"]) == pytest.approx(int(row["n"]) / int(row["cells"]), abs=1e-6)
        assert float(row["mean_score"]) == pytest.approx(0.9 if row["class"] == "b" else 0.8)
    assert rows[-1]["interval"] == "no interval: the 3 groups do not differ"
    assert [row["n"] for row in done.summary] == [int(r["n"]) for r in rows]
    assert len(done.overlays) == len(list((tmp_path / "o").iterdir())) == 6
    assert all(Path(path).is_file() for path in done.overlays)


def test_shares_have_intervals_only_over_three_groups_that_differ(tmp_path, card, monkeypatch):
    def look(_model, read, rows, **_options):
        dark = read(rows).mean(axis=(1, 2, 3)) < 75
        return np.stack([~dark, dark], axis=1).astype(np.float32)

    monkeypatch.setattr(module, "predict", look)
    paths = [
        write(tmp_path / f"{k}.ome.tif", discs(k, 70 if k % 2 else 10), ("DIC",)) for k in range(5)
    ]
    done = predict_table(None, card, paths, tmp_path / "p.csv")
    whole = [row for row in done.summary if row["level"] == "class"]
    for row in whole:
        assert row["share_low"] < row["share"] < row["share_high"]
        assert row["interval"] == "95 % over 5 groups"
    done = predict_table(None, card, paths[:2], tmp_path / "two.csv")
    row = done.summary[-1]
    assert row["share_low"] is None
    assert "3 or more groups" in row["interval"]
    assert {row["level"] for row in done.summary} == {"field", "class"}


def test_wells_are_taken_from_scenes_and_from_the_metadata_of_stores(tmp_path, card):
    assert [well_of(name) for name in ("B/03/0", "B03", "A1/2", "Pos1", "", "Z99")] == [
        "B03", "B03", "A01", "", "", ""
    ]
    paths = fields(tmp_path / "new", 2)
    table = tmp_path / "m.csv"
    table.write_text("path,label,group,Well\n" + "".join(
        f"{path.relative_to(tmp_path / 'new')},a,d{n},C0{n}\n" for n, path in enumerate(paths)
    ))
    config = BuildConfig(kind="cells", crop_px=24)
    build_store(tmp_path / "new", tmp_path / "n.h5", config, manifest=table)
    done = predict_table(None, card, [tmp_path / "n.h5"], tmp_path / "p.csv")
    assert {row["name"] for row in done.summary if row["level"] == "well"} == {"C00", "C01"}
    assert {row["name"] for row in done.summary if row["level"] == "group"} == {"d0", "d1"}


@pytest.mark.parametrize("group", ["(", "donor", "donor-[0-9]"])
def test_a_pattern_that_names_no_group_is_refused(tmp_path, card, group):
    with pytest.raises(InputError, match=r"--group .*(regular expression|parentheses)"):
        predict_table(None, card, fields(tmp_path / "new", 1), tmp_path / "p.csv", group=group)
    assert not (tmp_path / "p.csv").exists()


def test_semicolons_decimal_commas_and_a_byte_order_mark(tmp_path, card):
    out = tmp_path / "p.csv"
    form = TableFormat.of("", "", ",", True, out)
    predict_table(None, card, fields(tmp_path / "new", 1), out, form=form)
    assert out.read_bytes().startswith(b"\xef\xbb\xbfpath;scene;y_px;")
    rows = rows_of(out, ";")
    assert {row["p_b"] for row in rows} == {"0,900000", "0,200000"}
    assert rows[0]["path"].endswith("0.ome.tif")  # points that are no decimals stay
    assert "0,666667" in {row["share"] for row in rows_of(tmp_path / "p-summary.csv", ";")}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("ods", "", ".", False), "--table 'ods' is not a choice"),
        (("", "|", ".", False), r"--separator '\|' is not a choice"),
        (("", ",", ",", False), "both ','"),
        (("", "", "'", False), "--decimal"),
        (("xlsx", ";", ".", False), "are for CSV"),
        (("xlsx", "", ".", True), "are for CSV"),
    ],
)
def test_formats_that_cannot_be_are_refused(options, told):
    with pytest.raises(InputError, match=told):
        TableFormat.of(*options, Path("p.csv"))


def test_a_workbook_holds_numbers_and_defused_text_on_two_sheets(tmp_path, card, monkeypatch):
    openpyxl = pytest.importorskip("openpyxl")
    form = TableFormat.of("xlsx", "", ".", False, tmp_path / "p.csv")
    out = form.named(tmp_path / "p.csv")
    assert out.name == "p.xlsx"
    odd = write(tmp_path / "new" / "=1+1.ome.tif", discs(1), ("DIC",))
    monkeypatch.chdir(odd.parent)
    predict_table(None, card, [Path(odd.name)], out, form=form)
    book = openpyxl.load_workbook(out)
    assert book.sheetnames == ["cells", "summary"]
    header, first, *_ = book["cells"].iter_rows()
    assert [cell.value for cell in header][:4] == ["path", "scene", "y_px", "x_px"]
    assert header[0].font.bold
    assert book["cells"].freeze_panes == "A2"
    assert (first[0].value, first[0].data_type) == ("'=1+1.ome.tif", "s")
    assert isinstance(first[2].value, float)
    assert not (tmp_path / "p-summary.csv").exists()


def test_an_interrupted_prediction_leaves_nothing_and_can_be_repeated(
    tmp_path, card, monkeypatch
):
    paths = fields(tmp_path / "new", 3)
    out, overlays = tmp_path / "out" / "p.csv", tmp_path / "out" / "p-overlays"
    seen = []

    def stop(sample: Sample) -> None:
        seen.append(sample)
        if len(seen) == 2:
            raise KeyboardInterrupt

    real = module.predict_files

    def stopping(*args, **options):
        for one in real(*args, **options):
            assert isinstance(one, Predicted)
            stop(one.sample)
            yield one

    monkeypatch.setattr(module, "predict_files", stopping)
    with pytest.raises(KeyboardInterrupt):
        predict_table(None, card, paths, out, overlays=overlays)
    assert list(out.parent.iterdir()) == []
    monkeypatch.setattr(module, "predict_files", real)
    predict_table(None, card, paths, out, overlays=overlays)
    assert {path.name for path in out.parent.iterdir()} == {
        "p.csv", "p-summary.csv", "p-overlays"
    }
    # Nothing that is there is replaced, whichever of the three it is.
    for kept in (out, out.with_name("p-summary.csv"), overlays):
        with pytest.raises(InputError, match="exists and is not overwritten"):
            predict_table(None, card, paths, out, overlays=overlays)
        kept.rename(kept.with_name(f"moved-{kept.name}"))


def test_overlays_of_an_earlier_prediction_are_not_predicted_again(tmp_path, card):
    folder = tmp_path / "new"
    fields(folder, 2)
    predict_table(
        None, card, list(expand([folder]).names), folder / "p.csv", overlays=folder / "p-overlays"
    )
    assert len(expand([folder]).names) == 2


def test_one_bad_file_or_name_costs_one_row(tmp_path, card):
    folder = tmp_path / "new"
    good = write(folder / "ok.ome.tif", discs(0), ("DIC",))
    content = good.read_bytes()
    (folder / "broken.ome.tif").write_bytes(content[:300])
    (folder / ("n" * 240 + ".ome.tif")).write_bytes(content)
    (folder / "ümlaut\n=cmd.ome.tif").write_bytes(content)
    raw = os.fsencode(folder) + b"/champ_\xe9t\xe9.ome.tif"
    names = 4
    try:
        Path(os.fsdecode(raw)).write_bytes(content)
    except OSError:  # a file system that takes UTF-8 names only
        names = 3
    done = predict_table(
        None, card, list(expand([folder]).names), tmp_path / "p.csv", overlays=tmp_path / "o"
    )
    rows = rows_of(tmp_path / "p.csv")
    assert len(rows) == 9 * names
    assert len({row["path"] for row in rows}) == names
    assert ["broken" in one["path"] for one in done.skipped] == [True]
    assert len(list((tmp_path / "o").iterdir())) == names
    if names == 4:
        assert any(row["path"].endswith(r"champ_\xe9t\xe9.ome.tif") for row in rows)


def test_cells_that_are_left_out_are_counted_in_the_summary(tmp_path):
    for number in range(2):
        path = tmp_path / "src" / "ab"[number] / f"{number}.ome.tif"
        field = discs(number)
        field[:, :34] = discs(number)[:, 24:58]  # discs nearer to the edge than half a crop
        write(path, field, ("DIC",))
    card = card_of(store_of(tmp_path / "src", tmp_path / "s.h5", edge="drop"))
    done = predict_table(None, card, [path], tmp_path / "p.csv")
    lost = sum(done.dropped.values())
    assert {row["left_out"] for row in done.summary} == {lost}


@pytest.mark.parametrize("form", [TableFormat(), TableFormat(separator=";", decimal=",", bom=True),
                                  TableFormat(kind="xlsx")])
def test_build_takes_the_table_that_predict_writes(tmp_path, card, form):
    paths = fields(tmp_path / "new", 2)
    out = form.named(tmp_path / "p.csv")
    predict_table(None, card, paths, out, form=form)
    document = build_store(
        tmp_path / "new", tmp_path / "again.h5", BuildConfig(crop_px=24), cells=out
    )
    store = CropStore.open(tmp_path / "again.h5")
    assert (len(store), store.classes) == (18, ("a", "b"))
    assert np.bincount(store.labels).tolist() == [12, 6]
    known = {tuple(np.rint(place).astype(int)) for place in store.centers_px}
    assert known == set(CENTRES)
    assert "cells-predicted" in {one["kind"] for one in document["warnings"]}


def test_notes_of_the_table_say_what_is_unusual(tmp_path, card):
    path = write(tmp_path / "dark.ome.tif", discs(0) // 2, ("DIC",))
    assert load_sample(path, card, None, "auto").n == 9
    done = predict_table(None, card, [path], tmp_path / "p.csv")
    assert {row["notes"] for row in rows_of(tmp_path / "p.csv")} == {
        "brightness outside that of training"
    }
    assert [one.kind for one in done.warnings] == ["unusual-brightness"]
