"""`stemcls detect` prints cells, draws them, scores them, and reports what it could not read."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from stemcls.cli import app
from stemcls.errors import InputError, SkippedError

runner = CliRunner()
PLACES = [(50, 60), (140, 150)]


def write_field(path: Path) -> Path:
    y, x = np.mgrid[:200, :200]
    plane = np.full((200, 200), 100, np.uint8)
    for at_y, at_x in PLACES:
        plane[np.hypot(y - at_y, x - at_x) <= 14] = 180
    path.write_bytes(cv2.imencode(".png", plane)[1].tobytes())
    return path


def detect(*arguments: object) -> dict:
    result = runner.invoke(app, ["detect", *map(str, arguments), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


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


def test_a_raw_image_is_never_drawn_over(tmp_path, invoke):
    import cv2
    import numpy as np

    path = tmp_path / "field.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 99, (80, 80)).astype(np.uint8))
    before = path.read_bytes()
    result = invoke("detect", path, "--overlay", path)
    assert result.returncode == 2
    assert "exists and is not overwritten" in result.stderr
    assert path.read_bytes() == before
