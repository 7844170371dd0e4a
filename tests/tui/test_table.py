"""The table that measures itself: what Textual alone shows cut off."""

from __future__ import annotations

import asyncio
from typing import Any

from textual.app import App, ComposeResult
from textual.widgets import DataTable

from tui.widgets.table import Table

NAME = "a long name of a store.h5"


class TableApp(App[None]):
    """One table with one row."""

    def __init__(self, kind: type[DataTable[Any]]) -> None:
        super().__init__()
        self.kind = kind

    def compose(self) -> ComposeResult:
        yield self.kind(cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("store", "n")
        table.add_row("a", "1")


def shown(kind: type[DataTable[Any]]) -> str:
    """Return the screen after rows were exchanged and drawn before the table was idle."""

    async def drive() -> str:
        app = TableApp(kind)
        async with app.run_test(size=(60, 6)) as pilot:
            await pilot.pause()
            table = app.query_one(DataTable)
            table.clear()
            table.add_row(NAME, "12")
            app.screen._compositor.render_strips()
            await pilot.pause(0.1)
            lines = app.screen._compositor.render_strips()
            return "\n".join("".join(part.text for part in strip) for strip in lines)

    return asyncio.run(drive())


def test_rows_that_are_drawn_before_they_are_measured_are_drawn_again() -> None:
    assert NAME in shown(Table)


def test_the_table_of_textual_still_needs_it() -> None:
    assert NAME not in shown(DataTable), "Textual measures in time now: tui.widgets.table can go"
