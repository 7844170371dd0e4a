"""Tables of users are read right in every usual form; what is not certain is refused by line."""

import csv
import datetime
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemcls.errors import InputError
from stemcls.store.decimals import number_in
from stemcls.store.tables import read_table

FIELD = ("field", "x_px", "y_px")
NUMBERS = ("x_px", "y_px", "radius_px")


def table(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def manifest(folder: Path, text: str | bytes, **more):
    return read_table(
        table(folder, text), ("path", "label"), ("group",), verbatim=("path",), **more
    )


def cells(folder: Path, text: str):
    return read_table(
        table(folder, text), FIELD, ("radius_px",), numbers=NUMBERS, verbatim=("field",)
    )


def places(found) -> list[tuple[float, float]]:
    return [
        (number_in(row, "x_px", found.path, line), number_in(row, "y_px", found.path, line))
        for line, row in found
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_usual_form_of_text_reads_alike(tmp_path, delimiter, end, encoding):
    lines = [
        ["path", "label", "note"], ["Größe 1.png", "LT-HSC", f'a {delimiter} "b"'],
        ["b.png", "", ""],
    ]
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(lines)
    found = manifest(tmp_path, file.getvalue().encode(encoding))
    assert found.columns == ("path", "label", "note")
    assert [row for _, row in found] == [dict(zip(lines[0], row, strict=True)) for row in lines[1:]]
    assert [line for line, _ in found] == [2, 3]
    assert [notice.kind for notice in found.notices] == (
        ["table-encoding"] if encoding == "cp1252" else []
    )


_TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs")), max_size=8
).map(str.strip).filter(lambda text: not text.startswith("'"))


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(_TEXT.filter(bool), _TEXT, _TEXT), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"), encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_a_csv_writer_writes_comes_back(tmp_path, rows, delimiter, encoding, quoting):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting)
    writer.writerows([("path", "text", "note"), *rows])
    path = table(tmp_path, file.getvalue().encode(encoding))
    found = read_table(path, ("path",), verbatim=("path", "text", "note"))
    wanted = [tuple(cell.strip() for cell in row) for row in rows]
    assert [tuple(row.values()) for _, row in found] == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("field;x_px;y_px\nf.tif;100,50;40,25\nf.tif;40,75;160\n", [(100.5, 40.25), (40.75, 160)]),
        ("field\tx_px\ty_px\nf.tif\t1,5\t-2,25\n", [(1.5, -2.25)]),
        ("sep=;\nfield;x_px;y_px\nf.tif;1,234;0,5\n", [(1.234, 0.5)]),
        ("field;x_px;y_px\nf.tif;1.234;5\n", [(1.234, 5)]),
        ("field,x_px,y_px\nf.tif,1e2,.5\n", [(100, 0.5)]),
        ('"field","x_px","y_px"\n"f.tif","1.5","2"\n', [(1.5, 2)]),
    ],
)
def test_decimal_points_and_certain_decimal_commas_are_numbers(tmp_path, text, wanted):
    assert places(cells(tmp_path, text)) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("field,x_px,y_px\nf.tif,100,50,40,25\n", r"line 2 has 5 cells under 3 columns; if commas"),
        ('field,x_px,y_px\nf.tif,"100,50",40\n', r"line 2: x_px is '100,50', and commas separate"),
        ("field;x_px;y_px\nf.tif;1,234;5\n", r"line 2: x_px is '1,234', which may mean 1\.234 or"),
        ("field;x_px;y_px\nf.tif;1,5;2.5\n", r"mixes '1,5' \(line 2, x_px\) and '2\.5' \(line 2"),
        ("field;x_px;y_px\nf.tif;1.234,5;2\n", r"x_px is '1\.234,5', expected a number such as"),
        ("field;x_px;y_px\nf.tif;1 234;2\n", r"line 2: x_px is '1 234', expected a number"),
        ("field;x_px;y_px\nf.tif;1_0;2\n", r"line 2: x_px is '1_0', expected a number"),
        ("field;x_px;y_px\nf.tif;inf;2\n", r"line 2: x_px is 'inf', expected a number"),
        ("field;x_px;y_px\nf.tif;NA;2\n", r"line 2: x_px is 'NA', expected a number"),
        ("field;x_px;y_px\nf.tif;;2\n", r"line 2: x_px is '', expected a number"),
        ("field;x_px;y_px\nf.tif;1e999;2\n", r"line 2: x_px is '1e999', expected a number"),
    ],
)
def test_a_number_that_is_not_certain_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        places(cells(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png\n", r"line 2 has 1 cells under 2 columns; every line needs"),
        ("path,label\n\n\na.png,x,y\n", r"line 4 has 3 cells under 2 columns"),
        ("path;label\na.png,x\n", r"separated by commas, the first line by semicolons"),
        ("path,label,label\na.png,x,y\n", r"column 'label' is there 2 times"),
        ("path,label, Label \na.png,x,y\n", r"column 'label' is there 2 times \(label, Label\)"),
        ("path,label,Day 1,day  1\na.png,x,1,2\n", r"column 'Day 1' is there 2 times"),
        (",path,label\n0,a.png,x\n", r"column 1 has no name; .* index=False"),
        ('path,label\n"a.png,x\nb.png,y\n', r"line 2: a quotation mark is opened and never closed"),
        ('path,label\n"a"b.png,x\n', r"line 2: there is text behind a closing quotation mark"),
        ("path,label\na.png,x\x00\n", r"line 2: a NUL byte is no text"),
        ("path,label\na.png,x\x1b[31m\n", r"line 2: the character '\\x1b' is no text"),
        ("path,label\ra.png,x\rb.png,\x07\r", r"line 3: the character '\\x07'"),
        ("", r"t\.csv is empty: expected a first line with path, label"),
        ("sep=:\npath:label\n", r"says sep=:: expected one of , ; \| or a tab"),
        ("path\nlabel\n", r"has no column 'label' in its first line"),
    ],
)
def test_a_table_that_is_not_even_is_refused_by_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        manifest(tmp_path, text)


def test_other_separators_inside_cells_do_no_harm(tmp_path):
    found = read_table(table(tmp_path, "path;a,b\nx.png;1,5\ny.png;2,5\n"), ("path",))
    assert found.columns == ("path", "a,b")
    assert found.rows[0][1]["a,b"] == "1,5"


def test_nothing_known_is_written_in_many_ways(tmp_path):
    words = ("NA", "NaN", "nan", "N/A", "#N/A", "null", "None", "", "<NA>")
    text = "path,label,group\n" + "".join(f"{n}.png,{w},HSC\n" for n, w in enumerate(words))
    found = manifest(tmp_path, text)
    assert {row["label"] for _, row in found} == {""}
    assert {row["group"] for _, row in found} == {"HSC"}
    (notice,) = found.notices
    assert notice.kind == "not-given"
    assert "NA in label (1 rows)" in notice.message
    assert manifest(tmp_path, "path,label\nNA,x\n").rows[0][1]["path"] == "NA"


def test_a_class_may_be_called_na_in_quotation_marks(tmp_path):
    found = manifest(tmp_path, 'path,label\na.png,"NA"\nb.png,NA\nc.png,"None"\n')
    assert [row["label"] for _, row in found] == ["NA", "", "None"]
    assert [notice.kind for notice in found.notices] == ["not-given", "quoted-name"]
    everywhere = manifest(tmp_path, '"path","label"\n"a.png","NA"\n"b.png","x"\n')
    assert [row["label"] for _, row in everywhere] == ["", "x"], "all cells are in quotation marks"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (("1", "1.0", "2.0"), ["1", "1", "2"]),
        (("1.0", "", "2.0"), ["1", "", "2"]),
        (("1e+05", "100001", "3"), ["100000", "100001", "3"]),
        (("1.0", "1.5", "2"), ["1.0", "1.5", "2"]),
        (("1.0", "d2", "2"), ["1.0", "d2", "2"]),
        (("01", "02", "3"), ["01", "02", "3"]),
    ],
)
def test_whole_numbers_of_a_column_lose_their_point_zero(tmp_path, written, read):
    text = "path,label,group\n" + "".join(f"{n}.png,x,{w}\n" for n, w in enumerate(written))
    found = manifest(tmp_path, text)
    assert [row["group"] for _, row in found] == read
    assert [n.kind for n in found.notices] == ["whole-numbers"] * (list(written) != read)


def test_names_of_columns_may_differ_in_case_blanks_and_dashes(tmp_path):
    found = cells(tmp_path, "Field , X px,Y-PX,Radius_px,My Note\nf.tif,1,2,NA,x\n")
    assert found.columns == ("field", "x_px", "y_px", "radius_px", "My Note")
    assert found.rows[0][1]["radius_px"] == ""


def test_empty_columns_at_the_end_are_left_out(tmp_path):
    found = manifest(tmp_path, "path,label,,\na.png,x,,\nb.png,y\n,,,\n")
    assert found.columns == ("path", "label")
    assert len(found.rows) == 2


def test_an_apostrophe_before_a_formula_comes_off(tmp_path):
    found = manifest(tmp_path, "path,label\n'=a.png,'-x\n")
    assert found.rows[0][1] == {"path": "=a.png", "label": "-x"}


def workbook(path: Path, sheets: dict[str, list[list]], merge: str = "") -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        if merge:
            sheet.merge_cells(merge)
    book.save(path)
    return path


def read_book(path: Path):
    return read_table(path, ("path", "label"), ("group",), verbatim=("path",))


def test_an_excel_workbook_is_a_table_of_stable_text(tmp_path):
    rows = [
        ["path", "label", "day", "dose", "n", "fresh"],
        ["a.png", "HSC", datetime.date(2025, 3, 1), 0.5, 3, True],
        [],
        ["b.png", "#N/A", datetime.datetime(2025, 3, 2, 14, 30), 1.0, 4.0, False],
    ]
    found = read_book(workbook(tmp_path / "t.xlsx", {"cells": rows, "empty": []}))
    assert [(line, *row.values()) for line, row in found] == [
        (2, "a.png", "HSC", "2025-03-01", "0.5", "3", "TRUE"),
        (4, "b.png", "", "2025-03-02T14:30:00", "1", "4", "FALSE"),
    ]


def test_a_workbook_that_could_mean_several_things_is_refused(tmp_path):
    rows = [["path", "label"], ["a.png", "x"]]
    two = workbook(tmp_path / "t.xlsx", {"one": rows, "two": [["path", "label"], ["b.png", "y"]]})
    with pytest.raises(InputError, match=r"2 sheets with something in them \(one, two\).*xlsx#one"):
        read_book(two)
    assert read_book(tmp_path / "t.xlsx#two").rows[0][1]["path"] == "b.png"
    with pytest.raises(InputError, match="has no sheet 'three'; one of: one, two"):
        read_book(tmp_path / "t.xlsx#three")
    with pytest.raises(InputError, match="cells are merged"):
        read_book(workbook(tmp_path / "m.xlsx", {"a": [*rows, ["b.png", None]]}, "B2:B3"))
    with pytest.raises(InputError, match="B2 is a formula whose value is not in the file"):
        read_book(workbook(tmp_path / "f.xlsx", {"a": [rows[0], ["a.png", '=UPPER("x")']]}))
    with pytest.raises(InputError, match=r"old Excel file"):
        read_book(table(tmp_path, b"\xd0\xcf\x11\xe0" + bytes(99), "old.xls"))
    with pytest.raises(InputError, match=r"is no Excel workbook that can be read"):
        read_book(table(tmp_path, b"PK\x03\x04" + bytes(99), "broken.xlsx"))


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(
    lambda text: f"path,label\n{text}".encode("utf-8", "replace")
)))
def test_any_bytes_are_a_table_or_an_input_error(tmp_path, content):
    try:
        found = manifest(tmp_path, content)
    except InputError:
        return
    assert all(len(row) == len(found.columns) for _, row in found)
