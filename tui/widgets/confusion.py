"""A confusion matrix as a heat map: counts and row shares, and the cell's meaning in words."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from tui.commands import bindings
from tui.drawing import shade
from tui.widgets.table import Table


class ConfusionPane(Vertical):
    """Truth in rows, predicted class in columns; the cursor moves over the cells."""

    PLACE = "confusion"
    BINDINGS: ClassVar[list[BindingType]] = bindings("confusion")

    class Opened(Message):
        """The cells of an entry are asked for."""

        def __init__(self, truth: int, predicted: int) -> None:
            super().__init__()
            self.truth = truth
            self.predicted = predicted

    DEFAULT_CSS = """
    ConfusionPane > #confusion-table { height: auto; max-height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts: list[list[int]] = []
        self._labels: list[str] = []

    def compose(self) -> ComposeResult:
        """A line on how to read it, the matrix, the cell in words."""
        yield Static("No evaluation yet.", id="confusion-how", markup=False)
        yield Table(cursor_type="cell", cursor_background_priority="css", cell_padding=0,
                    id="confusion-table")
        yield Static("", classes="note", id="confusion-note", markup=False)

    def show(self, evaluation: dict[str, Any] | None) -> None:
        """Show the matrix of an evaluation; None leaves it empty."""
        counts = evaluation["confusion"] if evaluation else []
        labels = [str(name) for name in evaluation["labels"]] if evaluation else []
        if (counts, labels) == (self._counts, self._labels):
            return
        self._counts, self._labels = counts, labels
        table = self.query_one(Table)
        table.clear(columns=True)
        for name in labels:
            table.add_column(Text(f" {name} ", justify="right"), key=name)
        for truth, row in enumerate(counts):
            total = sum(row)
            cells = [
                _cell(count, total, truth == predicted) for predicted, count in enumerate(row)
            ]
            table.add_row(*cells, label=Text(f"{labels[truth]} "))
        self.query_one("#confusion-how", Static).update(
            "Rows: the truth. Columns: what the model said. Counts, and share of the row."
            if labels else "No evaluation yet."
        )
        self._explain(0, 0)

    def on_data_table_cell_highlighted(self, event: Table.CellHighlighted) -> None:
        """Say what the cell under the cursor means."""
        self._explain(event.coordinate.row, event.coordinate.column)

    def action_open(self) -> None:
        """Ask for the cells of the entry under the cursor."""
        at = self.query_one(Table).cursor_coordinate
        if self._labels:
            self.post_message(self.Opened(at.row, at.column))

    def on_data_table_cell_selected(self) -> None:
        """A second click on an entry asks for its cells."""
        self.action_open()

    def _explain(self, truth: int, predicted: int) -> None:
        self.query_one("#confusion-note", Static).update(
            meaning(self._counts, self._labels, truth, predicted)
        )


def meaning(counts: list[list[int]], labels: list[str], truth: int, predicted: int) -> str:
    """Return one cell of a confusion matrix as a sentence."""
    if truth >= len(counts) or predicted >= len(labels):
        return ""
    row, count = counts[truth], counts[truth][predicted]
    total, said = sum(row), sum(line[predicted] for line in counts)
    of_truth = f" ({count / total:.1%})" if total else ""
    of_said = f" That is {count / said:.1%} of all so called." if said else ""
    right = "rightly" if truth == predicted else "wrongly"
    return (
        f"Of {total} crops that are {labels[truth]}, {count}{of_truth} were {right} called "
        f"{labels[predicted]}.{of_said}"
    )


def _cell(count: int, total: int, right: bool) -> Text:
    share = count / total if total else 0.0
    return Text(f" {count:>4} {share:>4.0%} ", style=shade(share, right), justify="right")
