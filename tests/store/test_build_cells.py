"""Crops are centred on cells, known or found, and those left out are counted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stemcls.config.imaging import BuildConfig, DetectConfig
from stemcls.errors import InputError
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore

CELLS = [(60, 50), (60, 150), (150, 100)]
FIND = DetectConfig(min_sigma=3.0, max_sigma=8.0)


def write_field(path: Path, cells=CELLS, background: int = 40) -> Path:
    """A grey 200x200 field with bright discs of radius 8 at (y, x)."""
    image = np.full((200, 200), background, np.uint8)
    image[::2] += 1
    for y, x in cells:
        cv2.circle(image, (x, y), 8, 200, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return path


def write_table(path: Path, rows: list[str], header: str = "field,x_px,y_px,label") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_known_centres_are_in_the_middle_of_their_crops(tmp_path):
    field = write_field(tmp_path / "src" / "a.png")
    rows = [f"a.png,{x},{y},{label}" for (y, x), label in zip(CELLS, "uvu", strict=True)]
    table = write_table(tmp_path / "cells.csv", rows)
    config = BuildConfig(crop_px=33)
    document = build_store(tmp_path / "src", tmp_path / "out.h5", config, cells=table)
    store = CropStore.open(tmp_path / "out.h5")
    assert document["classes"] == {"u": 2, "v": 1}
    assert store.centers_px.tolist() == [[float(y), float(x)] for y, x in CELLS]
    assert store.labels.tolist() == [0, 1, 0]
    image = cv2.imread(str(field), cv2.IMREAD_UNCHANGED)
    for row, (y, x) in enumerate(CELLS):
        expected = image[y - 16 : y + 17, x - 16 : x + 17]
        np.testing.assert_array_equal(store.read([row])[0, ..., 0], expected)
    # Discs fill the circle of radius 33 / 4 that a centre without a radius is measured over.
    assert store.intensity.shape == (3, 1)
    assert (store.intensity > 120).all()
    assert store.fields.n_cells.tolist() == [3]


def test_cells_at_the_edge_or_outside_are_dropped_and_counted(tmp_path):
    write_field(tmp_path / "src" / "a.png")
    rows = ["a.png,50,60,u", "a.png,3,60,u", "a.png,500,60,u"]
    table = write_table(tmp_path / "cells.csv", rows)
    config = BuildConfig(edge="drop")
    document = build_store(tmp_path / "src", tmp_path / "out.h5", config, cells=table)
    assert document["crops"] == 1
    assert document["dropped"] == {"outside the field": 1, "crop leaves the field": 1}


def test_cells_at_the_edge_are_kept_where_the_field_is_reflected(tmp_path):
    write_field(tmp_path / "src" / "a.png")
    table = write_table(tmp_path / "cells.csv", ["a.png,3,60,u"])
    config = BuildConfig(edge="reflect")
    document = build_store(tmp_path / "src", tmp_path / "out.h5", config, cells=table)
    assert (document["crops"], document["dropped"], document["at_border"]) == (1, {}, 1)


def test_only_cells_at_the_edge_is_an_error_that_counts_them(tmp_path):
    write_field(tmp_path / "src" / "a.png")
    table = write_table(tmp_path / "cells.csv", ["a.png,3,60,u"])
    with pytest.raises(InputError, match=r"no crops: .*dropped: 1 crop leaves the field"):
        build_store(
            tmp_path / "src", tmp_path / "out.h5", BuildConfig(edge="drop"), cells=table
        )


def test_groups_of_single_cells_and_radii_come_from_the_table(tmp_path):
    write_field(tmp_path / "src" / "a.png")
    rows = ["a.png,50,60,u,d1,8", "a.png,150,60,u,d2,", "a.png,100,150,u,,"]
    table = write_table(tmp_path / "cells.csv", rows, "field,x_px,y_px,label,group,radius_px")
    build_store(tmp_path / "src", tmp_path / "out.h5", BuildConfig(), cells=table)
    store = CropStore.open(tmp_path / "out.h5")
    names = [store.group_names[index] for index in store.group_index]
    assert names == ["d1", "d2", "a.png"], "a cell without a group is kept apart by its field"
    np.testing.assert_array_equal(store.radius_px, [8, np.nan, np.nan])
    assert store.group_what == "group"


def test_cells_are_found_and_inherit_the_label_of_their_field(tmp_path):
    write_field(tmp_path / "src" / "aged" / "a.png")
    write_field(tmp_path / "src" / "young" / "b.png", CELLS[:2])
    config = BuildConfig(crop_px=48, detect=FIND)
    document = build_store(tmp_path / "src", tmp_path / "out.h5", config)
    store = CropStore.open(tmp_path / "out.h5")
    assert document["classes"] == {"aged": 3, "young": 2}
    first = store.centers_px[store.field_index == 0]
    found = sorted(first.tolist(), key=lambda center: (round(center[0]), center[1]))
    np.testing.assert_allclose(found, CELLS, atol=1.5)


def test_found_cells_take_the_label_of_the_known_cell_they_match(tmp_path):
    write_field(tmp_path / "src" / "a.png")
    # One centre 3 px off, one exact, one where there is no cell; the third disc is not known.
    rows = ["a.png,53,60,u", "a.png,150,60,v", "a.png,60,160,w"]
    table = write_table(tmp_path / "cells.csv", rows)
    config = BuildConfig(crop_px=48, match_px=6.0, detect=FIND)
    document = build_store(tmp_path / "src", tmp_path / "out.h5", config, cells=table)
    store = CropStore.open(tmp_path / "out.h5")
    assert document["classes"] == {"u": 1, "v": 1, "w": 0}
    assert document["dropped"] == {"known cells not found": 1, "found but not known": 1}
    place = {store.classes[label]: center for label, center in
             zip(store.labels, store.centers_px, strict=True)}
    np.testing.assert_allclose(place["u"], (60, 50), atol=1.5)


def test_a_field_without_cells_stays_in_the_table_of_fields(tmp_path):
    write_field(tmp_path / "src" / "x" / "a.png")
    write_field(tmp_path / "src" / "x" / "b.png", [])
    config = BuildConfig(crop_px=48, detect=FIND)
    document = build_store(tmp_path / "src", tmp_path / "out.h5", config)
    store = CropStore.open(tmp_path / "out.h5")
    assert document["fields"] == 2
    assert store.fields.n_cells.tolist() == [3, 0]


def test_channels_that_are_not_in_the_crop_are_measured_and_padded(tmp_path, write_image):
    write_image(tmp_path / "src" / "a.png", shape=(64, 64, 3))
    write_image(tmp_path / "src" / "b.png", shape=(64, 64))
    table = write_table(
        tmp_path / "cells.csv", ["a.png,32,32", "b.png,32,32"], "field,x_px,y_px"
    )
    config = BuildConfig(crop_px=16, channels="grey")
    build_store(tmp_path / "src", tmp_path / "out.h5", config, cells=table)
    store = CropStore.open(tmp_path / "out.h5")
    assert store.n_channels == 1
    assert store.intensity.shape == (2, 3)
    assert np.isnan(store.intensity[1, 1:]).all()
    assert len(store.intensity_channels) == 3
