"""The crops of a store as pictures, filtered by class, group and quality."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast

import numpy as np
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Footer, Select, Static

from stemcls.display.colours import legend_of
from stemcls.errors import StemclsError
from stemcls.store.cropstore import CropStore
from tui.commands import bindings
from tui.crops import (
    ALL,
    CONTRASTS,
    MIXED,
    PAGE,
    STORED,
    Choice,
    about_crop,
    label_of,
    labels_of,
    qualities_of,
    read_crops,
    rows_of,
)
from tui.reading import StoreEntry
from tui.screens.picture import PictureScreen
from tui.widgets.gallery import Cell, Gallery

MOST_GROUPS = 500


class CropsScreen(Screen[None]):
    """A gallery of a store's crops.

    Args:
        store: Whose crops; it may vanish meanwhile.
    """

    PLACE = "crops"
    BINDINGS: ClassVar[list[BindingType]] = bindings("crops")
    CSS = """
    CropsScreen #filters { height: 1; }
    CropsScreen #filters Select { width: 1fr; max-width: 30; margin: 0 1 0 0; }
    CropsScreen #about-crop { height: 3; padding: 0 1; border-top: solid $panel; }
    CropsScreen #about-crop.-bad { color: $text-error; }
    """

    def __init__(self, store: CropStore) -> None:
        super().__init__()
        self._store = store
        self._choice = Choice()
        self._rows = np.zeros(0, np.int64)
        self._page = 0
        self._contrast = CONTRASTS[0]

    def compose(self) -> ComposeResult:
        """Title, filters, pictures, what is under the cursor."""
        store = self._store
        yield Static("", classes="title", markup=False)
        with Horizontal(id="filters"):
            yield _select("label", "class", labels_of(store))
            if store.has_groups:
                yield _select("group", store.group_what, list(store.group_names[:MOST_GROUPS]))
            yield _select("quality", "quality", qualities_of(store))
            yield Select([(name, name) for name in (MIXED, STORED)], value=MIXED, id="order",
                         allow_blank=False, compact=True)
        yield Gallery(id="crops")
        yield Static("", id="about-crop", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show the first page, and hear when the store goes."""
        self.query_one(Gallery).focus()
        cast(Any, self.app).stores_read.subscribe(self, self._heard)
        self._look()

    def _heard(self, entries: list[StoreEntry]) -> None:
        if self._store.path not in [entry.path for entry in entries]:
            self._complain(f"{self._store.path} was deleted; esc goes back to the stores.")

    def on_select_changed(self) -> None:
        """Show what the filters leave."""
        values = {str(select.id): str(select.value) for select in self.query(Select)}
        choice = Choice(**values)
        if choice != self._choice:
            self._choice, self._page = choice, 0
            self._look()

    @work(exclusive=True)
    async def _look(self, at: int = 0) -> None:
        """Choose the rows and read the page of pictures, in a thread."""
        gallery, title = self.query_one(Gallery), self.query_one(".title", Static)
        try:
            self._rows = await asyncio.to_thread(rows_of, self._store, self._choice)
            rows = self._rows[self._page * PAGE : (self._page + 1) * PAGE]
            pictures = await asyncio.to_thread(read_crops, self._store, rows, self._contrast)
        except (StemclsError, OSError, ValueError) as error:
            self._complain(f"{self._store.path} cannot be read any more: {error}")
            return
        if not self.is_attached:
            return
        title.update(self._title)
        cells = [
            Cell(pixels, label_of(self._store, row))
            for row, pixels in zip(rows.tolist(), pictures, strict=True)
        ]
        if not cells:
            self._complain("No crop is like that; change the filters above.")
        gallery.show(cells, at)

    @property
    def _title(self) -> str:
        n_pages = max(1, -(-len(self._rows) // PAGE))
        legend = legend_of(self._store.channels)
        return (
            f"{self._store.path.name}   {len(self._rows)} of {len(self._store)} crops, page "
            f"{self._page + 1} of {n_pages}, contrast: {self._contrast}"
            + (f"   {legend}" if legend else "")
        )

    def _complain(self, text: str) -> None:
        about = self.query_one("#about-crop", Static)
        about.update(text)
        about.add_class("-bad")

    def on_gallery_moved(self, event: Gallery.Moved) -> None:
        """Say what is under the cursor."""
        about = self.query_one("#about-crop", Static)
        about.remove_class("-bad")
        about.update(about_crop(self._store, self._row(event.index)))

    def _row(self, index: int) -> int:
        return int(self._rows[self._page * PAGE + index])

    def on_gallery_chosen(self, event: Gallery.Chosen) -> None:
        """Show the crop alone, and large."""
        pixels = self.query_one(Gallery).cells[event.index].pixels
        if pixels is not None:
            about = about_crop(self._store, self._row(event.index))
            self.app.push_screen(PictureScreen(pixels, about))

    def on_gallery_beyond(self, event: Gallery.Beyond) -> None:
        """Turn the page."""
        self.action_page(event.step)

    def action_page(self, step: int) -> None:
        """Turn the page, if there is one."""
        page = self._page + step
        if 0 <= page < -(-len(self._rows) // PAGE):
            self._page = page
            self._look(0 if step > 0 else -1)

    def action_contrast(self) -> None:
        """Stretch by the page, by each crop, or not at all."""
        self._contrast = CONTRASTS[(CONTRASTS.index(self._contrast) + 1) % len(CONTRASTS)]
        self._look(self.query_one(Gallery).index)

    def action_filter(self, name: str) -> None:
        """Go to a filter and open it."""
        for select in self.query(f"#{name}").results(Select):
            select.focus()
            select.action_show_overlay()

    def action_back(self) -> None:
        """Back to the pictures from a filter, from them to the stores."""
        gallery = self.query_one(Gallery)
        if gallery.has_focus:
            self.dismiss(None)
        else:
            gallery.focus()


def _select(name: str, title: str, choices: list[str]) -> Select[str]:
    options = [(f"{title}: all", ALL), *((choice, choice) for choice in choices)]
    return Select(options, value=ALL, id=name, allow_blank=False, compact=True)
