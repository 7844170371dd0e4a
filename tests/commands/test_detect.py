"""`stemcls detect` prints cells, draws them, scores them, and reports what it could not read."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from stemcls.config.imaging import DetectConfig
from stemcls.config.options import options_of
from stemcls.errors import InputError
from stemcls.imaging.detection.survey import sample_paths

from .detect_files import PLACES, detect, micrometres, plane_with, write_field, write_tiff


def test_detect_prints_the_cells_of_every_field(tmp_path):
    path = write_field(tmp_path / "a.png")
    document = detect(path)
    (field,) = document["fields"]
    assert field["path"] == str(path)
    assert set(field["cells"][0]) == {"y_px", "x_px", "radius_px", "score"}
    found = sorted((cell["y_px"], cell["x_px"]) for cell in field["cells"])
    assert np.abs(np.array(found) - PLACES).max() < 0.5


def test_detect_takes_folders_and_settings(tmp_path):
    write_field(tmp_path / "a.png")
    write_field(tmp_path / "b.png")
    document = detect(tmp_path, "--polarity", "dark")
    assert [len(field["cells"]) for field in document["fields"]] == [0, 0]


def test_detect_draws_one_png_or_a_folder_of_them(tmp_path):
    path = write_field(tmp_path / "a.png")
    detect(path, "--overlay", tmp_path / "drawn.png")
    assert cv2.imread(str(tmp_path / "drawn.png")).shape == (200, 200, 3)
    detect(path, write_field(tmp_path / "b.png"), "--overlay", tmp_path / "drawn")
    names = sorted(entry.name for entry in (tmp_path / "drawn").iterdir())
    assert names == ["a.png.png", "b.png.png"]


def test_detect_scores_against_known_cells(tmp_path):
    path = write_field(tmp_path / "a.png")
    rows = [f"a.png,{x},{y}" for y, x in [*PLACES, (10, 190)]]
    (tmp_path / "cells.csv").write_text("\n".join(["field,x_px,y_px", *rows]))
    score = detect(path, "--truth", tmp_path / "cells.csv", "--within-px", 5)["score"]
    assert score["precision"] == 1.0
    assert score["recall"] == pytest.approx(2 / 3)
    assert score["f1"] == pytest.approx(0.8)


def test_a_raw_image_is_never_drawn_over(tmp_path, invoke):
    path = tmp_path / "field.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 99, (80, 80)).astype(np.uint8))
    before = path.read_bytes()
    result = invoke("detect", path, "--overlay", path)
    assert result.returncode == 2
    assert "exists and is not overwritten" in result.stderr
    assert path.read_bytes() == before

def test_ten_thousand_cells_are_found_written_and_scored(tmp_path):
    places = np.stack(np.mgrid[:100, :100], axis=-1).reshape(-1, 2) * 14 + 10
    y, x = np.mgrid[:14, :14]
    spot = 80 * np.clip(4.5 - np.hypot(y - 7, x - 7), 0, 1)
    plane = np.full((1420, 1420), 100.0)
    plane[3:1403, 3:1403] += np.tile(spot, (100, 100))
    write_tiff(tmp_path / "many.tif", plane.astype(np.uint8))
    rows = [f"many.tif,{x},{y}" for y, x in places.tolist()]
    (tmp_path / "truth.csv").write_text("\n".join(["field,x_px,y_px", *rows]))
    document = detect(
        tmp_path / "many.tif", "--out", tmp_path / "cells.csv",
        "--truth", tmp_path / "truth.csv", "--within-px", 3, "--diameter-px", 8,
    )  # fmt: skip
    found = len(document["fields"][0]["cells"])
    assert document["score"]["f1"] > 0.999
    assert len((tmp_path / "cells.csv").read_text().splitlines()) == found + 1


def test_pixel_sizes_that_differ_or_are_missing_are_warned_of(tmp_path):
    plane = plane_with(PLACES)
    fine = write_tiff(tmp_path / "fine.ome.tif", plane, **micrometres(0.25))
    coarse = write_tiff(tmp_path / "coarse.ome.tif", plane, **micrometres(0.5))
    silent = write_tiff(tmp_path / "silent.tif", plane)
    assert detect(fine)["warnings"] == []
    assert detect(fine)["diameter_um"] == pytest.approx(6, rel=0.15)
    assert detect(silent)["warnings"] == []
    document = detect(fine, coarse, silent, "--out", tmp_path / "cells.csv")
    missing, differ = document["warnings"]
    assert missing["path"] == str(silent)
    assert "1 of 3 files do not say their pixel size" in missing["warning"]
    assert differ["path"] == str(coarse)
    assert f"0.5 um wide, those of {fine} 0.25 um" in differ["warning"]
    assert document["diameter_um"] is None
    with (tmp_path / "cells.csv").open() as file:
        cells = list(csv.DictReader(file))
    sizes = {cell["field"]: cell["radius_um"] for cell in cells}
    assert float(sizes["coarse.ome.tif"]) == pytest.approx(
        2 * float(sizes["fine.ome.tif"]), abs=1e-3
    )
    assert sizes["silent.tif"] == ""


def test_rejected_candidates_are_counted_by_reason_per_field_and_in_all(tmp_path):
    write_tiff(tmp_path / "a.tif", plane_with([*PLACES, (100, 3)]))
    write_tiff(tmp_path / "b.tif", plane_with([*PLACES, (3, 40), (3, 160)]))
    document = detect(tmp_path, "--diameter-px", 24)
    assert document["rejected"]["cut by the field's edge"] == 3
    assert [field["rejected"]["cut by the field's edge"] for field in document["fields"]] == [1, 2]
    for reason, count in document["rejected"].items():
        assert sum(field["rejected"].get(reason, 0) for field in document["fields"]) == count


def test_the_table_of_cells_is_itself_a_truth_that_scores_one(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        write_tiff(tmp_path / "in" / folder / "x.tif", plane_with(PLACES))
    out = tmp_path / "cells.csv"
    document = detect(tmp_path / "in", "--out", out)
    assert document["out"] == str(out)
    assert out.read_text().splitlines()[0] == "field,x_px,y_px,radius_px,score"
    assert [field["name"] for field in document["fields"]] == ["a/x.tif", "b/x.tif"]
    score = detect(tmp_path / "in", "--truth", out)["score"]
    assert score["f1"] == 1.0
    assert max(score["mean_error_px"], score["radius_error_px"]) < 0.001
    with pytest.raises(InputError, match=r"cells.csv exists and is not overwritten"):
        detect(tmp_path / "in", "--out", out)


def test_drawings_are_laid_out_as_the_fields_are(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        write_tiff(tmp_path / "in" / folder / "x.tif", plane_with(PLACES))
    detect(tmp_path / "in/a", tmp_path / "in/b", "--overlay", tmp_path / "run.1/drawn")
    drawn = [tmp_path / "run.1/drawn" / folder / "x.tif.png" for folder in ("a", "b")]
    assert all(path.is_file() for path in drawn)
    assert sorted((tmp_path / "run.1/drawn").rglob("*.png")) == drawn
    with pytest.raises(InputError, match=r"x.tif.png exists and is not overwritten"):
        detect(tmp_path / "in", "--overlay", tmp_path / "run.1/drawn")
    with pytest.raises(InputError, match="expected a folder to draw 2 fields in"):
        detect(tmp_path / "in", "--overlay", tmp_path / "one.png")


def test_fields_that_the_truth_does_not_know_are_named_and_not_scored(tmp_path):
    known = write_field(tmp_path / "a.png")
    unknown = write_field(tmp_path / "b.png")
    rows = [f"a.png,{x},{y}" for y, x in PLACES]
    (tmp_path / "cells.csv").write_text("\n".join(["field,x_px,y_px", *rows]))
    score = detect(known, unknown, "--truth", tmp_path / "cells.csv")["score"]
    assert (score["fields"], score["found"], score["f1"]) == (1, 2, 1.0)
    assert score["not_in_truth"] == [str(unknown)]
    assert [one["path"] for one in score["per_field"]] == [str(known)]
    fields = [known, unknown]
    seed = next(s for s in range(20) if sample_paths(fields, 1, s) == [unknown])
    with pytest.raises(InputError, match="knows none of the 1 fields drawn by --sample"):
        detect(tmp_path, "--sample", 1, "--seed", seed, "--truth", tmp_path / "cells.csv")


def drawn(*arguments: object) -> list[str]:
    return [field["path"] for field in detect(*arguments)["fields"]]


def test_a_sample_is_the_same_for_the_same_seed(tmp_path):
    for number in range(6):
        write_field(tmp_path / f"{number}.png")
    first = drawn(tmp_path, "--sample", 3, "--seed", 1)
    assert len(first) == 3
    assert first == drawn(tmp_path, "--sample", 3, "--seed", 1)
    assert any(first != drawn(tmp_path, "--sample", 3, "--seed", seed) for seed in (2, 3, 4))


def test_a_grid_writes_one_sheet_and_names_the_best(tmp_path):
    path = write_field(tmp_path / "a.png")
    rows = [f"a.png,{x},{y}" for y, x in PLACES]
    (tmp_path / "cells.csv").write_text("\n".join(["field,x_px,y_px", *rows]))
    sheet = tmp_path / "sheet.png"
    arguments = (path, "--grid", "threshold=5,0.4", "--sheet", sheet, "--diameter-px", 28)
    document = detect(*arguments, "--truth", tmp_path / "cells.csv")
    assert document["best"] == "--threshold 0.4"
    assert [one["diameter_px"] for one in document["grid"]] == [28, 28]
    assert cv2.imread(str(sheet)).shape[1::-1] == tuple(document["sheet_px"])
    before = sheet.read_bytes()
    with pytest.raises(InputError, match=r"sheet.png exists and is not overwritten"):
        detect(*arguments)
    assert sheet.read_bytes() == before


def test_what_people_read_fits_80_columns(tmp_path, invoke, monkeypatch):
    folder = tmp_path / ("a long name " * 8) / "donor 1"
    folder.mkdir(parents=True)
    plane = plane_with([*PLACES, (100, 3)])
    path = write_tiff(folder / "x.ome.tif", plane, **micrometres(0.25))
    (folder / "cells.csv").write_text(f"field,x_px,y_px,radius_px\nx.ome.tif,60,50,{12}\n")
    write_tiff(tmp_path / "x.ome.tif", plane)
    monkeypatch.setattr("stemcls.commands.detect_report.shutil.get_terminal_size",
                        lambda: os.terminal_size((80, 24)))  # fmt: skip
    said = invoke("detect", tmp_path, "--truth", folder / "cells.csv")
    assert said.returncode == 0
    assert max(map(len, said.stdout.splitlines())) <= 80
    assert "4 cells in 2 fields" in said.stdout
    assert "donor 1/x.ome.tif" in said.stdout
    assert "1 of 2 found" in said.stdout
    assert "2 left out: cut by the field's edge" in said.stderr
    assert f"not in the truth, not scored: {tmp_path / 'x.ome.tif'}" in said.stderr
    said = invoke("detect", path, "--grid", "threshold=0.3,0.4", "--grid", "method=log,dog",
                  "--truth", folder / "cells.csv", "--sheet", tmp_path / "s.png")  # fmt: skip
    assert said.returncode == 0
    assert max(map(len, said.stdout.splitlines())) <= 80
    assert "best F1: --threshold 0.3 --method log (3 more are as good)" in said.stderr


def test_every_option_of_the_finder_is_documented():
    text = (Path(__file__).parents[2] / "docs/detection.md").read_text(encoding="utf-8")
    flags = [f"--{entry.flag}" for entry in options_of(DetectConfig)]
    flags += ["--overlay", "--out", "--truth", "--within-px", "--sample", "--seed", "--grid",
              "--export", "--export-as", "--train", "--train-steps", "--detector-out", "--sheet",
              "--strict", "--json"]  # fmt: skip
    assert [flag for flag in flags if not re.search(rf"{flag}(?![a-z-])", text)] == []


def test_an_estimated_size_that_no_cell_has_is_warned_of(tmp_path):
    y, x = np.mgrid[:200, :200]
    plane = np.full((200, 200), 100, np.uint8)
    for at_y, at_x in PLACES:
        plane[np.hypot(y - at_y, x - at_x) <= 14] = 180
    for name, size_um in (("speck.tif", 0.01), ("cell.tif", 0.5)):
        about = {"axes": "YX", "PhysicalSizeX": size_um, "PhysicalSizeXUnit": "µm",
                 "PhysicalSizeY": size_um, "PhysicalSizeYUnit": "µm"}
        tifffile.imwrite(tmp_path / name, plane, ome=True, metadata=about)
    (warning,) = detect(tmp_path / "speck.tif")["warnings"]
    assert "is not that of a cell (2 to 200 um)" in warning["warning"]
    assert not detect(tmp_path / "cell.tif")["warnings"]
    assert not detect(tmp_path / "speck.tif", "--diameter-px", "28")["warnings"]
