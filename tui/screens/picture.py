"""One picture as large as the terminal allows, with what is known about it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from tui.commands import bindings
from tui.widgets.pictures import Picture


class PictureScreen(ModalScreen[None]):
    """Shows a picture; esc or Enter goes back.

    Args:
        pixels: (H, W, C) uint8.
        about: Some lines below it.
    """

    PLACE = "picture"
    BINDINGS: ClassVar[list[BindingType]] = bindings("picture")
    CSS = """
    PictureScreen { background: $surface; }
    PictureScreen > Static { height: auto; max-height: 5; padding: 0 1; }
    """

    def __init__(self, pixels: np.ndarray, about: str) -> None:
        super().__init__()
        self._pixels = pixels
        self._about = about

    def compose(self) -> ComposeResult:
        """Picture, facts, keys."""
        yield Picture(self._pixels)
        yield Static(self._about, markup=False)
        yield Footer(show_command_palette=False)

    def action_back(self) -> None:
        """Close it."""
        self.dismiss()
