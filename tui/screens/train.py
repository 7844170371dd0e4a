"""The mode Train."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from tui.screens.mode import ModeScreen


class TrainScreen(ModeScreen):
    """What the mode shows while it has nothing to show."""

    MODE = "train"

    def compose_body(self) -> ComposeResult:
        """Say what to do."""
        text = "Press 1, choose a store and press t: the form of its settings opens."
        yield Static(text, classes="empty", markup=False)
