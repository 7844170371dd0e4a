"""The terminal UI: what is in a workspace, what runs, and a form to start more."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import BindingType

from tui import keymap
from tui.screens.help import HelpScreen
from tui.screens.main import MainScreen


class StemclsApp(App[None]):
    """Shows one workspace; everything it knows is on disk, so closing it loses nothing.

    Args:
        workspace: Folder that holds datasets/ and saved_models/; need not hold either yet.
    """

    TITLE = "stemcls"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = keymap.APP
    CSS = """
    .title { height: 1; background: $primary; color: $text; text-style: bold; padding: 0 1; }
    .note { height: auto; max-height: 4; padding: 0 1; border-top: solid $panel; }
    .empty { padding: 1 2; }
    .error { color: $text-error; }
    DataTable { height: 1fr; }
    TabbedContent, TabbedContent > ContentSwitcher, TabPane { height: 1fr; }
    TabPane { padding: 0; }
    """

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self.workspace = workspace.resolve()

    def on_mount(self) -> None:
        """Open the first screen."""
        self.push_screen(MainScreen(self.workspace))

    def action_help(self) -> None:
        """Show every key; the same key closes it."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())
