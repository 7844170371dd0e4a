"""The mode System."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from tui.screens.mode import ModeScreen


class SystemScreen(ModeScreen):
    """What the mode shows while it has nothing to show."""

    MODE = "system"

    def compose_body(self) -> ComposeResult:
        """Say what to do."""
        yield Static("stemcls doctor checks this machine.", classes="empty", markup=False)
