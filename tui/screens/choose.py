"""Choose one of the finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from tui.commands import bindings
from tui.drawing import number
from tui.widgets.scores import fill
from tui.widgets.table import Table

SHOWN = 1000


class ChooseRunScreen(ModalScreen[Path | None]):
    """A list of finished runs; returns the chosen one's folder.

    Args:
        rows: Of `RunsView`.
        about: What it is chosen for.
    """

    PLACE = "choose"
    BINDINGS: ClassVar[list[BindingType]] = bindings("choose")
    CSS = """
    ChooseRunScreen { align: center middle; }
    ChooseRunScreen > Vertical { width: 90%; max-width: 110; height: 80%; background: $surface;
                                 border: round $accent; }
    """

    def __init__(self, rows: list[dict[str, Any]], about: str) -> None:
        super().__init__()
        self._rows = [row for row in rows if row["state"] == "finished" and row["path"]][:SHOWN]
        self._about = about

    def compose(self) -> ComposeResult:
        """Title, list, keys."""
        with Vertical():
            yield Static(self._about, classes="title", markup=False)
            yield Table(cursor_type="row", id="choose-runs")
            if not self._rows:
                yield Static(
                    "No run of this workspace has finished yet: press 2 to train one, or 3 to see "
                    "how those under way are.", classes="empty", markup=False,
                )
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """List them."""
        rows: list[list[str | Text]] = []
        for row in self._rows:
            metrics = row["metrics"] or {}
            scores = (number(metrics.get(key)) for key in ("mean_recall", "auroc"))
            rows.append([Text(row["run"]), *scores])
        table = self.query_one(Table)
        fill(table, ("run", "recall", "AUROC"), rows)
        table.focus()

    def action_choose(self) -> None:
        """Return the run under the cursor."""
        place = self.query_one(Table).cursor_row
        if 0 <= place < len(self._rows):
            self.dismiss(Path(self._rows[place]["path"]))

    def on_data_table_row_selected(self) -> None:
        """A second click chooses."""
        self.action_choose()

    def action_back(self) -> None:
        """Choose nothing."""
        self.dismiss(None)
