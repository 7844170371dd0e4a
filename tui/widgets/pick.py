"""A choice among things that come and go, as a line of a form."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Select, Static

from tui.widgets.setting import Choice


class Pick(Horizontal):
    """A name, what can be chosen, and a word of help.

    Args:
        name: What is chosen.
        about: One sentence.
        gone: What is said of a choice that is not there any more.
    """

    DEFAULT_CSS = """
    Pick { layout: grid; grid-size: 2; grid-columns: 16 1fr; grid-rows: auto; height: auto;
           padding: 0 1; }
    Pick > Select { width: 100%; max-width: 60; }
    Pick > .help { column-span: 2; height: auto; padding: 0 0 0 17; color: $text-muted; }
    """

    class Changed(Message):
        """Another one was chosen."""

        def __init__(self, pick: Pick) -> None:
            super().__init__()
            self.pick = pick

        @property
        def control(self) -> Pick:
            """The pick itself, for `on` selectors."""
            return self.pick

    def __init__(self, name: str, about: str, gone: str = "{} (gone)") -> None:
        super().__init__(id=f"pick-{name}")
        self._title, self._about, self._gone = name, about, gone
        self._offered: list[tuple[str, str]] = []

    def compose(self) -> ComposeResult:
        """Name, choice, help."""
        yield Static(self._title, classes="name", markup=False)
        yield Choice([], prompt="none yet", compact=True)
        yield Static(self._about, classes="help", markup=False)

    @property
    def value(self) -> str:
        """What is chosen, "" for nothing."""
        value = self.query_one(Choice).value
        return value if isinstance(value, str) else ""

    @property
    def values(self) -> list[str]:
        """What can be chosen."""
        return [value for _, value in self._offered]

    def offer(self, choices: Sequence[tuple[str, str]], wanted: str = "") -> None:
        """Offer these labels and values; what is chosen stays so, even if it is gone.

        Args:
            choices: Each a label and a value.
            wanted: Chosen from now on; "" keeps what is chosen, or takes the first.
        """
        if not self.query("Choice SelectOverlay"):
            if self.is_attached:
                self.call_after_refresh(self.offer, choices, wanted)  # it is not mounted yet
            return
        field = self.query_one(Choice)
        value = wanted or self.value
        offered = list(choices)
        if value and value not in [key for _, key in offered]:
            offered.append((self._gone.format(value), value))
        if offered == self._offered and (not value or value == self.value):
            return
        if field.expanded:
            return  # not under a person's hand; the next look brings it
        self._offered = offered
        with self.prevent(Select.Changed):
            field.set_options([(Text(label), key) for label, key in offered])
            if offered:
                field.value = value or offered[0][1]
        self.post_message(self.Changed(self))

    def on_select_changed(self, event: Select.Changed) -> None:
        """Tell the form."""
        event.stop()
        self.post_message(self.Changed(self))
