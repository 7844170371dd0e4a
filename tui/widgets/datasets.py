"""The tab of crop stores: a table of them, and what is in the selected one."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Static

from stemcls.store.cropstore import CropStore
from tui.commands import bindings
from tui.drawing import bar
from tui.reading import StoreEntry
from tui.widgets.audit import audit_mark, audit_text
from tui.widgets.table import Table

SHOWN_GROUPS = 200
_COLUMNS = ("store", "crops", "classes", "groups", "fields", "size px", "audit")


class DatasetsPane(Vertical):
    """Stores of a workspace; the highlighted one is described below the table.

    Args:
        workspace: Its datasets/ is shown.
    """

    PLACE = "datasets"
    BINDINGS: ClassVar[list[BindingType]] = bindings("datasets")
    DEFAULT_CSS = """
    DatasetsPane > DataTable { height: 2fr; }
    DatasetsPane > VerticalScroll { height: 3fr; border-top: solid $panel; padding: 0 1; }
    DatasetsPane > VerticalScroll:focus { border-top: solid $accent; }
    """

    class Train(Message):
        """The user wants to train on a store."""

        def __init__(self, store: CropStore) -> None:
            super().__init__()
            self.store = store

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._folder = workspace / "datasets"
        self._entries: list[StoreEntry] = []

    def compose(self) -> ComposeResult:
        """Table above, description below."""
        yield Table(cursor_type="row", id="stores")
        with VerticalScroll(id="about"):
            yield Static("Looking ...", id="description", markup=False)

    def on_mount(self) -> None:
        """Lay out the columns."""
        table = self.query_one(Table)
        for name in _COLUMNS:
            table.add_column(name, key=name)
        table.focus()

    def show(self, entries: list[StoreEntry]) -> None:
        """Show these stores; the cursor stays on its store."""
        if entries == self._entries and entries:
            return
        table = self.query_one(Table)
        before = self.selected
        self._entries = entries
        table.clear()
        for entry in entries:
            table.add_row(*_cells(entry), key=str(entry.path))
        paths = [entry.path for entry in entries]
        if before is not None and before.path in paths:
            table.move_cursor(row=paths.index(before.path))
        self._describe()

    @property
    def selected(self) -> StoreEntry | None:
        """The store under the cursor."""
        row = self.query_one(Table).cursor_row
        return self._entries[row] if 0 <= row < len(self._entries) else None

    def on_data_table_row_highlighted(self) -> None:
        """Describe the store that the cursor came to."""
        self._describe()

    def _describe(self) -> None:
        entry = self.selected
        self.query_one("#description", Static).update(
            Text(
                f"No crop stores in {self._folder} yet.\n\n"
                "stemcls demo                      simulated cells, from fields to a model\n"
                "stemcls build FOLDER --out STORE  your own images, one folder per class"
            )
            if entry is None else _description(entry)
        )

    def action_read_on(self) -> None:
        """Go to the description, to scroll it; from there back to the table."""
        about, table = self.query_one("#about"), self.query_one(Table)
        (table if about.has_focus else about).focus()

    def action_train(self) -> None:
        """Ask for the training form."""
        entry = self.selected
        if entry is None:
            self.app.notify("There is no store to train on yet.", severity="warning")
        elif entry.store is None:
            self.app.notify(
                f"{entry.path.name} cannot be opened: {entry.error}", severity="error", markup=False
            )
        else:
            self.post_message(self.Train(entry.store))


def _cells(entry: StoreEntry) -> list[Text]:
    store = entry.store
    if store is None:
        return [Text(entry.path.name), Text("✗ unreadable", style="red"), *[Text()] * 5]
    groups = f"{len(store.group_names)} {store.group_what}" if store.has_groups else "-"
    size = f"{store.size_px[0]}x{store.size_px[1]}x{store.n_channels}"
    shown = (len(store), len(store.classes), groups, len(store.fields), size)
    cells = (Text(str(cell), justify="right") for cell in shown)
    return [Text(entry.path.name), *cells, audit_mark(entry.audit)]


def _description(entry: StoreEntry) -> Text:
    if entry.store is None:
        return Text(f"{entry.path.name} cannot be opened.\n{entry.error}", style="red")
    store = entry.store
    text = Text()
    text.append(f"{entry.path.name}\n", style="bold")
    rows = entry.class_counts
    widest = max((len(name) for name, _ in rows), default=0)
    most = max((count for _, count in rows), default=0)
    for name, count in rows:
        share = count / max(len(store), 1)
        text.append(f"{name:<{widest}} ")
        text.append(f"{bar(count / max(most, 1), 30):<30}", style="cyan")
        text.append(f" {count:>7}  {share:6.1%}\n")
    size = "unknown" if store.pixel_size_um is None else f"{store.pixel_size_um:g} um"
    text.append(
        f"\npixel size {size}, {store.dtype}, channels {', '.join(store.channels)}\n"
        f"images {store.layout.kind}"
        + (f", {store.layout.compression}" if store.layout.compression else "")
        + f", created {store.created or 'unknown'}\n"
    )
    groups = entry.group_counts
    heading = store.group_what if store.has_groups else "field"
    text.append_text(audit_text(entry.audit, entry.path))
    text.append(f"\n{len(store.fields)} fields, {len(groups)} groups ({heading}), "
                "kept together in a split\n")
    for name, count, classes in groups[:SHOWN_GROUPS]:
        text.append(f"  {name}: {count} crops of {', '.join(classes) or 'no class'}\n")
    if len(groups) > SHOWN_GROUPS:
        text.append(f"  and {len(groups) - SHOWN_GROUPS} more\n")
    return text
