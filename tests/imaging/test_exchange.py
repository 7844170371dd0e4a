"""Circles come back from every format that other programs use."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import tifffile

from stemcls.errors import InputError
from stemcls.imaging.detection.exchange import WRITERS, Circle, read_circles

CIRCLES = [Circle(30.25, 41.5, 9.5), Circle(80.75, 20.0, 12.25), Circle(97.0, 44.4, 8.0)]


@pytest.mark.parametrize("kind", WRITERS)
def test_circles_make_a_round_trip(tmp_path, kind):
    ending, write = WRITERS[kind]
    path = tmp_path / f"field.tif{ending}"
    write(path, CIRCLES, (128, 96))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    fields, back = zip(*read_circles(path), strict=True)
    assert set(fields) == {"field.tif"}
    places = np.array([(one.y_px, one.x_px, one.radius_px) for one in back])
    known = np.array([(one.y_px, one.x_px, one.radius_px) for one in CIRCLES])
    exact = 0.3 if kind == "labels" else 0.01
    np.testing.assert_allclose(places, known, atol=exact)


@pytest.mark.parametrize("kind", ["imagej", "qupath"])
def test_labels_come_back_too(tmp_path, kind):
    ending, write = WRITERS[kind]
    write(tmp_path / f"a{ending}", [Circle(9, 9, 4, "round"), Circle(30, 9, 4)], (40, 40))
    assert [one.label for _, one in read_circles(tmp_path)] == ["round", ""]


def test_a_polygon_of_any_shape_is_a_circle_of_equal_area_about_its_centre(tmp_path):
    square = [[10, 20], [14, 20], [14, 24], [10, 24], [10, 20]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [square]}}
    (tmp_path / "a.geojson").write_text(json.dumps({"features": [feature]}), encoding="utf-8")
    ((field, circle),) = read_circles(tmp_path / "a.geojson")
    assert field == "a"
    # QuPath counts from the corner of the first pixel, the product from its centre.
    assert (circle.y_px, circle.x_px) == (21.5, 11.5)
    assert circle.radius_px == pytest.approx(4 / math.sqrt(math.pi))


def test_touching_cells_share_no_pixel_of_a_label_image(tmp_path):
    two = [Circle(20, 20, 8), Circle(20, 32, 8)]
    WRITERS["labels"][1](tmp_path / "a.labels.tif", two, (40, 60))
    labels = tifffile.imread(tmp_path / "a.labels.tif")
    assert labels[20, 25] == 1
    assert labels[20, 27] == 2
    assert labels[0, 0] == 0


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.geojson", b"{", "no GeoJSON"),
        ("a.geojson", b'{"features": [{"type": "Feature"}]}', "no GeoJSON"),
        ("a.zip", b"nothing", "no file of ImageJ"),
        ("a.tif", b"nothing", "cannot be read"),
    ],
)
def test_what_is_no_outline_is_refused_by_name(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.*{told}"):
        list(read_circles(tmp_path / name))


def test_a_picture_is_no_label_image(tmp_path):
    picture = np.zeros((3, 40, 40), np.float32)
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="minisblack")
    with pytest.raises(InputError, match="expected a label image"):
        list(read_circles(tmp_path / "a.tif"))


def test_a_folder_without_outlines_says_what_it_looks_for(tmp_path):
    with pytest.raises(InputError, match="holds no outlines"):
        list(read_circles(tmp_path))
