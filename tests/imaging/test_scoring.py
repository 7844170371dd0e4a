"""Found cells are scored against those a table gives, field by field and pooled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.imaging.field import Detections
from stemcls.imaging.tuning.scoring import KnownCells, known_by_path, score_field, summarise
from stemcls.store.truth import read_truth


def found_at(centers: list[tuple[float, float]], radius_px: list[float]) -> Detections:
    return Detections(
        np.array(centers, np.float32).reshape(-1, 2), np.array(radius_px, np.float32),
        np.ones(len(centers), np.float32),
    )  # fmt: skip


def known_at(centers: list[tuple[float, float]], radius_px: list[float]) -> KnownCells:
    return KnownCells(np.array(centers, float).reshape(-1, 2), np.array(radius_px, float))


def test_scores_agree_with_those_worked_out_by_hand():
    # Pairs: (10, 13) 3 px off, (50, 54) 4 px off; the third is 20 px off; one is missed.
    cells = found_at([(10, 13), (54, 50), (90, 110)], [12, 9, 10])
    known = known_at([(10, 10), (50, 50), (90, 90), (5, 95)], [10, np.nan, 10, 10])
    scored = summarise([score_field(cells, known, within_px=5)])
    assert (scored["found"], scored["known"], scored["matched"]) == (3, 4, 2)
    assert scored["precision"] == pytest.approx(2 / 3)
    assert scored["recall"] == pytest.approx(2 / 4)
    assert scored["f1"] == pytest.approx(4 / 7)
    assert scored["mean_error_px"] == pytest.approx(3.5)
    assert scored["radius_pairs"] == 1
    assert scored["radius_error_px"] == pytest.approx(2)
    assert scored["radius_bias"] == pytest.approx(0.2)
    assert scored["radius_sd"] is None


def test_fields_are_pooled_cell_by_cell():
    one = score_field(found_at([(5, 5)], [4]), known_at([(5, 5)], [5]), 3)
    other = score_field(
        found_at([(5, 5), (20, 21), (40, 40)], [6, 10, 9]), known_at([(5, 5), (20, 20)], [5, 10]), 3
    )
    pooled = summarise([one, other])
    assert (pooled["found"], pooled["known"], pooled["matched"]) == (4, 3, 3)
    assert (pooled["precision"], pooled["recall"]) == (3 / 4, 1.0)
    assert pooled["mean_error_px"] == pytest.approx(1 / 3)
    assert pooled["median_error_px"] == 0.0
    # Ratios 0.8, 1.2 and 1.0.
    assert pooled["radius_bias"] == pytest.approx(0, abs=1e-6)
    assert pooled["radius_sd"] == pytest.approx(0.2, abs=1e-6)
    assert pooled["radius_error_px"] == pytest.approx(2 / 3)


def test_what_is_undefined_is_none_and_not_zero():
    nothing = summarise([score_field(found_at([], []), known_at([], []), 3)])
    assert [nothing[key] for key in ("precision", "recall", "f1", "mean_error_px")] == [None] * 4
    missed = summarise([score_field(found_at([], []), known_at([(5, 5)], [5]), 3)])
    assert (missed["precision"], missed["recall"], missed["f1"]) == (0, 0, 0)
    assert summarise([])["f1"] is None


def table(folder: Path, text: str) -> Path:
    path = folder / "cells.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_truth_table_may_use_semicolons_and_give_radii_of_some(tmp_path):
    text = "\ufefffield;x_px;y_px;radius_px\na b.tif;1.5;2;7\n\na b.tif;3;4;\nc.tif;5;6;1\n"
    known = read_truth(table(tmp_path, text))
    assert list(known) == ["a b.tif", "c.tif"]
    assert known["a b.tif"].centers_px.tolist() == [[2, 1.5], [4, 3]]
    assert known["a b.tif"].radius_px[0] == 7
    assert np.isnan(known["a b.tif"].radius_px[1])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("a.tif,left,2,", r"cells.csv line 2: x_px is 'left', expected a number"),
        ("a.tif,1,2,3\na.tif,1,,3", r"cells.csv line 3: y_px is '', expected a number"),
        ("a.tif,1,nan,3", r"y_px is 'nan', expected a number"),
        ("a.tif,1,2,big", r"radius_px is 'big', expected a number"),
        ("a.tif,1,2,-3", r"radius_px is -3, expected more than 0; leave it empty"),
        (",1,2,3", r"line 2: the field is empty"),
        ("", r"cells.csv holds no cells: expected one row"),
    ],
)
def test_a_row_that_is_no_cell_is_named(tmp_path, rows, says):
    with pytest.raises(InputError, match=says):
        read_truth(table(tmp_path, f"field,x_px,y_px,radius_px\n{rows}\n"))


def test_a_missing_truth_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cells.csv does not exist: expected a file"):
        read_truth(tmp_path / "cells.csv")


ONE, TWO = known_at([(1, 1)], [1]), known_at([(2, 2)], [2])


def test_fields_are_found_by_path_below_the_table_or_by_the_end_of_their_path(tmp_path):
    paths = [tmp_path / "a/x.tif", tmp_path / "b/x.tif", tmp_path / "b/y.tif"]
    elsewhere = tmp_path / "tables/cells.csv"
    for where, fields in (
        (tmp_path / "cells.csv", ("a/x.tif", "b/x.tif")),
        (elsewhere, ("a/x.tif", "b/x.tif")),
        (elsewhere, (str(paths[0]), "../b/x.tif")),
    ):
        known = known_by_path(paths, dict(zip(fields, (ONE, TWO), strict=True)), where)
        assert known == {paths[0]: ONE, paths[1]: TWO}
    assert known_by_path(paths, {"y.tif": ONE, "gone.tif": TWO}, elsewhere) == {paths[2]: ONE}
    # The file beside the table is meant, though two end like this.
    assert known_by_path(paths, {"x.tif": ONE}, tmp_path / "a/cells.csv") == {paths[0]: ONE}


def test_a_name_that_two_files_bear_and_two_names_of_one_file_are_refused(tmp_path):
    paths = [tmp_path / "a/x.tif", tmp_path / "b/x.tif"]
    where = tmp_path / "cells.csv"
    with pytest.raises(InputError, match=r"'x.tif' could be .*a/x.tif or .*b/x.tif; give its path"):
        known_by_path(paths, {"x.tif": ONE}, where)
    with pytest.raises(InputError, match=r"'x.tif' and 'a/x.tif' are both .*x.tif; write it one"):
        known_by_path(paths[:1], {"x.tif": ONE, "a/x.tif": TWO}, where)
    with pytest.raises(InputError, match=r"knows none of the fields given \(2\); its first is 'z'"):
        known_by_path(paths, {"z": ONE}, where)
