"""The tab of scores: headline metrics with intervals, classes, folds, other stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from stemcls.evaluation.verdict import Line
from tui.drawing import interval_bar, number
from tui.reading import RunView
from tui.verdict import verdict_text
from tui.widgets.table import Table

METRICS = (
    "mean_recall", "balanced_accuracy", "auroc", "accuracy", "f1_macro", "f1_weighted",
    "precision_macro",
)
EXTERNAL = ("mean_recall", "auroc")
PER_CLASS = ("n", "sensitivity", "specificity", "ppv", "npv", "f1", "auroc")
_TABLES = ("scores-table", "classes-table", "folds-table", "externals-table")


class ScoresPane(VerticalScroll):
    """Everything that was measured of a run, as numbers."""

    DEFAULT_CSS = """
    #scores-verdict { border: round $panel; padding: 0 1; height: auto; margin-bottom: 1; }
    """

    def compose(self) -> ComposeResult:
        """A verdict, a note, and a table for each kind of number."""
        yield Static("", id="scores-verdict")
        yield Static("", id="scores-note", markup=False)
        for name in _TABLES:
            yield Table(cursor_type="none", id=name)

    def on_mount(self) -> None:
        """Keep the keys for scrolling."""
        self.query_one("#scores-verdict").display = False
        for table in self.query(Table):
            table.can_focus = False

    def show(self, view: RunView) -> None:
        """Show the scores of a run."""
        metrics = view.evaluation["metrics"] if view.evaluation else {}
        self.query_one("#scores-note", Static).update(Text(_note(view, metrics) + "\n"))
        scores = [
            _score_row(key, key, metrics)
            for key in (*METRICS, "ece") if metrics and (key != "ece" or key in metrics)
        ]
        if view.calibrated:
            scores.append(_score_row("ece, calibrated", "ece", view.calibrated))
        self._fill("scores-table", ("metric", "value", "95 % interval", "0 to 1"), scores)
        classes = [
            [name, *(number(row.get(key)) for key in PER_CLASS)]
            for name, row in (metrics.get("per_class") or {}).items()
        ]
        short = ("class", "n", "sens", "spec", "ppv", "npv", "f1", "auroc")
        self._fill("classes-table", short, classes)
        folds = [
            [str(fold["fold"]), *(number(fold.get(key)) for key in METRICS[:5])]
            for fold in view.folds
        ]
        self._fill("folds-table", ("fold", *METRICS[:5]), folds)
        externals = [
            [store["name"], number(store.get("n")),
             *(f"{number(store.get(key))} {interval(store, key)}" for key in EXTERNAL)]
            for store in view.externals
        ]
        self._fill("externals-table", ("external set", "n", *EXTERNAL), externals)

    def sum_up(self, lines: Sequence[Line]) -> None:
        """Show the verdict on the run above its numbers; nothing where there is none."""
        panel = self.query_one("#scores-verdict", Static)
        panel.display = bool(lines)
        panel.update(verdict_text(lines))

    def _fill(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        fill(self.query_one(f"#{name}", Table), columns, rows)


def interval(metrics: dict[str, Any], key: str) -> str:
    """Return the 95 % interval of a metric as text, a dash where there is none."""
    low, high = metrics.get(f"{key}_ci") or (None, None)
    return f"[{number(low)} {number(high)}]" if low is not None else "-"


def fill(
    table: Table, columns: Sequence[str], rows: Sequence[Sequence[str | Text]], left: int = 1
) -> None:
    """Put other content into a table and hide it where there is none; the cursor stays.

    Args:
        table: Any.
        columns: Headings.
        rows: Cells; text is set left or right as its column is.
        left: So many first columns are set left, the others right.
    """
    at = table.cursor_coordinate
    table.clear(columns=True)
    table.display = bool(rows)
    for position, column in enumerate(columns):
        table.add_column(Text(column, justify=_side(position, left)), key=column)
    for row in rows:
        table.add_row(*(
            cell if isinstance(cell, Text) else Text(cell, justify=_side(i, left))
            for i, cell in enumerate(row)
        ))
    table.move_cursor(row=min(at.row, max(len(rows) - 1, 0)), column=at.column)


def _side(position: int, left: int) -> Literal["left", "right"]:
    return "left" if position < left else "right"


def _note(view: RunView, metrics: dict[str, Any]) -> str:
    if view.problem:
        return view.problem
    if not metrics:
        return "No evaluation yet: scores appear here when the run has finished."
    groups = metrics.get("n_groups")
    note = f"{metrics.get('n', '?')} crops" + (f" of {groups} groups" if groups else "")
    return f"{note}; intervals resample groups. {metrics.get('ci_note') or ''}"


def _score_row(name: str, key: str, metrics: dict[str, Any]) -> list[str]:
    low, high = metrics.get(f"{key}_ci") or (None, None)
    drawn = interval_bar(metrics.get(key), low, high, 24)
    return [name, number(metrics.get(key)), interval(metrics, key), drawn]
