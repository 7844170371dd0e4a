"""Jump mode: a letter on every part of the screen that takes keys; typing it goes there."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

# The home row first: near parts of the screen get near keys.
LETTERS = "asdfghjklqwertyuiopzxcvbnm"


class JumpScreen(ModalScreen[None]):
    """Lies over a screen and shows the letters.

    Args:
        below: The screen whose parts are meant.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+o", "dismiss", "Close")]
    CSS = """
    JumpScreen { background: $background 40%; }
    JumpScreen > Static { position: absolute; width: 3; height: 1; background: $accent;
                          color: $background; text-style: bold; }
    """

    def __init__(self, below: Screen[Any]) -> None:
        super().__init__()
        seen = [
            widget for widget in below.focus_chain
            if widget.region.overlaps(below.region) and widget.visible
        ]
        self._targets: dict[str, Widget] = dict(zip(LETTERS, seen, strict=False))

    def compose(self) -> ComposeResult:
        """Put a letter at the corner of each part."""
        for letter, widget in self._targets.items():
            label = Static(f" {letter} ", markup=False)
            label.styles.offset = (max(widget.region.x, 0), max(widget.region.y, 0))
            yield label

    def on_key(self, event: Key) -> None:
        """Go to the part of the letter; any other letter closes."""
        if event.key in ("escape", "ctrl+o"):
            return
        event.stop()
        widget = self._targets.get(event.character or "")
        self.dismiss()
        if widget is not None:
            widget.focus()
