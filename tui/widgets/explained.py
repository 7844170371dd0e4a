"""What a run's model looks at: a line for every method that explained it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from stemcls.evaluation.saliency import conclusion
from tui.commands import bindings
from tui.drawing import number
from tui.widgets.table import Table

COLUMNS = ("method", "pixel score", "inside", "area", "check", "cells", "layer", "folder")


class ExplainedPane(Vertical):
    """Methods with their pixel scores, and where the pictures are."""

    PLACE = "explained"
    BINDINGS: ClassVar[list[BindingType]] = bindings("explained")
    DEFAULT_CSS = """
    #explained-note { height: auto; padding-bottom: 1; }
    #explained-table { height: auto; max-height: 1fr; }
    #explained-detail { height: auto; padding-top: 1; }
    """

    class Opened(Message):
        """The pictures of a method are asked for."""

        def __init__(self, folder: Path, method: str) -> None:
            super().__init__()
            self.folder = folder
            self.method = method

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[dict[str, Any]] = []
        self._home = Path()

    def compose(self) -> ComposeResult:
        """Note, table, and the line that the cursor is on in words."""
        yield Static("", id="explained-note", markup=False)
        yield Table(cursor_type="row", id="explained-table")
        yield Static("", id="explained-detail", markup=False)

    def show(self, run: Path, rows: list[dict[str, Any]]) -> None:
        """Fill the table with what `tui.reading.read_explanations` found of a run."""
        self._rows = rows
        self._home = run / "explanations"
        note = f"Nothing yet. Press 6, then n, or run: stemcls explain {run}"
        if rows:
            note = (
                "Pixel score: saliency from 0.5 on, mean of all pixels. Inside, area: share of the "
                "saliency on the cell, and of the pixels."
            )
        self.query_one("#explained-note", Static).update(note)
        table = self.query_one("#explained-table", Table)
        table.clear(columns=True)
        table.display = bool(rows)
        for place, name in enumerate(COLUMNS):
            table.add_column(Text(name, justify="right" if 0 < place < 4 else "left"), key=name)
        for row in rows:
            table.add_row(*_cells(row))
        self._tell(0)

    def on_data_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        """Say more of the method under the cursor."""
        self._tell(event.cursor_row)

    def action_open(self) -> None:
        """Ask for the pictures of the method under the cursor."""
        place = self.query_one(Table).cursor_row
        if place >= len(self._rows):
            return
        row = self._rows[place]
        if row.get("problem"):
            self.app.notify(row["problem"], severity="error", markup=False)
        else:
            self.post_message(self.Opened(self._home / row["folder"], row["method"]))

    def on_data_table_row_selected(self) -> None:
        """A second click on a method asks for its pictures."""
        self.action_open()

    def _tell(self, place: int) -> None:
        text = ""
        if place < len(self._rows):
            row = self._rows[place]
            verdict = (row.get("check") or {}).get("verdict", "")
            said = "" if row.get("problem") else conclusion(row["method"], row.get("inside"))
            text = row.get("problem") or "\n".join(
                filter(None, (said, verdict, f"pictures: {row['gallery']}"))
            )
        self.query_one("#explained-detail", Static).update(text)


def _cells(row: dict[str, Any]) -> list[Text]:
    inside, check = row.get("inside") or {}, row.get("check")
    passed = "-" if not check else "passed" if check.get("passed") else "failed"
    texts = [
        row.get("method", "✗"), number(row.get("pixel_score")), number(inside.get("mass")),
        number(inside.get("area")), passed, str(row.get("n", "-")), row.get("layer") or "-",
        row["folder"],
    ]
    return [Text(text, justify="right" if 0 < i < 4 else "left") for i, text in enumerate(texts)]
