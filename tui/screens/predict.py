"""The mode Predict."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from tui.screens.mode import ModeScreen


class PredictScreen(ModeScreen):
    """What the mode shows while it has nothing to show."""

    MODE = "predict"

    def compose_body(self) -> ComposeResult:
        """Say what to do."""
        text = "Choose a run (3, Enter), then: stemcls predict RUN FIELD..."
        yield Static(text, classes="empty", markup=False)
