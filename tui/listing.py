"""What the list of runs shows of them, in which order, and which page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from tui.drawing import duration, number, state_text
from tui.pace import Left

PAGE_ROWS = 100
TITLE_CELLS = 30

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of the list.

    Attributes:
        name: Its heading.
        value: What it is sorted by; None sorts last.
        cell: What it shows.
        largest_first: Whether the first sort puts the largest on top.
        right: Whether it is set to the right.
    """

    name: str
    value: Callable[[Row], Any]
    cell: Callable[[Row], str | Text]
    largest_first: bool = False
    right: bool = False


def place(row: Row) -> str:
    """Return stage and epoch of a summary, as `finetune 3/10`."""
    epoch = f"{row['epoch']}/{row['epochs']}" if row["epoch"] is not None else ""
    return f"{row['stage'] or ''} {epoch}".strip()


def left_text(left: Left | None) -> str:
    """Return what is left of a run, a dash where nothing says it."""
    if left is None:
        return "-"
    return ("≤ " if left.at_most else "~ ") + duration(left.seconds)


def _metric(name: str) -> Callable[[Row], Any]:
    return lambda row: (row["metrics"] or {}).get(name)


def _short(text: str) -> str:
    return text if len(text) <= TITLE_CELLS else f"{text[: TITLE_CELLS - 1]}…"


COLUMNS = (
    Column("state", lambda row: row["state"], lambda row: state_text(row["state"])),
    Column("run", lambda row: row["title"].lower(), lambda row: _short(row["title"])),
    Column("at", place, place),
    Column("left", lambda row: row["left"].seconds if row["left"] else None,
           lambda row: left_text(row["left"]), right=True),
    Column("loss", lambda row: row["loss"], lambda row: number(row["loss"]), right=True),
    Column("recall", _metric("mean_recall"), lambda row: number(_metric("mean_recall")(row)),
           largest_first=True, right=True),
    Column("AUROC", _metric("auroc"), lambda row: number(_metric("auroc")(row)),
           largest_first=True, right=True),
    Column("on", lambda row: row["device"], lambda row: row["device"] or "-", right=True),
    Column("time", lambda row: row["seconds"], lambda row: duration(row["seconds"]),
           largest_first=True, right=True),
    Column("tags", lambda row: ", ".join(row["tags"]), lambda row: ", ".join(row["tags"])),
)
NEWEST = "newest"
ORDERS = (NEWEST, *(column.name for column in COLUMNS))


@dataclass(frozen=True)
class Listing:
    """How the list is looked at.

    Attributes:
        wanted: Words that a run must all have in its title, name, state, tags, note, device or
            stage.
        order: One of `ORDERS`.
        turned: Whether it is the other way round.
        page: From 0.
    """

    wanted: str = ""
    order: str = NEWEST
    turned: bool = False
    page: int = 0

    def apply(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows that are wanted, in order, all pages."""
        words = self.wanted.lower().split()
        found = [row for row in rows if _has(row, words)] if words else list(rows)
        if self.order == NEWEST:
            return found[::-1] if self.turned else found
        column = next(column for column in COLUMNS if column.name == self.order)
        values = [(column.value(row), row) for row in found]
        known = sorted((pair for pair in values if pair[0] not in (None, "")),
                       key=lambda pair: pair[0], reverse=self.turned != column.largest_first)
        return [row for _, row in known] + [row for value, row in values if value in (None, "")]

    def cut(self, rows: Sequence[Row]) -> list[Row]:
        """Return the rows of the page."""
        return list(rows[self.page * PAGE_ROWS : (self.page + 1) * PAGE_ROWS])


def pages(rows: Sequence[Row]) -> int:
    """Return how many pages these rows fill, one at least."""
    return max(1, -(-len(rows) // PAGE_ROWS))


def cells(row: Row, mark: str) -> list[Text]:
    """Return what a table shows of a row: its mark on the curves, then each column."""
    shown = [Text(mark, style="bold")]
    for column in COLUMNS:
        cell = column.cell(row)
        right = "right" if column.right else "left"
        shown.append(cell if isinstance(cell, Text) else Text(cell, justify=right))  # type: ignore[arg-type]
    return shown


def _has(row: Row, words: list[str]) -> bool:
    parts = (row["title"], row["run"], row["state"], " ".join(row["tags"]), row["note"],
             row["device"] or "", row["stage"] or "")
    text = " ".join(parts).lower()
    return all(word in text for word in words)
