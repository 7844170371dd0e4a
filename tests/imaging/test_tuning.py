"""Combinations of settings are tried on the same fields, counted, scored and drawn on one sheet."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stemcls.config.imaging import DetectConfig, ReadConfig
from stemcls.errors import InputError
from stemcls.imaging.field import Detections, Field
from stemcls.imaging.listing.positions import Position
from stemcls.imaging.tuning.combinations import MOST_COMBINATIONS, combinations_of
from stemcls.imaging.tuning.contactsheet import Row, Tile, write_sheet
from stemcls.imaging.tuning.grid import MOST_DRAWN, try_settings
from stemcls.imaging.tuning.scoring import KnownCells, score_field
from stemcls.imaging.tuning.tile import (
    FALSE,
    HIT,
    MISSED,
    TILE_PX,
    choose_window,
    draw_tile,
    picture_of,
)
from stemcls.imaging.tuning.viewable import viewable

BRIGHT = [(50.0, 60.0), (140.0, 150.0)]
RADIUS_PX = 14.0


def write_field(path: Path, places: list[tuple[float, float]] = BRIGHT) -> Path:
    y, x = np.mgrid[:200, :200]
    plane = np.full((200, 200), 100.0)
    for at_y, at_x in places:
        plane += 80 * np.clip(RADIUS_PX + 0.5 - np.hypot(y - at_y, x - at_x), 0, 1)
    path.write_bytes(cv2.imencode(".png", plane.astype(np.uint8))[1].tobytes())
    return path


def known_at(places: list[tuple[float, float]]) -> KnownCells:
    return KnownCells(np.array(places), np.full(len(places), RADIUS_PX))


def found_at(places: list[tuple[float, float]]) -> Detections:
    radius = np.full(len(places), 20, np.float32)
    return Detections(np.array(places, np.float32), radius, np.ones(len(places), np.float32))


def tried(paths: list[Path], *grid: str, **options) -> dict:
    sheet = options.pop("sheet", paths[0].parent / "sheet.png")
    base = options.pop("base", {})
    combinations = combinations_of(grid, base)
    places = [Position(path) for path in paths]
    names = {place: place.name for place in places}
    if known := options.pop("known", None):
        options["known"] = {Position(path): cells for path, cells in known.items()}
    return try_settings(places, names, combinations, ReadConfig(), sheet, **options)


def test_every_combination_is_made_the_first_key_slowest():
    made = combinations_of(
        ["threshold=0.3, 0.5", "--method=log,dog"], {"polarity": "bright", "threshold": 0.9}
    )
    assert [one.settings for one in made] == [
        {"threshold": 0.3, "method": "log"}, {"threshold": 0.3, "method": "dog"},
        {"threshold": 0.5, "method": "log"}, {"threshold": 0.5, "method": "dog"},
    ]  # fmt: skip
    assert made[1].flags == ("--threshold 0.3", "--method dog")
    assert made[3].config == DetectConfig(threshold=0.5, method="dog", polarity="bright")


def test_a_key_may_be_the_flag_or_the_setting():
    for key in ("min-distance", "min_distance", "min_distance_px", "--min-distance"):
        (one,) = combinations_of([f"{key}=4"], {})
        assert one.config.min_distance_px == 4
        assert one.flags == ("--min-distance 4",)


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        (["treshold=0.3"], "'treshold' is not a setting; did you mean 'threshold'"),
        (["threshold"], "expected KEY=V1,V2, as in threshold=0.3,0.4,0.5"),
        (["threshold=,"], "expected KEY=V1,V2"),
        (["threshold=0.3,high"], "threshold: expected float, found 'high'"),
        (["threshold=-1"], "threshold: -1.0 is below the least allowed"),
        (["num_sigma=2.5"], "num_sigma: expected int, found '2.5'"),
        (["polarity=brite"], "'brite' is not a choice; did you mean 'bright'"),
        (["min_sigma=9", "max_sigma=4"], "min_sigma 9 is above max_sigma 4"),
        (["overlap=0.1", "--overlap=0.2"], "given twice; list all its values in one"),
        (
            ["threshold=0.1,0.2,0.3,0.4", "overlap=0.1,0.2,0.3,0.4"],
            f"asks for 16 combinations, a sheet holds {MOST_COMBINATIONS}; vary fewer",
        ),
    ],
)
def test_a_grid_that_cannot_be_tried_says_why(grid, says):
    with pytest.raises(InputError, match=says):
        combinations_of(grid, {})


def test_an_unknown_method_names_the_nearest_and_leaves_no_sheet(tmp_path):
    path = write_field(tmp_path / "a.png")
    with pytest.raises(InputError, match="no detector 'lgo'; did you mean 'log'"):
        tried([path], "method=lgo")
    assert not (tmp_path / "sheet.png").exists()


def test_the_better_of_two_thresholds_wins(tmp_path):
    path = write_field(tmp_path / "a.png")
    # No blob answers above a full, isolated disc, so 5 finds nothing.
    document = tried([path], "threshold=5,0.4", known={path: known_at(BRIGHT)})
    poor, good = document["grid"]
    assert document["best"] == "--threshold 0.4"
    assert (poor["cells"], poor["score"]["f1"]) == (0, 0.0)
    assert (good["cells"], good["score"]["f1"]) == (2, 1.0)
    assert good["settings"] == {"threshold": 0.4}
    (field,) = document["fields"]
    assert (field["n_cells"], field["f1"]) == ([0, 2], [0.0, 1.0])


def test_rejected_candidates_are_counted_for_each_combination(tmp_path):
    path = write_field(tmp_path / "a.png", [*BRIGHT, (100, 4)])
    document = tried([path], "edge_radii=0.45,0")
    strict, lenient = document["grid"]
    assert (strict["cells"], strict["rejected"]["cut by the field's edge"]) == (2, 1)
    assert lenient["cells"] == 3
    assert "cut by the field's edge" not in lenient["rejected"]
    assert "score" not in strict
    assert "best" not in document


def test_an_open_diameter_is_estimated_and_a_given_one_kept(tmp_path):
    path = write_field(tmp_path / "a.png")
    given, estimated = tried([path], "diameter_px=30,0")["grid"]
    assert (given["diameter_px"], given["diameter_estimated"]) == (30, False)
    assert estimated["diameter_px"] == pytest.approx(2 * RADIUS_PX, rel=0.15)
    assert estimated["diameter_estimated"]


def test_the_sheet_holds_one_tile_for_each_field_and_combination(tmp_path):
    paths = [write_field(tmp_path / f"{name}.png") for name in "abc"]
    document = tried(paths, "threshold=0.3,0.4", "method=log,dog")
    sheet = cv2.imread(document["sheet"])
    width, height = document["sheet_px"]
    assert sheet.shape == (height, width, 3)
    # Fields are 200 px and shown 1.6 times larger: tiles fill their columns, on white paper.
    inside = (sheet < 200).all(axis=2)
    assert count_runs(inside.mean(axis=0) > 0.5, longer_than=300) == 4
    assert count_runs(inside.mean(axis=1) > 0.5, longer_than=300) == 3
    assert (tmp_path / "sheet.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def count_runs(flags: np.ndarray, longer_than: int) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return int((edges[1::2] - edges[::2] > longer_than).sum())


def test_every_field_counts_though_a_sheet_shows_twenty(tmp_path):
    paths = [write_field(tmp_path / f"{n:02}.png") for n in range(MOST_DRAWN + 5)]
    known = {path: known_at(BRIGHT) for path in paths}
    document = tried(paths, "threshold=0.4", base={"diameter_px": 28.0}, known=known)
    assert document["grid"][0]["score"]["known"] == 2 * len(paths)
    assert len(document["fields"]) == len(paths)
    drawn = [field["drawn"] is not None for field in document["fields"]]
    assert sum(drawn) == MOST_DRAWN
    assert drawn[0]
    assert drawn[-1]


def test_fields_without_truth_and_unreadable_ones_do_not_spoil_the_score(tmp_path):
    known, unknown = (write_field(tmp_path / f"{name}.png") for name in "ab")
    (broken := tmp_path / "c.png").touch()
    document = tried(
        [known, unknown, broken], "threshold=0.4", known={known: known_at([*BRIGHT, (20, 180)])}
    )
    assert document["grid"][0]["score"]["recall"] == pytest.approx(2 / 3)
    assert document["grid"][0]["cells"] == 4
    assert [field["f1"] for field in document["fields"]] == [[pytest.approx(0.8)], [None]]
    assert "c.png is empty" in document["skipped"][0]["reason"]
    # Only a broken field is known: nothing can be scored, and that is said as such.
    document = tried(
        [unknown, broken], "threshold=0.4", known={broken: known_at(BRIGHT)},
        sheet=tmp_path / "other.png",
    )  # fmt: skip
    assert document["grid"][0]["score"]["f1"] is None
    assert document["best"] is None


def test_a_window_keeps_cells_large_enough_to_judge():
    whole = choose_window((200, 300), 30.0)
    assert whole.whole
    assert whole.scale == pytest.approx(TILE_PX / 300)
    part = choose_window((2048, 2048), 22.0)
    assert (part.scale, part.width, part.height) == (1.0, TILE_PX, TILE_PX)
    assert (part.top, part.left) == (864, 864)
    assert part.caption((2048, 2048)) == "centre 320 x 320 of 2048 x 2048 px, shown at 1 x"
    assert choose_window((100, 100), 2.0).scale == 2.0


def test_marks_say_right_wrong_and_missed_at_their_places():
    window = choose_window((320, 320), 40.0)
    known = known_at([(80, 80), (240, 240)])
    cells = found_at([(80, 80), (80, 240)])
    picture = np.full((320, 320, 3), 90, np.uint8)
    tile = draw_tile(picture, window, cells, score_field(cells, known, 5), known)
    assert (picture == 90).all()
    assert color_near(tile, 80, 100, HIT)
    assert color_near(tile, 80, 260, FALSE)
    assert color_near(tile, 240, 240 + 14, MISSED)
    for color, count in ((HIT, 1), (FALSE, 1), (MISSED, 1)):
        drawn = np.abs(tile.astype(int) - color).max(axis=2) < 30
        assert cv2.connectedComponents(cv2.dilate(drawn.astype(np.uint8), None))[0] - 1 == count
    unscored = draw_tile(picture, window, cells)
    assert color_near(unscored, 80, 260, HIT)


def color_near(tile: np.ndarray, y: int, x: int, color: tuple[int, int, int]) -> bool:
    part = tile[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3).astype(int)
    return bool((np.abs(part - color).max(axis=1) < 30).any())


def test_a_picture_shows_the_window_at_its_scale():
    plane = np.zeros((1000, 1000), np.uint8)
    plane[480:520, 480:520] = 200
    window = choose_window((1000, 1000), 11.0)
    picture = picture_of(Field(plane[None], Path("a.tif"), ("grey",)), window)
    assert picture.shape == (TILE_PX, TILE_PX, 3)
    bright = np.argwhere(picture[..., 0] > 128)
    assert bright.min(axis=0).tolist() == [120, 120]
    assert bright.max(axis=0).tolist() == [199, 199]


def test_dim_cells_show_beside_bright_ones_and_photographs_stay():
    plane = np.full((100, 100), 2, np.uint16)
    plane[10:30, 10:30], plane[60:80, 60:80] = 4000, 200
    shown = viewable(Field(plane[None], Path("a.tif"), ("GFP",)))
    assert shown[70, 70, 0] > 60
    assert shown[70, 70, 0] < shown[20, 20, 0] == 255
    photo = np.random.default_rng(0).integers(0, 40, (3, 20, 20)).astype(np.uint8)
    field = Field(photo, Path("a.jpg"), ("red", "green", "blue"))
    assert np.array_equal(viewable(field), np.moveaxis(photo, 0, -1))
    many = Field(np.repeat(plane[None], 6, axis=0), Path("a.tif"), tuple("abcdef"))
    assert viewable(many).shape == (100, 100, 1)


def test_texts_too_long_for_a_column_are_cut(tmp_path):
    tile = Tile(np.zeros((40, 60, 3), np.uint8), "a very long caption " * 20)
    size = write_sheet(
        tmp_path / "s.png", [("x" * 500,), ("short",)], [Row("t" * 500, (tile, tile))], legend=True
    )
    sheet = cv2.imread(str(tmp_path / "s.png"))
    assert sheet.shape[1::-1] == size
    # The gap between the two columns holds no text.
    assert (sheet[:18, TILE_PX + 9 : TILE_PX + 15] == 255).all()
