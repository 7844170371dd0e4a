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
