"""One setting of a config as a line of a form: name, input of its type, help or what is wrong."""

from __future__ import annotations

import types
import typing
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Select, Static, Switch

from stemcls.config.options import Option, from_mapping
from stemcls.errors import InputError


class Choice(Select[str], inherit_bindings=False):
    """A choice that leaves the up and down keys to the form."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "show_overlay", show=False)]


class Setting(Horizontal):
    """A setting that can be typed, chosen or switched, and is checked at every change.

    Args:
        option: What it may be.
        cls: The config class that it belongs to; its own checks are used.
    """

    DEFAULT_CSS = """
    Setting { height: auto; padding: 0 1; }
    Setting > .name { width: 16; }
    Setting > Input, Setting > Select { width: 20; }
    Setting > Switch { border: none; height: 1; width: 20; padding: 0; }
    Setting > Switch:focus { border: none; background: $accent; }
    Setting > .help { width: 1fr; height: auto; padding: 0 0 0 1; color: $text-muted; }
    Setting.-bad > .help { color: $text-error; text-style: bold; }
    """

    class Changed(Message):
        """Its value changed; `problem` says what is wrong with it, "" if nothing."""

        def __init__(self, setting: Setting) -> None:
            super().__init__()
            self.setting = setting

    def __init__(self, option: Option, cls: type) -> None:
        super().__init__(id="setting-" + "-".join(option.keys))
        self.option = option
        self.problem = ""
        self.cls = cls

    def compose(self) -> ComposeResult:
        """Name, input, help."""
        yield Static(self.option.keys[-1], classes="name", markup=False)
        yield self._input()
        yield Static(self.option.help, classes="help", markup=False)

    def on_mount(self) -> None:
        """Say where a switch stands."""
        self.query_one(".help", Static).update(self._help)

    @property
    def _help(self) -> str:
        # A switch shows its position by colour alone, so the word goes with it.
        if self.option.type is bool:
            return f"{'on' if self.value else 'off'}: {self.option.help}"
        return self.option.help

    def _input(self) -> Widget:
        option = self.option
        if option.choices:
            choices = [(choice, choice) for choice in option.choices]
            return Choice(choices, value=option.default, allow_blank=False, compact=True)
        if option.type is bool:
            return Switch(option.default, animate=False)
        if isinstance(option.default, tuple):
            return Input(written(option.default), placeholder="a, b, ...", compact=True)
        return Input(written(option.default), compact=True)

    @property
    def value(self) -> Any:
        """The value as typed: a plain value of the option's type, or the text if it is none."""
        widget = self.query_one("Input, Select, Switch")
        if isinstance(widget, Select | Switch):
            return widget.value
        return parse(self.query_one(Input).value, self.option.type)

    def put(self, value: Any) -> None:
        """Set it to a value of its type."""
        if value == self.value:
            return
        widget = self.query_one("Input, Select, Switch")
        if isinstance(widget, Select | Switch):
            widget.value = value
        else:
            self.query_one(Input).value = written(value)

    @property
    def nested(self) -> dict[str, Any]:
        """The value below its keys, as `from_mapping` takes it."""
        mapping: Any = self.value
        for key in reversed(self.option.keys):
            mapping = {key: mapping}
        return typing.cast(dict[str, Any], mapping)

    def check(self) -> None:
        """Show what is wrong with the value in place of the help, or the help again."""
        try:
            self.option.check(self.value)
            # What a stage says must agree with all else; only the whole form can tell if it does.
            if self.option.keys[0] != "stages":
                from_mapping(self.cls, self.nested)
        except InputError as error:
            self.problem = str(error)
        else:
            self.problem = ""
        self.set_class(bool(self.problem), "-bad")
        self.query_one(".help", Static).update(f"! {self.problem}" if self.problem else self._help)
        self.post_message(self.Changed(self))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Check while typing."""
        event.stop()
        self.check()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Check a choice."""
        event.stop()
        self.check()

    def on_switch_changed(self, event: Switch.Changed) -> None:
        """Check a switch."""
        event.stop()
        self.check()


def written(value: Any) -> str:
    """Return a value as it is typed; `parse` turns it back."""
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def parse(text: str, hint: Any) -> Any:
    """Return `text` as a value of type `hint`; where it is none the text, for the config to refuse.

    Lists are split at commas; empty text is None where None is allowed.
    """
    text = text.strip()
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if not text:
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is tuple:
        kind = typing.get_args(hint)[0]
        return [parse(item, kind) for item in text.split(",") if item.strip()]
    try:
        return hint(text) if hint in (int, float) else text
    except ValueError:
        return text
