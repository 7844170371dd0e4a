"""What all screens share: modes, palette, jump mode, themes, memory of where one was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from textual.dom import DOMNode
from textual.widgets import Footer

import tui
from tui import settings
from tui.app import StemclsApp
from tui.commands import PLACES
from tui.modes import MODES
from tui.screens.mode import ModeScreen
from tui.screens.tour import STEPS, TourScreen

from .driving import screen_text, until

SIZE = (80, 24)


async def test_every_mode_opens_by_its_key_and_says_its_name(workspace) -> None:
    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE) as pilot:
        for name, mode in MODES.items():
            await pilot.press(mode.key)
            await until(pilot, f" {mode.key} {mode.title}")
            assert app.current_mode == name
            assert isinstance(app.screen, ModeScreen)
            bar, *rest = screen_text(app).splitlines()
            assert all(f"{entry.key} {entry.title}" in bar for entry in MODES.values())
            assert any(line.strip() for line in rest[:-1]), "an empty screen tells nobody anything"


async def test_a_click_on_the_bar_goes_to_a_mode(workspace) -> None:
    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE) as pilot:
        bar = (await until(pilot, "8 System")).splitlines()[0]
        await pilot.click(offset=(bar.index("Runs"), 0))
        await until(pilot, "▶ running")


async def test_the_palette_finds_commands_of_the_screen_and_runs_them(workspace) -> None:
    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "good.h5")
        await pilot.press("ctrl+p", *"go to runs")
        await until(pilot, lambda text: "Runs" in text)
        await pilot.press("ctrl+a", "ctrl+k", *"train on")
        await until(pilot, "Datasets: Train on it (t)")
        await pilot.press("down", "enter")
        await until(pilot, "broken.h5 cannot be opened")


async def test_a_letter_jumps_to_its_part_of_the_screen(workspace) -> None:
    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, "good.h5")
        before = app.focused
        chain = app.screen.focus_chain
        assert before is chain[0]
        await pilot.press("ctrl+o")
        await until(pilot, " s ")
        await pilot.press("s")
        await pilot.pause()
        assert app.focused is chain[1]
        await pilot.press("ctrl+o", "escape")
        await pilot.pause()
        assert app.focused is chain[1]


async def test_theme_and_place_are_remembered(workspace) -> None:
    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        await until(pilot, "▶ running")
        app.theme = "stemcls-colourblind"
        await pilot.press("enter")
        await until(pilot, "No evaluation yet")
        await pilot.press("q")
    again = StemclsApp(workspace)
    async with again.run_test(size=SIZE) as pilot:
        await until(pilot, "No evaluation yet")
        assert again.current_mode == "results"
        assert again.chosen_run == workspace / "saved_models" / "alive"
        assert again.theme == "stemcls-colourblind"


async def test_settings_that_cannot_be_read_are_named_and_not_overwritten(workspace, home) -> None:
    path = settings.settings_path()
    path.write_text('thema = "light"\n')
    app = StemclsApp(workspace)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(pilot, "Settings not read")
        await until(pilot, "theme")
        await pilot.press("q")
    assert path.read_text() == 'thema = "light"\n'


def test_a_place_of_another_version_or_a_run_that_is_gone_is_forgotten(tmp_path, home) -> None:
    settings.keep_place(tmp_path, settings.Place("results", run=str(tmp_path / "gone")))
    assert settings.read_place(tmp_path) == settings.Place("results")
    settings.state_path().write_text(f'{{"{tmp_path}": {{"unknown": 1}}}}')
    assert settings.read_place(tmp_path) == settings.Place()
    settings.state_path().write_text("[half")
    assert settings.read_place(tmp_path) == settings.Place()


async def test_a_terminal_that_is_too_small_says_so_until_it_grows(workspace) -> None:
    app = StemclsApp(workspace)
    async with app.run_test(size=(50, 12)) as pilot:
        await until(pilot, "60x16 at least")
        await pilot.resize_terminal(80, 24)
        await until(pilot, "good.h5")


async def test_without_colours_states_still_differ(workspace, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = StemclsApp(workspace)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        text = await until(pilot, "▶ running")
        assert "✗ crashed" in text
        colours = {
            part.style.color.triplet for strip in app.screen._compositor.render_strips()
            for part in strip if part.style and part.style.color and part.style.color.triplet
        }
        assert all(len(set(colour)) == 1 for colour in colours), "only greys are left"


async def test_a_workspace_that_cannot_be_read_is_told_once(workspace, monkeypatch) -> None:
    app = StemclsApp(workspace)

    def broken() -> None:
        raise OSError("the disk is gone")

    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "good.h5")
        monkeypatch.setattr(app._board, "read", broken)
        await until(pilot, "the disk is gone")
        await asyncio.sleep(0.7)
        assert len(app._notifications) == 1


async def test_the_first_paint_does_not_wait_for_the_disk(workspace, monkeypatch) -> None:
    app = StemclsApp(workspace)
    monkeypatch.setattr(app._board, "read", lambda: time.sleep(1.5))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert "1 Datasets" in screen_text(app)
        assert app.runs is None


@pytest.mark.parametrize("place", PLACES)
def test_no_key_has_two_meanings_at_a_place(place: str) -> None:
    keys = [key for command in PLACES[place].commands for key in command.keys.split(",")]
    assert len(keys) == len(set(keys))


def test_every_key_does_something_at_its_place() -> None:
    for folder in ("screens", "widgets"):
        for path in (Path(tui.__file__).parent / folder).glob("[!_]*.py"):
            import_module(f"tui.{folder}.{path.stem}")
    nodes: list[Any] = [node for node in _below(DOMNode) if "PLACE" in vars(node)]
    assert {node.PLACE for node in nodes} == set(PLACES)
    idle = [
        (node.__name__, command.action) for node in nodes for command in PLACES[node.PLACE].commands
        if not _does(node, command.action)
    ]
    assert idle == []


def _below(cls: type) -> Iterator[type]:
    for below in cls.__subclasses__():
        yield below
        yield from _below(below)


def _does(node: type, action: str) -> bool:
    where, _, name = action.partition("(")[0].rpartition(".")
    return hasattr(StemclsApp if where == "app" else node, f"action_{name}")


async def test_the_footer_shows_what_the_place_can_do(workspace) -> None:
    app = StemclsApp(workspace)
    async with app.run_test(size=(200, 60)) as pilot:
        await pilot.press("3")
        await until(pilot, "▶ running")
        assert app.screen.query_one(Footer)
        last = screen_text(app).splitlines()[-1]
        for command in PLACES["runs"].commands:
            assert not command.footer or command.label in last


async def test_who_comes_first_is_shown_around_once(tmp_path, home, monkeypatch) -> None:
    settings.settings_path().unlink()
    started = []
    monkeypatch.setattr("tui.commandlines.demo", started.append)
    app = StemclsApp(tmp_path)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "Welcome to stemcls (1/")
        await until(pilot, "d starts the demo")
        await pilot.press("d")
        await until(pilot, "The demo runs")
        assert started == [tmp_path]
        await pilot.press("enter", "enter", "left")
        for step, (mode, title, _) in enumerate(STEPS[1:], 2):
            await until(pilot, f"{title} ({step}/{len(STEPS)})")
            assert app.current_mode == mode
            await pilot.press("enter")
        await until(pilot, lambda text: "That is all" not in text)
    again = StemclsApp(tmp_path)
    async with again.run_test(size=SIZE) as pilot:
        await until(pilot, "No crop stores")
        assert not isinstance(again.screen, TourScreen)
        await pilot.press("f10")
        await until(pilot, "Welcome to stemcls (1/")
        await pilot.press("escape")
        await until(pilot, lambda text: "Welcome" not in text)
