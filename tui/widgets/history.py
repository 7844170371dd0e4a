"""The tab of epochs: the latest first, and the validation loss as a line."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from tui.drawing import curve, number
from tui.widgets.scores import fill
from tui.widgets.table import Table

SHOWN_EPOCHS = 500
EPOCH_KEYS = {
    "loss": "loss", "val_loss": "val_loss", "accuracy": "acc", "val_accuracy": "val_acc",
    "learning_rate": "rate", "seconds": "seconds",
}


class HistoryPane(Vertical):
    """A row for each epoch of a run, of all its folds."""

    def compose(self) -> ComposeResult:
        """The line, the table."""
        yield Static("", id="history-note", markup=False)
        yield Table(cursor_type="row", id="history-table")

    def show(self, epochs: list[dict[str, Any]]) -> None:
        """Show these epochs, as `RunView.epochs`."""
        losses = [epoch.get("val_loss") for epoch in epochs]
        note = "No epoch has ended yet."
        if epochs:
            note = f"{len(epochs)} epochs, the latest first. val_loss, oldest to latest:"
        self.query_one("#history-note", Static).update(Text(f"{note}\n{curve(losses, 76)}"))
        folds = any(epoch["fold"] for epoch in epochs)
        columns = (*(("fold",) if folds else ()), "stage", "epoch", *EPOCH_KEYS.values())
        rows = []
        for epoch in reversed(epochs[-SHOWN_EPOCHS:]):
            row = [epoch["fold"]] if folds else []
            row += [str(epoch.get("stage", "")), f"{epoch.get('epoch')}/{epoch.get('epochs')}"]
            rows.append(row + [_short(key, epoch.get(key)) for key in EPOCH_KEYS])
        fill(self.query_one(Table), columns, rows)


def _short(key: str, value: Any) -> str:
    if value is None:
        return "-"
    return {"learning_rate": f"{value:.1e}", "seconds": f"{value:.1f}"}.get(key, number(value))
