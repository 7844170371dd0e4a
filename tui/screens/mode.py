"""What the screens of all modes share: the bar of modes, the footer, news from the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer, Static

from tui.modes import MODES
from tui.reading import RunsView, StoreEntry

if TYPE_CHECKING:
    from tui.app import StemclsApp

LEAST_COLUMNS, LEAST_ROWS = 60, 16


class ModeBar(Static):
    """The modes in one line, the open one marked; a click goes there.

    Args:
        mode: Name of the open one.
    """

    DEFAULT_CSS = """
    ModeBar { height: 1; background: $panel; color: $foreground; link-style: none;
              link-color: $foreground; link-background-hover: $primary; }
    """

    def __init__(self, mode: str) -> None:
        parts = [
            f"[@click=app.go('{name}')]{'[reverse bold]' if name == mode else ''}"
            f" {entry.key} {entry.title} {'[/]' if name == mode else ''}[/]"
            for name, entry in MODES.items()
        ]
        super().__init__("".join(parts))


class TooSmall(Static):
    """Covers the screen while the terminal is too small to read anything."""

    DEFAULT_CSS = """
    TooSmall { display: none; layer: notice; dock: top; width: 100%; height: 100%;
               background: $surface; content-align: center middle; text-align: center; }
    """

    def __init__(self) -> None:
        text = f"This terminal is too small:\n{LEAST_COLUMNS}x{LEAST_ROWS} at least."
        super().__init__(text, markup=False)


class ModeScreen(Screen[None]):
    """A screen of one mode; subclasses give `MODE`, `compose_body` and what they want to hear."""

    MODE: ClassVar[str]
    DEFAULT_CSS = """
    ModeScreen { layers: base notice; }
    ModeScreen.-too-small > TooSmall { display: block; }
    """

    def compose(self) -> ComposeResult:
        """Modes, body, footer."""
        yield ModeBar(self.MODE)
        yield from self.compose_body()
        yield Footer(show_command_palette=False)
        yield TooSmall()

    def compose_body(self) -> ComposeResult:
        """Yield what is between the bar of modes and the footer."""
        raise NotImplementedError

    @property
    def stemcls(self) -> StemclsApp:
        """The app, with its own type."""
        return cast("StemclsApp", self.app)

    @property
    def is_shown(self) -> bool:
        """Whether it is on the screen and stays there; to be asked after every wait.

        While one waits for the disk, the person may leave or the app may close.
        """
        return self.is_current and self.is_attached and self.app.is_running

    def show_runs(self, view: RunsView) -> None:
        """Show these runs; called when they changed and the mode is open, and when it opens."""

    def show_stores(self, entries: list[StoreEntry]) -> None:
        """Show these stores; called like `show_runs`."""

    def show_chosen(self) -> None:
        """Show the app's `chosen_run` or `chosen_store`; called when the mode opens."""

    def on_mount(self) -> None:
        """Listen to what is read from the disk."""
        self.stemcls.runs_read.subscribe(self, lambda view: self._heard(runs=view))
        self.stemcls.stores_read.subscribe(self, lambda entries: self._heard(stores=entries))

    def on_screen_resume(self) -> None:
        """Catch up with what happened while another mode was open."""
        # What is inside is mounted after the screen, so at first opening it is not there yet.
        self.call_after_refresh(self._catch_up)

    def on_resize(self) -> None:
        """Cover what cannot be read."""
        small = self.size.width < LEAST_COLUMNS or self.size.height < LEAST_ROWS
        self.set_class(small, "-too-small")

    def _catch_up(self) -> None:
        self._heard(self.stemcls.runs, self.stemcls.stores)
        self.show_chosen()

    def _heard(
        self, runs: RunsView | None = None, stores: list[StoreEntry] | None = None
    ) -> None:
        if not self.is_current:
            return
        if runs is not None:
            self.show_runs(runs)
        if stores is not None:
            self.show_stores(stores)




def empty_state(text: str) -> Text:
    """Return what a screen says that has nothing to show: what to do next."""
    return Text(text, style="dim")
