"""The terminal UI: a mode for each task, over one workspace on disk."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import App
from textual.binding import BindingType
from textual.signal import Signal

from stemcls.errors import StemclsError
from tui import settings
from tui.commands import bindings
from tui.modes import MODES
from tui.palette import StemclsCommands
from tui.reading import RunBoard, RunsView, StoreEntry, StoreShelf
from tui.screens.help import HelpScreen
from tui.screens.jump import JumpScreen
from tui.screens.tour import STEPS, TourScreen
from tui.themes import THEMES

REFRESH_SECONDS = 1.0


class StemclsApp(App[None]):
    """Shows one workspace; everything it knows is on disk, so closing it loses nothing.

    Args:
        workspace: Folder that holds datasets/ and saved_models/; need not hold either yet.

    Attributes:
        settings: What the person has set.
        chosen_run, chosen_store: What the modes are about at the moment, or None.
        runs: The runs as they were last read.
        stores: The stores as they were last read.
    """

    TITLE = "stemcls"
    PLACE = "app"
    MODES: ClassVar[dict[str, Any]] = {name: mode.opener for name, mode in MODES.items()}
    DEFAULT_MODE = ""
    COMMANDS = App.COMMANDS | {StemclsCommands}
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    CSS = """
    .note { height: auto; max-height: 4; padding: 0 1; border-top: solid $panel; }
    .empty { padding: 1 2; color: $text-muted; }
    .error { color: $text-error; }
    .title { height: 1; background: $primary; color: $text; text-style: bold; padding: 0 1; }
    DataTable { height: 1fr; }
    TabbedContent, TabbedContent > ContentSwitcher, TabPane { height: 1fr; }
    TabPane { padding: 0; }
    """

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self.workspace = workspace.resolve()
        self.settings = settings.Settings()
        self.chosen_run: Path | None = None
        self.chosen_store: Path | None = None
        self.runs: RunsView | None = None
        self.stores: list[StoreEntry] | None = None
        self.runs_read: Signal[RunsView] = Signal(self, "runs-read")
        self.stores_read: Signal[list[StoreEntry]] = Signal(self, "stores-read")
        self._board = RunBoard(self.workspace)
        self._shelf = StoreShelf(self.workspace)
        self._troubled = ""
        self._keeps_settings = True  # not over a file that could not be read

    def on_mount(self) -> None:
        """Open the mode that was open last, and start looking at the disk."""
        for theme in THEMES:
            self.register_theme(theme)
        try:
            self.settings = settings.read_settings()
        except StemclsError as error:
            self.notify(str(error), title="Settings not read", severity="error", markup=False)
            self.settings, self._keeps_settings = settings.Settings(toured=True), False
        known = self.settings.theme in self.available_themes
        self.theme = self.settings.theme if known else settings.DARK
        place = settings.read_place(self.workspace)
        self.chosen_run = Path(place.run) if place.run else None
        self.chosen_store = Path(place.store) if place.store else None
        self.switch_mode(place.mode if place.mode in MODES else "datasets")
        self.watch(self, "theme", self._keep_theme, init=False)
        if not self.settings.toured:
            self.tour(0)
        # Reading many runs would hold up the first paint.
        self.call_after_refresh(self._look_on)

    def go(self, mode: str, run: Path | None = None, store: Path | None = None) -> None:
        """Go to a mode, with a run or a store for it to show; what is None stays chosen.

        Screens that were opened from the mode, such as a gallery, stay open only where neither is
        given: they may be about another one.
        """
        self.chosen_run = run or self.chosen_run
        self.chosen_store = store or self.chosen_store
        self.switch_mode(mode)
        if run or store:
            while len(self.screen_stack) > 1:
                self.pop_screen()

    def action_go(self, mode: str) -> None:
        """Go to a mode."""
        self.go(mode)

    def action_help(self) -> None:
        """Explain the screen; the same key closes the help."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_jump(self) -> None:
        """Let a letter choose the part of the screen that the keys go to."""
        if not self.screen.is_modal:
            self.push_screen(JumpScreen(self.screen))

    def action_tour(self) -> None:
        """Begin the tour."""
        self.tour(0)

    def tour(self, step: int) -> None:
        """Show a step of the tour over its mode; a step after the last ends it for good."""
        self.call_later(self._tour, step)

    async def _tour(self, step: int) -> None:
        if isinstance(self.screen, TourScreen):
            await self.pop_screen()
        if step < len(STEPS):
            await self.switch_mode(STEPS[step][0])
            await self.push_screen(TourScreen(step))
        elif not self.settings.toured:
            self.change_settings(toured=True)

    async def action_quit(self) -> None:
        """Remember where we are, and close."""
        place = settings.Place(
            mode=self.current_mode, run=str(self.chosen_run or ""),
            store=str(self.chosen_store or ""),
        )
        try:
            await asyncio.to_thread(settings.keep_place, self.workspace, place)
        except OSError as error:
            self.log(f"the place is not remembered: {error}")
        self.exit()

    def change_settings(self, **changes: object) -> None:
        """Change settings of the person and keep them."""
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        if not self._keeps_settings:
            return
        try:
            settings.keep_settings(self.settings)
        except OSError as error:
            self.notify(str(error), title="Settings not kept", severity="warning", markup=False)

    def _keep_theme(self, theme: str) -> None:
        self.change_settings(theme=theme)

    @work
    async def _look_on(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(REFRESH_SECONDS)

    async def look(self) -> None:
        """Read the workspace once, in a thread, and tell the screens what changed."""
        try:
            runs = await asyncio.to_thread(self._board.read)
            stores = await asyncio.to_thread(self._shelf.read)
        except OSError as error:
            if str(error) != self._troubled:
                self._troubled = str(error)
                self.notify(str(error), title="Workspace not read", severity="error", markup=False)
            return
        self._troubled = ""
        for job in runs.dead:
            self.notify(
                job.last_words(), title=f"{job.name} ended before its run began",
                severity="error", timeout=20, markup=False,
            )
        if runs != self.runs:
            self.runs = runs
            self.runs_read.publish(runs)
        if stores != self.stores:
            self.stores = stores
            self.stores_read.publish(stores)
