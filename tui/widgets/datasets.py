"""The stores of a workspace: a table of them, and what is in the selected one."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static, TabbedContent, TabPane

from stemcls.store.cropstore import CropStore
from tui.reading import StoreEntry
from tui.stores import FIELD_COLUMNS, SHOWN_FIELDS, describe, field_rows, split_text
from tui.widgets.audit import AUDIT_HEADING, audit_mark
from tui.widgets.table import Table

_COLUMNS = ("store", "crops", "classes", "groups", "fields", "size px", "audit")
# Tabs in order, and what takes the keys in each.
_INSIDE = {"about": "#about-scroll", "fields": "#fields-table", "split": "#split-scroll"}


class DatasetsPane(Vertical):
    """Stores of a workspace; the highlighted one is described below the table.

    Args:
        workspace: Its datasets/ is shown.
    """

    DEFAULT_CSS = """
    DatasetsPane > #stores { height: 2fr; }
    DatasetsPane > TabbedContent { height: 3fr; border-top: solid $panel; }
    DatasetsPane TabPane > VerticalScroll { padding: 0 1; }
    DatasetsPane #fields-note { height: auto; padding: 0 1; color: $text-muted; }
    """

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._folder = workspace / "datasets"
        self._entries: list[StoreEntry] = []
        self._wanted: Path | None = None
        self._audited = ""
        self._filled: dict[str, StoreEntry | None] = {}

    def compose(self) -> ComposeResult:
        """Table above, description below."""
        yield Table(cursor_type="row", id="stores")
        with TabbedContent():
            with TabPane("About", id="about"), VerticalScroll(id="about-scroll"):
                yield Static("Looking ...", id="description", markup=False)
            with TabPane("Fields", id="fields"):
                yield Static("", id="fields-note", markup=False)
                yield Table(cursor_type="row", id="fields-table")
            with TabPane("Split", id="split"), VerticalScroll(id="split-scroll"):
                yield Static("", id="split-text", markup=False)

    def on_mount(self) -> None:
        """Lay out the columns."""
        for name in _COLUMNS:
            self._table.add_column(name, key=name)
        for name in FIELD_COLUMNS:
            self.query_one("#fields-table", Table).add_column(name, key=name)
        self._table.focus()

    @property
    def _table(self) -> Table:
        return self.query_one("#stores", Table)

    def show(self, entries: list[StoreEntry]) -> None:
        """Show these stores; the cursor stays on its store."""
        if entries == self._entries and entries:
            return
        table = self._table
        before = self._wanted or (self.selected.path if self.selected else None)
        self._entries = entries
        table.clear()
        for entry in entries:
            table.add_row(*_cells(entry), key=str(entry.path))
        if before is not None:
            self.select(before)
        self._describe()

    def select(self, path: Path) -> None:
        """Move the cursor to a store, now or when it is listed."""
        paths = [entry.path for entry in self._entries]
        self._wanted = None if path in paths else path
        if path in paths:
            self._table.move_cursor(row=paths.index(path))

    def show_audit(self, name: str) -> None:
        """Go to what an audit has found in a store of that name, also when it is read only later.
        """
        self.select(self._folder / name)
        self.query_one(TabbedContent).active = "about"
        self._audited = name
        self._filled.clear()
        self._describe()

    @property
    def selected(self) -> StoreEntry | None:
        """The store under the cursor."""
        row = self._table.cursor_row
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def on_data_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        """Describe the store that the cursor came to."""
        if event.data_table is self._table:
            self._describe()

    def on_tabbed_content_tab_activated(self) -> None:
        """Fill the tab that is seen now."""
        self._describe()

    def _describe(self) -> None:
        entry, tab = self.selected, self.query_one(TabbedContent).active
        if tab in self._filled and self._filled[tab] is entry and entry is not None:
            return
        self._filled[tab] = entry
        if tab == "fields":
            self._fill_fields(entry)
        elif tab == "split":
            self._fill_split(entry)
        else:
            self._fill_about(entry)

    def _fill_about(self, entry: StoreEntry | None) -> None:
        text = _nothing(self._folder) if entry is None else describe(entry)
        self.query_one("#description", Static).update(text)
        if entry is None or entry.path.name != self._audited:
            self._audited = ""
            return
        line = text.plain[: text.plain.find(AUDIT_HEADING)].count("\n") + 1
        self.call_after_refresh(
            self.query_one("#about-scroll").scroll_to, y=line, animate=False, force=True
        )

    @work(exclusive=True, group="fields")
    async def _fill_fields(self, entry: StoreEntry | None) -> None:
        table = self.query_one("#fields-table", Table)
        table.clear()
        note = self.query_one("#fields-note", Static)
        if entry is None or entry.store is None:
            note.update("There is no readable store under the cursor.")
            return
        for row in await asyncio.to_thread(field_rows, entry.store):
            table.add_row(*row)
        n_fields = len(entry.store.fields)
        more = f", the first {SHOWN_FIELDS} of them below" if n_fields > SHOWN_FIELDS else ""
        note.update(f"{entry.path.name}: {n_fields} fields{more}")

    @work(exclusive=True, group="split")
    async def _fill_split(self, entry: StoreEntry | None) -> None:
        shown = self.query_one("#split-text", Static)
        if entry is None or entry.store is None:
            shown.update("There is no readable store under the cursor.")
            return
        shown.update("Splitting ...")
        shown.update(await asyncio.to_thread(split_text, entry.store))

    def turn(self, step: int) -> None:
        """Go to the next or the previous tab."""
        tabs = self.query_one(TabbedContent)
        names = list(_INSIDE)
        inside = tabs.has_focus_within
        tabs.active = names[(names.index(tabs.active) + step) % len(names)]
        if inside:
            self.query_one(_INSIDE[tabs.active]).focus()

    def read_on(self) -> None:
        """Go to the description, to scroll it; from there back to the table."""
        tabs = self.query_one(TabbedContent)
        if self._table.has_focus:
            self.query_one(_INSIDE[tabs.active]).focus()
        else:
            self._table.focus()

    def usable(self, purpose: str) -> CropStore | None:
        """Return the store under the cursor; where there is none to use, say why."""
        entry = self.selected
        if entry is None:
            self.app.notify(f"There is no store to {purpose} yet.", severity="warning")
        elif entry.store is None:
            self.app.notify(
                f"{entry.path.name} cannot be opened: {entry.error}", severity="error", markup=False
            )
        return entry.store if entry else None


def _nothing(folder: Path) -> Text:
    return Text(
        f"No crop stores in {folder} yet.\n\n"
        "b                                 build one from a folder of images, step by step\n"
        "stemcls demo                      simulated cells, from fields to a model\n"
        "stemcls build FOLDER --out STORE  your own images, one folder per class"
    )


def _cells(entry: StoreEntry) -> list[Text]:
    store = entry.store
    if store is None:
        return [Text(entry.path.name), Text("✗ unreadable", style="red"), *[Text()] * 5]
    groups = f"{len(store.group_names)} {store.group_what}" if store.has_groups else "-"
    size = f"{store.size_px[0]}x{store.size_px[1]}x{store.n_channels}"
    shown = (len(store), len(store.classes), groups, len(store.fields), size)
    cells = (Text(str(cell), justify="right") for cell in shown)
    return [Text(entry.path.name), *cells, audit_mark(entry.audit)]
