"""Overlays show each cell in its class's colour."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.imaging.overlay import class_color, draw_overlay


def test_circles_have_the_colour_of_their_class(tmp_path):
    image = np.zeros((100, 100, 1), np.uint8)
    centers, radius = np.array([[30.0, 30.0], [70.0, 70.0]]), np.array([10.0, 12.0])
    path = tmp_path / "o.png"
    draw_overlay(image, centers, radius, path, np.array([0, 1]), scores=np.array([0.5, 0.25]))
    drawn = cv2.imread(str(path))[..., ::-1]
    for label, (y, x) in enumerate([(30, 40), (70, 82)]):
        seen = drawn[y, x] / np.linalg.norm(drawn[y, x])
        wanted = np.array(class_color(label)) / np.linalg.norm(class_color(label))
        assert seen @ wanted > 0.999
    assert not drawn[30, 30].any()
    assert [entry.name for entry in tmp_path.iterdir()] == ["o.png"]


def test_a_legend_is_drawn_only_with_class_names(tmp_path):
    image = np.full((100, 100, 3), 128, np.uint8)
    nothing = np.zeros((0, 2)), np.zeros(0)
    draw_overlay(image, *nothing, tmp_path / "a.png")
    draw_overlay(image, *nothing, tmp_path / "b.png", classes=("A", "B"))
    assert (cv2.imread(str(tmp_path / "a.png")) == 128).all()
    assert not (cv2.imread(str(tmp_path / "b.png")) == 128).all()


def test_the_first_eight_colours_differ():
    assert len({class_color(index) for index in range(8)}) == 8


def test_only_png_in_an_existing_folder_is_written(tmp_path):
    nothing = np.zeros((4, 4, 1), np.uint8), np.zeros((0, 2)), np.zeros(0)
    with pytest.raises(InputError, match="an overlay is a PNG file"):
        draw_overlay(*nothing, tmp_path / "o.jpg")
    with pytest.raises(InputError, match="there is no folder"):
        draw_overlay(*nothing, tmp_path / "none" / "o.png")
