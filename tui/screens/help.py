"""What the screen below is for and every key that works there."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui.commands import PLACES
from tui.places import places_on


class HelpScreen(ModalScreen[None]):
    """Help on a screen; esc or the help key closes it.

    Args:
        below: The screen that is explained, with the focus where the keys go.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,enter,q", "dismiss", "Close"),
    ]
    CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 78; height: 90%; background: $surface; border: round $primary; padding: 0 1;
    }
    """

    def __init__(self, below: Screen[Any]) -> None:
        super().__init__()
        self._text = help_text([place for place, _ in places_on(below)])

    def compose(self) -> ComposeResult:
        """Show the text in a box that scrolls."""
        with VerticalScroll() as box:
            box.border_title = "Help (esc closes)"
            yield Static(self._text)

    def on_mount(self) -> None:
        """Let the arrows scroll."""
        self.query_one(VerticalScroll).focus()


def help_text(places: list[str]) -> Text:
    """Return what these places are for and their commands, in this order."""
    text = Text()
    for name in dict.fromkeys(places):
        place = PLACES[name]
        text.append(f"{place.title}\n", style="bold")
        if place.about:
            text.append(f"{place.about}\n")
        for command in place.commands:
            text.append(f"  {command.key:<10}", style="bold")
            text.append(f"{command.label:<16}{command.help}\n")
        text.append("\n")
    return text
