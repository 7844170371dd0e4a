"""Pictures reach a terminal with graphics, and what it keeps of them is freed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from textual.app import App, ComposeResult

from tui.settings import Settings
from tui.widgets.fieldview import SKY_BLUE, Circle, FieldView
from tui.widgets.gallery import Cell, Gallery
from tui.widgets.pictures import Picture, drawn_as, half_cells


class Shown(App[None]):
    """One widget, and settings as the real app has them."""

    def __init__(self, widget: Picture | Gallery, pictures: str) -> None:
        super().__init__()
        self.settings = replace(Settings(), pictures=pictures)
        self._widget = widget

    def compose(self) -> ComposeResult:
        yield self._widget


def _written(app: App[None]) -> str:
    return "".join(
        part.text for strip in app.screen._compositor.render_strips() for part in strip
    )


def test_half_cells_hold_two_pixels_each() -> None:
    pixels = np.zeros((4, 3, 3), np.uint8)
    pixels[0, 1] = 252, 128, 0
    strips = half_cells(pixels)
    assert [strip.text for strip in strips] == ["▀▀▀", "▀▀▀"]
    style = next(iter(list(strips[0])[1:2])).style
    assert tuple(style.color.triplet) == (252, 128, 0)
    assert tuple(style.bgcolor.triplet) == (0, 0, 0)


def test_auto_is_half_cells_where_no_terminal_was_asked(monkeypatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "textual_image.renderable", raising=False)
    assert drawn_as("auto") == "halfcell"
    assert drawn_as("sixel") == "sixel"


async def test_kitty_gets_each_picture_once_and_is_told_to_forget_it(monkeypatch) -> None:
    from textual_image.renderable import tgp

    sent: list[dict[str, object]] = []
    monkeypatch.setattr(tgp, "_send_tgp_message", lambda **parts: sent.append(parts))
    picture = Picture(np.zeros((8, 8, 1), np.uint8), "a cell")
    async with (app := Shown(picture, "kitty")).run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        assert chr(tgp._PLACEHOLDER) in _written(app)
        assert "a cell" in _written(app)
        first = {parts["i"] for parts in sent if "i" in parts}
        picture.marked = True
        await pilot.pause()
        assert {parts["i"] for parts in sent if "i" in parts} == first
        picture.pixels = np.ones((8, 8, 3), np.uint8)
        await pilot.pause()
        assert {"a": "d", "I": next(iter(first))} in sent
    kept = {parts["i"] for parts in sent if "i" in parts}
    assert kept == {parts["I"] for parts in sent if parts.get("a") == "d"}


async def test_sixels_are_written_over_the_text() -> None:
    picture = Picture(np.full((8, 8, 3), 200, np.uint8), "a cell")
    async with (app := Shown(picture, "sixel")).run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        await pilot.pause()
        assert "\x1bP" in _written(app)
        picture.pixels = np.full((8, 8, 3), 100, np.uint8)
        await pilot.pause()
        assert "\x1bP" in _written(app)


@pytest.mark.parametrize("pictures", ["halfcell", "kitty"])
async def test_a_field_shows_its_circles_at_any_zoom(pictures, monkeypatch) -> None:
    from textual_image.renderable import tgp

    monkeypatch.setattr(tgp, "_send_tgp_message", lambda **_: None)
    view = FieldView()
    async with Shown(view, pictures).run_test(size=(40, 12)) as pilot:
        view.show(np.zeros((200, 300, 3), np.uint8), [Circle(50, 60, 20)])
        view.focus()
        await pilot.pause()

        def blue() -> bool:
            pixels = view.finish(view.pixels) if pictures == "halfcell" else view.pixels
            return bool((np.asarray(pixels) == SKY_BLUE).all(axis=-1).any())

        assert blue()
        await pilot.press("+")
        assert view.pixels.shape == (100, 150, 3)
        await pilot.press("right", "right", "down", "down", "down")
        assert not blue(), "the circle is left and above of the window now"
        await pilot.press("-")
        assert view.pixels.shape == (200, 300, 3)
        view.show(None)
        await pilot.pause()


async def test_a_gallery_keeps_the_cursor_in_sight_and_says_when_it_ends() -> None:
    said: list[object] = []

    class Told(Shown):
        def on_gallery_beyond(self, event: Gallery.Beyond) -> None:
            said.append(event.step)

        def on_gallery_chosen(self, event: Gallery.Chosen) -> None:
            said.append(f"chose {event.index}")

    gallery = Gallery([Cell(np.zeros((4, 4, 1), np.uint8), f"c{one}") for one in range(20)])
    async with (app := Told(gallery, "halfcell")).run_test(size=(40, 20)) as pilot:
        gallery.focus()
        await pilot.pause()
        await pilot.press("left", "down", "down", "down", "enter")
        assert said == [-1, "chose 6"]
        assert "▶c6" in _written(app)
        assert "c0" not in _written(app)
        await pilot.press("pagedown", "pagedown", "pagedown", "pagedown", "right")
        assert said[2:] == [1]
        await pilot.click(Picture)
        assert "▶c16" in _written(app)
        gallery.show([])
        await pilot.press("right", "enter")
        assert said[3:] == []
