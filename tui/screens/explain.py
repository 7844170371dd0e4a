"""The mode Explain."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from tui.screens.mode import ModeScreen


class ExplainScreen(ModeScreen):
    """What the mode shows while it has nothing to show."""

    MODE = "explain"

    def compose_body(self) -> ComposeResult:
        """Say what to do."""
        text = "Choose a run (3, Enter), then: stemcls explain RUN"
        yield Static(text, classes="empty", markup=False)
