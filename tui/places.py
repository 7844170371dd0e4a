"""What a command of the UI is, and where on a screen the commands are."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen


@dataclass(frozen=True)
class Command:
    """Something a person can do at a place of the UI.

    Attributes:
        keys: Textual's key names, alternatives split by commas.
        action: What it runs on the screen or widget of its place.
        label: Two words at most, for the footer.
        help: One sentence for help and palette; "" where the label says it all.
        footer: Whether the footer shows it.
        shown_key: How footer and help write the key; "" for Textual's own way.
        priority: Whether it comes before the keys of the widget that has the focus.
        anywhere: A key that does it even in a text field.
    """

    keys: str
    action: str
    label: str
    help: str = ""
    footer: bool = True
    shown_key: str = ""
    priority: bool = False
    anywhere: str = ""

    @property
    def key(self) -> str:
        """The first key as a person reads it."""
        first = self.shown_key or self.keys.split(",")[0]
        return first.replace("escape", "esc").replace("question_mark", "?")

    @property
    def bindings(self) -> list[Binding]:
        """Its keys as Textual takes them."""
        found = [Binding(
            self.keys, self.action, self.label, show=self.footer,
            key_display=self.shown_key or None, tooltip=self.help, priority=self.priority,
        )]
        if self.anywhere:
            found.append(
                Binding(self.anywhere, self.action, self.label, show=False, priority=True)
            )
        return found


@dataclass(frozen=True)
class Place:
    """A screen or a part of one that has commands of its own.

    Attributes:
        title: Its name for people.
        about: What it is for, for the help screen; plain text.
        commands: What can be done there.
    """

    title: str
    about: str = ""
    commands: tuple[Command, ...] = ()

    @property
    def bindings(self) -> list[BindingType]:
        """Its commands as the `BINDINGS` of a screen or widget."""
        return [binding for command in self.commands for binding in command.bindings]


def places_on(screen: Screen[object]) -> list[tuple[str, DOMNode]]:
    """Return the places that the keys go to now, innermost first, each with its node.

    A node says that it is a place by an attribute `PLACE`.
    """
    chain = screen.focused.ancestors_with_self if screen.focused else screen.ancestors_with_self
    found = [(getattr(node, "PLACE", ""), node) for node in chain]
    return [(place, node) for place, node in found if place]
