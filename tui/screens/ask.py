"""Small questions that lie over a screen: a line of text, and yes or no."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static


class Ask(ModalScreen[str | None]):
    """Ask for a line of text; esc gives None.

    Args:
        question: What is asked.
        value: What stands there to begin with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Close")]
    CSS = """
    Ask, Confirm { align: center middle; }
    Ask > Vertical, Confirm > Vertical {
        width: 70; max-width: 96%; height: auto; background: $surface; border: round $primary;
        padding: 0 1;
    }
    """

    def __init__(self, question: str, value: str = "") -> None:
        super().__init__()
        self._question, self._value = question, value

    def compose(self) -> ComposeResult:
        """Question and field."""
        with Vertical() as box:
            box.border_subtitle = "Enter keeps it, esc leaves it"
            yield Static(self._question, markup=False)
            yield Input(self._value, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer."""
        self.dismiss(event.value.strip())


class Confirm(ModalScreen[bool]):
    """Ask yes or no: only y is yes.

    Args:
        question: What is asked.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,enter", "answer(False)", "No"),
    ]
    CSS = Ask.CSS

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Show the question."""
        with Vertical() as box:
            box.border_subtitle = "y yes, n no"
            yield Static(self._question, markup=False)

    def action_answer(self, yes: bool) -> None:
        """Answer."""
        self.dismiss(yes)
