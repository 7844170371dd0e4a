"""One prediction: its fields with classed cells drawn in, composition, and a score cut by key."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

import numpy as np
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from stemcls.errors import StemclsError
from tui.commands import bindings
from tui.drawing import bar
from tui.exports import EXPORTS, write_export
from tui.predicted import COLOURS, PredictedField, PredictedTable, draw_cells, read_picture
from tui.screens.mode import ModeScreen
from tui.widgets.pictures import Picture, drawn_as
from tui.widgets.scores import fill
from tui.widgets.table import Table

SHOWN = 1000
_STEPS = 100
_FINE_PX = 720
_FIELDS_COLUMNS, _OTHER_ROWS = 36, 8


class PredictedScreen(ModeScreen):
    """Fields of a prediction, and what is in them from a score on.

    Args:
        table: What was predicted.
        name: Of the prediction.
    """

    MODE = "predict"
    PLACE = "predicted"
    BINDINGS: ClassVar[list[BindingType]] = bindings("predicted")
    CSS = """
    #predicted-fields { width: 36; }
    #predicted-side { width: 1fr; border-left: solid $panel; }
    #predicted-note { height: auto; padding: 0 1; }
    #composition { height: auto; max-height: 50%; padding: 0 1; overflow-y: auto; }
    """

    def __init__(self, table: PredictedTable, name: str) -> None:
        super().__init__()
        self._table = table
        self._name = name
        self._step = 0
        self._field: PredictedField | None = None
        self._picture: tuple[np.ndarray, float] | None = None

    def compose_body(self) -> ComposeResult:
        """Fields, beside the picture of one and what is in it."""
        table = self._table
        yield Static(
            f"{self._name}   {len(table.score)} cells of {len(table.fields)} files",
            classes="title", markup=False,
        )
        with Horizontal():
            yield Table(cursor_type="row", id="predicted-fields")
            with Vertical(id="predicted-side"):
                yield Static("", id="predicted-note", markup=False)
                yield Picture(id="predicted-picture")
                yield Static("", id="composition", markup=False)

    def on_mount(self) -> None:
        """List the fields."""
        fields = self._table.fields
        rows = [[Path(field.path).name, str(len(field.rows))] for field in fields[:SHOWN]]
        listed = self.query_one(Table)
        more = f" (first {SHOWN})" if len(fields) > SHOWN else ""
        fill(listed, (f"field{more}", "cells"), rows)
        listed.focus()
        self._show_composition()

    @property
    def _edge_px(self) -> int:
        """Longest edge that the terminal can show, so that rings are drawn at that size."""
        if drawn_as(self.stemcls.settings.pictures) != "halfcell":
            return _FINE_PX
        return max(self.size.width - _FIELDS_COLUMNS, 2 * (self.size.height - _OTHER_ROWS), 32)

    @property
    def cut(self) -> float:
        """Least score that counts."""
        return self._step / _STEPS

    @work(exclusive=True)
    async def on_data_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        """Show the field under the cursor."""
        if event.cursor_row >= len(self._table.fields):
            return
        field = self._table.fields[event.cursor_row]
        note = field.path
        try:
            picture = await asyncio.to_thread(read_picture, field, self._edge_px)
        except StemclsError as error:
            picture, note = None, str(error)
        else:
            if picture is None:
                note += "\nThere is no picture of it: crops, stores and --no-overlay have none."
        if not self.is_shown:
            return
        self._field, self._picture = field, picture
        self.query_one("#predicted-note", Static).update(note)
        self._draw()
        self._show_composition()

    def action_move(self, steps: int) -> None:
        """Move the cut by so many hundredths."""
        self._step = min(max(self._step + steps, 0), _STEPS)
        self._draw()
        self._show_composition()

    def _draw(self) -> None:
        picture = self.query_one("#predicted-picture", Picture)
        picture.display = self._picture is not None
        if self._picture is not None and self._field is not None:
            pixels, scale = self._picture
            picture.pixels = draw_cells(self._table, self._field, pixels, scale, self.cut)

    def _show_composition(self) -> None:
        table = self._table
        everywhere = table.composition(self.cut)
        here = table.composition(self.cut, self._field.rows) if self._field else None
        total = max(int(everywhere.sum()), 1)
        text = Text()
        text.append(f"score from {self.cut:.2f} ", "bold")
        text.append(f"{bar(self.cut, 8):<8}", "cyan")
        text.append(f" {int(everywhere.sum())} of {len(table.score)} cells\n")
        width = max(len(name) for name in table.classes)
        text.append(f"  {'':<{width}} {'here':>6} {'all':>7}  share\n", "dim")
        for number, name in enumerate(table.classes):
            red, green, blue = COLOURS[number % len(COLOURS)]
            text.append("● ", f"rgb({red},{green},{blue})")
            count = "-" if here is None else str(here[number])
            share = everywhere[number] / total
            text.append(f"{name:<{width}} {count:>6} {everywhere[number]:>7}  {share:6.1%} ")
            text.append(f"{bar(share, 10)}\n", "cyan")
        self.query_one("#composition", Static).update(text)

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """Write the cells from the cut on as a new table."""
        table, cut = self._table, self.cut
        try:
            path = await asyncio.to_thread(
                write_export, self.stemcls.workspace, f"{self._name}-from-{cut:.2f}",
                table.header, table.lines_from(cut),
            )
        except OSError as error:
            self.app.notify(str(error), severity="error", markup=False)
        else:
            self.app.notify(f"{EXPORTS}/{path.name}", title="Written", markup=False)

    def action_back(self) -> None:
        """Return to the list."""
        self.dismiss(None)
