"""Text from files shows and never acts: terminals, tables, JSON, pictures and pages."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemcls.atomic import csv_writer, dump_json, write_json
from stemcls.safetext import SafeWriter, csv_cell, safe_text, text_of_cell

ESC = "HSC\x1b[31mred\u202egnp.exe"
STRAY = os.fsdecode(b"champ_\xe9t\xe9.tif")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("LT-HSC, day 3", "LT-HSC, day 3"),
        ("造血干细胞 Müller", "造血干细胞 Müller"),
        (ESC, "HSC\\x1b[31mred\\u202egnp.exe"),
        ("a\nb\tc\x00\x9b", "a\\x0ab\\x09c\\x00\\x9b"),
        (STRAY, "champ_\\xe9t\\xe9.tif"),
        ("\ud800", "\\ud800"),
        ("\ufeffx\u2066y", "\\ufeffx\\u2066y"),
    ],
)
def test_what_acts_is_shown_as_an_escape(text, shown):
    assert safe_text(text) == shown
    assert safe_text(shown) == shown


def test_line_ends_of_a_message_may_stay():
    assert safe_text("a\nb\x1b", keep="\n") == "a\nb\\x1b"


@pytest.mark.parametrize(
    "text", ["=1+1", "+SUM(A1)", "-2+3", "@cmd", "\t=1", "\r=1", "'=1", "''-x"]
)
def test_a_formula_in_a_table_gets_an_apostrophe_that_comes_off_again(text):
    cell = csv_cell(text)
    assert cell[0] not in "=+-@\t\r"
    assert text_of_cell(cell) == safe_text(text)


@pytest.mark.parametrize("value", ["-1.50", "+2e-05", "-3", 4, -0.5, "12.5", ""])
def test_numbers_stay_as_they_are(value):
    assert csv_cell(value) == value


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=1))
def test_any_cell_comes_back_as_the_safe_form_of_what_was_written(cells):
    file = io.StringIO()
    SafeWriter(file).writerow(cells)
    (row,) = csv.reader(io.StringIO(file.getvalue(), newline="")) if any(cells) else [cells]
    assert [text_of_cell(cell) for cell in row] == [safe_text(cell) for cell in cells]


def test_tables_and_json_hold_names_that_are_no_utf8(tmp_path):
    with csv_writer(tmp_path / "t.csv") as writer:
        writer.writerow([Path(STRAY), "=x", 1.5])
    assert (tmp_path / "t.csv").read_text("utf-8") == "champ_\\xe9t\\xe9.tif,'=x,1.5\n"
    write_json(tmp_path / "t.json", {STRAY: [Path(STRAY)]})
    assert json.loads((tmp_path / "t.json").read_text("utf-8")) == {
        "champ_\\xe9t\\xe9.tif": ["champ_\\xe9t\\xe9.tif"]
    }
    assert json.loads(dump_json({"é": "造"}, only_ascii=True)) == {"é": "造"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_stdout_that_lacks_characters_gets_escapes_and_no_traceback(encoding):
    code = (
        "import sys; sys.argv = ['stemcls', 'info', '造血/Müller.h5']\n"
        "import stemcls.cli as cli\n"
        "from stemcls.commands.terminal import print_json, print_table, say\n"
        "def app():\n"
        "    print_json({'造血': 'Müller'})\n"
        "    print_table('造血', ('Müller\\x1b',), [('[b]造血\\u202e',)])\n"
        "    say('造血 Müller')\n"
        "cli.app = app\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode(encoding)
    document, _ = json.JSONDecoder().raw_decode(shown)
    assert document == {"造血": "Müller"}
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[b]" in shown
    if encoding != "utf-8":
        assert "\\u9020\\u8840" in shown
