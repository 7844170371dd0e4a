"""A table whose columns always fit what is in them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widgets import DataTable
from textual.widgets.data_table import RowKey


class Table(DataTable[Text]):
    """A `DataTable` that forgets the lines it drew before it measured its columns.

    Textual 8.2.8 measures new rows when the table is idle. A screen that is drawn before that keeps
    lines with the old widths in a cache whose key has no widths, and shows them from then on. One
    that is laid out before the table is mounted keeps its old height, where that follows the rows.
    """

    def _update_dimensions(self, new_rows: Iterable[RowKey]) -> None:
        super()._update_dimensions(new_rows)
        self._clear_caches()
        if self.styles.height is not None and self.styles.height.is_auto:
            self.call_after_refresh(self.refresh, layout=True)

    @property
    def plain(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows as text, labels of rows in a column of their own."""
        columns = [column.label.plain for column in self.ordered_columns]
        named = any(row.label for row in self.rows.values())
        rows = [
            [*([row.label.plain.strip() if row.label else ""] if named else ()),
             *(cell.plain.strip() for cell in self.get_row(key))]
            for key, row in self.rows.items()
        ]
        return ["", *columns] if named else columns, rows
