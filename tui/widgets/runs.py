"""The list of runs: live, filtered and sorted; the selected one is described below it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static

from tui.commands import bindings
from tui.listing import COLUMNS, ORDERS, Listing, Row, cells, pages
from tui.reading import RunsView
from tui.widgets.plot import MARKS
from tui.widgets.table import Table


class RunList(Vertical):
    """Runs and jobs of a workspace.

    Args:
        workspace: Its saved_models/ is shown.

    Attributes:
        marked: Keys of the marked rows, in order.
    """

    PLACE = "run-list"
    BINDINGS: ClassVar[list[BindingType]] = bindings("run-list")
    DEFAULT_CSS = """
    RunList > #run-filter { display: none; }
    RunList > #run-filter.-open { display: block; }
    RunList > #run-head { height: 1; color: $text-muted; padding: 0 1; }
    """

    class Opened(Message):
        """A person wants to see the selected run."""

    class Chosen(Message):
        """Another run is selected, or others are marked."""

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._workspace = workspace
        self._view = RunsView()
        self._listing = Listing()
        self._found: list[Row] = []
        self._shown: list[tuple[Row, str]] = []
        self.marked: dict[str, None] = {}

    def compose(self) -> ComposeResult:
        """Filter, one line on what is shown, table, a note on the selected run."""
        yield Input(placeholder="words to find", id="run-filter", compact=True)
        yield Static("", id="run-head", markup=False)
        yield Table(cursor_type="row", id="run-table")
        yield Static("Looking ...", classes="note", id="run-note", markup=False)

    def on_mount(self) -> None:
        """Lay out the columns."""
        table = self.query_one(Table)
        table.add_column("", key="mark", width=1)
        for column in COLUMNS:
            table.add_column(column.name, key=column.name)
        table.focus()

    def show(self, view: RunsView) -> None:
        """Show these runs: cells change in place, rows only when runs come or go."""
        self._view = view
        self._arrange()

    @property
    def selected(self) -> dict[str, Any] | None:
        """The row under the cursor, as from `RunBoard.read`."""
        place = self.query_one(Table).cursor_row
        return self._shown[place][0] if 0 <= place < len(self._shown) else None

    @property
    def compared(self) -> list[tuple[Row, str]]:
        """The runs whose curves are wanted, each with its mark: the marked ones, else the selected.
        """
        rows = {row["key"]: row for row in self._view.rows}
        marked = [(rows[key], mark) for key, mark in self._marks().items() if key in rows]
        if marked or self.selected is None:
            return marked
        return [(self.selected, MARKS[0])]

    def _marks(self) -> dict[str, str]:
        return {key: MARKS[place % len(MARKS)] for place, key in enumerate(self.marked)}

    def _arrange(self) -> None:
        before = self.selected
        self._found = self._listing.apply(self._view.rows)
        last = pages(self._found) - 1
        if self._listing.page > last:
            self._listing = replace(self._listing, page=last)
        marks = self._marks()
        shown = [(row, marks.get(row["key"], "")) for row in self._listing.cut(self._found)]
        self._draw(shown, before["key"] if before else "")
        self._tell()

    def _draw(self, shown: list[tuple[Row, str]], selected: str) -> None:
        table = self.query_one(Table)
        old, self._shown = self._shown, shown
        keys = [row["key"] for row, _ in shown]
        if keys == [row["key"] for row, _ in old]:
            for (was, marked), (row, mark) in zip(old, shown, strict=True):
                if was is not row or marked != mark:
                    _change_cells(table, row["key"], cells(was, marked), cells(row, mark))
            return
        at = table.cursor_row
        table.clear()
        for row, mark in shown:
            table.add_row(*cells(row, mark), key=row["key"])
        # A job that became a run leaves the cursor on its place: the newest run is its.
        table.move_cursor(row=keys.index(selected) if selected in keys else min(at, len(keys) - 1))

    def _tell(self) -> None:
        listing, total = self._listing, len(self._view.rows)
        parts = [f"{total} run{'' if total == 1 else 's'}" if len(self._found) == total else
                 f"{len(self._found)} of {total} runs"]
        parts.append(f"by {listing.order}{', turned' if listing.turned else ''}")
        if pages(self._found) > 1:
            parts.append(f"page {listing.page + 1} of {pages(self._found)} (< >)")
        if listing.wanted:
            parts.append(f"with {listing.wanted!r} (esc: all)")
        if self.marked:
            parts.append(f"{len(self.marked)} marked (u: none)")
        self.query_one("#run-head", Static).update("   ".join(parts))
        self.query_one("#run-note", Static).update(self._note())

    def _note(self) -> Text:
        row = self.selected
        if row is None and self._view.rows:
            return Text("No run has these words. / changes them, esc shows all.")
        if row is None:
            return Text(
                f"No runs in {self._workspace / 'saved_models'} yet.\n"
                "Press 2 to choose a store and train on it, or run: stemcls demo"
            )
        hints = {
            "crashed": "r resumes it, a begins it again. ", "cancelled": "r resumes it. ",
            "failed": "r resumes it, a begins it again. ", "queued": "s takes it out. ",
            "stalled": "It lives but has said nothing for some minutes. ",
        }
        text = Text(hints.get(row["state"], ""), style="bold")
        folder = f"saved_models/{row['run']}" if row["path"] else ""
        text.append(str(row["message"] or folder), style="not bold")
        told = [", ".join(row["tags"]), row["note"]]
        if any(told):
            text.append(f"\n{'   '.join(filter(None, told))}", style="not bold italic")
        return text

    def on_data_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        """Describe the run that the cursor came to."""
        event.stop()
        self.query_one("#run-note", Static).update(self._note())
        self.post_message(self.Chosen())

    def on_data_table_header_selected(self, event: Table.HeaderSelected) -> None:
        """Sort by a column; once more turns it round."""
        event.stop()
        if event.column_key.value in ORDERS:
            self._sort(str(event.column_key.value))

    def action_filter(self) -> None:
        """Type words that a run must have."""
        field = self.query_one("#run-filter", Input)
        field.add_class("-open")
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the runs that have what is typed."""
        event.stop()
        self._listing = replace(self._listing, wanted=event.value, page=0)
        self._arrange()

    def action_enter(self) -> None:
        """Open the selected run; in the filter, go into the list that was found."""
        if self.query_one("#run-filter").has_focus:
            self._leave_filter()
        else:
            self.post_message(self.Opened())

    def action_unfilter(self) -> None:
        """Show all runs again."""
        self.query_one("#run-filter", Input).value = ""
        self._leave_filter()

    def _leave_filter(self) -> None:
        field = self.query_one("#run-filter", Input)
        field.set_class(bool(field.value), "-open")
        self.query_one(Table).focus()

    def action_sort(self, step: int) -> None:
        """Sort by the next column, or the other way round."""
        if not step:
            self._sort(self._listing.order)
            return
        self._sort(ORDERS[(ORDERS.index(self._listing.order) + step) % len(ORDERS)])

    def _sort(self, order: str) -> None:
        again = order == self._listing.order
        turned = not self._listing.turned if again else False
        self._listing = replace(self._listing, order=order, turned=turned, page=0)
        self._arrange()

    def action_page(self, step: int) -> None:
        """Show the next page of runs, or the one before."""
        page = min(max(self._listing.page + step, 0), pages(self._found) - 1)
        self._listing = replace(self._listing, page=page)
        self._arrange()

    def action_mark(self) -> None:
        """Lay the selected run's curves over those of the other marked ones, or take them off."""
        row = self.selected
        if row is None:
            return
        if row["key"] in self.marked:
            del self.marked[row["key"]]
        else:
            self.marked[row["key"]] = None
        self._arrange()
        self.query_one(Table).action_cursor_down()
        self.post_message(self.Chosen())

    def action_unmark(self) -> None:
        """Take all marks off."""
        self.marked.clear()
        self._arrange()
        self.post_message(self.Chosen())


def _change_cells(table: Table, key: str, old: list[Text], new: list[Text]) -> None:
    names = ("mark", *(column.name for column in COLUMNS))
    for name, was, cell in zip(names, old, new, strict=True):
        if was != cell:
            table.update_cell(key, name, cell, update_width=True)
