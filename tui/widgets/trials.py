"""The trials of a search as a table that can be sorted by every column."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from tui.drawing import duration, number
from tui.studies import StudyView, TrialRow
from tui.widgets.table import Table

FIXED = ("trial", "state", "score", "SD", "", "weights", "time")
MARKS = {"chosen": ("★ chosen", "bold"), "best": ("▲ best", "bold"), "alike": ("≈ alike", "")}
# The larger the better: the first sort by it puts the largest on top.
LARGEST_FIRST = ("score",)


class TrialsTable(Table):
    """Trials; those that cannot be told apart from the best are marked."""

    def __init__(self, id: str) -> None:
        super().__init__(cursor_type="row", id=id)
        self._study: StudyView | None = None
        self._rows: list[TrialRow] = []
        self._order, self._turned = "score", False

    @property
    def selected(self) -> TrialRow | None:
        """The trial under the cursor."""
        return self._rows[self.cursor_row] if 0 <= self.cursor_row < len(self._rows) else None

    @property
    def order(self) -> str:
        """What it is sorted by, in words."""
        return f"by {self._order or 'mark'}{', turned' if self._turned else ''}"

    def show(self, study: StudyView) -> None:
        """Show the trials of a search; the cursor stays on its trial."""
        other = self._study is None or (
            (self._study.path, self._study.dimensions) != (study.path, study.dimensions)
        )
        self._study = study
        if other:
            self.clear(columns=True)
            self._rows = []
            for name in self._names:
                self.add_column(_heading(name), key=name)
        self._arrange()

    def sort_on(self, step: int) -> None:
        """Sort by the next column, or with 0 the other way round."""
        names = self._names
        at = names.index(self._order) if self._order in names else 0
        self.sort_by(names[(at + step) % len(names)])

    def sort_by(self, name: str) -> None:
        """Sort by a column; once more turns it round."""
        self._turned = not self._turned if name == self._order else False
        self._order = name
        self._arrange()

    @property
    def _names(self) -> list[str]:
        keys = [dimension.key for dimension in self._study.dimensions] if self._study else []
        return [*FIXED, *keys]

    def _arrange(self) -> None:
        if self._study is None:
            return
        before = self.selected.number if self.selected else None
        rows = self._sorted(self._study.trials)
        names = self._names
        if [row.number for row in rows] == [row.number for row in self._rows]:
            for old, row in zip(self._rows, rows, strict=True):
                if old != row:
                    for name, cell in zip(names, self._cells(row), strict=True):
                        self.update_cell(str(row.number), name, cell, update_width=True)
            self._rows = rows
            return
        self.clear()
        self._rows = rows
        for row in rows:
            self.add_row(*self._cells(row), key=str(row.number))
        numbers = [row.number for row in rows]
        self.move_cursor(row=numbers.index(before) if before in numbers else 0)

    def _sorted(self, trials: tuple[TrialRow, ...]) -> list[TrialRow]:
        known = [(_value(trial, self._order), trial) for trial in trials]
        texts = any(isinstance(value, str) for value, _ in known)
        there = [(str(value) if texts else value, trial) for value, trial in known
                 if value is not None]
        turned = self._turned != (self._order in LARGEST_FIRST)
        there.sort(key=lambda pair: pair[0], reverse=turned)
        return [trial for _, trial in there] + [trial for value, trial in known if value is None]

    def _cells(self, trial: TrialRow) -> list[Text]:
        mark, style = MARKS.get(trial.mark, ("", ""))
        state = trial.state
        if state == "running" and self._study:
            state = f"▶ fold {trial.folds + 1}/{self._study.folds}"
        shown = [
            str(trial.number), state, number(trial.score, 4), number(trial.sd, 4), mark,
            f"{trial.parameters:,}" if trial.parameters else "-", duration(trial.seconds),
        ]
        shown += [_written(trial.values.get(name)) for name in self._names[len(FIXED) :]]
        return [
            Text(text, justify="left" if place in (1, 4) else "right", style=style)
            for place, text in enumerate(shown)
        ]


def _value(trial: TrialRow, name: str) -> Any:
    """Return what a trial is sorted by; None comes last."""
    if name == "":
        return list(MARKS).index(trial.mark) if trial.mark else None
    fixed = {
        "trial": trial.number, "state": trial.state, "score": trial.score, "SD": trial.sd,
        "weights": trial.parameters or None, "time": trial.seconds,
    }
    return fixed[name] if name in fixed else trial.values.get(name)


def _heading(name: str) -> str:
    """Return the last two parts of a setting's key."""
    return ".".join(name.split(".")[-2:])


def _written(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
