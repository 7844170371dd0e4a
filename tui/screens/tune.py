"""The mode Tune."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from tui.screens.mode import ModeScreen


class TuneScreen(ModeScreen):
    """What the mode shows while it has nothing to show."""

    MODE = "tune"

    def compose_body(self) -> ComposeResult:
        """Say what to do."""
        text = "No searches yet. Start one: stemcls tune STORE"
        yield Static(text, classes="empty", markup=False)
