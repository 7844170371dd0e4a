"""Runs side by side: mark them, see their scores with intervals, and what a paired test said."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from tui.commands import bindings
from tui.comparing import SideBySide, read_side_by_side
from tui.drawing import number
from tui.widgets.scores import METRICS, fill, interval
from tui.widgets.table import Table

SHOWN = 1000
_COLUMNS = ("", "run", "recall", "AUROC", "accuracy")


class ComparePane(Vertical):
    """Finished runs to choose from, and the chosen ones beside each other.

    Args:
        workspace: Where comparisons are looked for.
    """

    PLACE = "compare"
    BINDINGS: ClassVar[list[BindingType]] = bindings("compare")
    DEFAULT_CSS = """
    ComparePane > #compare-note { height: auto; max-height: 5; padding: 0 1; }
    """

    class Wanted(Message):
        """A test of the differences of these runs is asked for."""

        def __init__(self, runs: list[Path]) -> None:
            super().__init__()
            self.runs = runs

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._workspace = workspace
        self._rows: list[dict[str, Any]] = []
        self._marked: list[str] = []

    def compose(self) -> ComposeResult:
        """Runs, scores, a note."""
        yield Table(cursor_type="row", id="compare-runs")
        yield Table(cursor_type="none", id="compare-scores")
        yield Static("", id="compare-note", markup=False)

    def on_mount(self) -> None:
        """Keep the keys for the list of runs."""
        self.query_one("#compare-scores").can_focus = False

    def show(self, rows: list[dict[str, Any]], chosen: Path | None) -> None:
        """Show the finished among these runs, the chosen one marked.

        Args:
            rows: Of `RunsView`.
            chosen: The run that the screen is about.
        """
        finished = [row for row in rows if row["state"] == "finished" and row["path"]][:SHOWN]
        paths = [row["path"] for row in finished]
        marked = [path for path in self._marked if path in paths]
        if not marked and chosen is not None and str(chosen) in paths:
            marked = [str(chosen)]
        self._rows, self._marked = finished, marked
        self._list()
        self._read()

    def action_mark(self) -> None:
        """Take the run under the cursor in, or out."""
        place = self.query_one("#compare-runs", Table).cursor_row
        if not 0 <= place < len(self._rows):
            return
        path = self._rows[place]["path"]
        if path in self._marked:
            self._marked.remove(path)
        else:
            self._marked.append(path)
        self._list()
        self._read()

    def action_compare(self) -> None:
        """Ask for the test, where it can be made."""
        if len(self._marked) < 2:
            self.app.notify("Mark two runs or more with space.", severity="warning")
        else:
            self.post_message(self.Wanted([Path(path) for path in self._marked]))

    def _list(self) -> None:
        letters = {path: _letter(place) for place, path in enumerate(self._marked)}
        rows: list[list[str | Text]] = []
        for row in self._rows:
            metrics = row["metrics"] or {}
            scores = (number(metrics.get(key)) for key in ("mean_recall", "auroc", "accuracy"))
            letter = letters.get(row["path"])
            mark = Text(f"● {letter}" if letter else "·", "bold" if letter else "")
            rows.append([mark, Text(row["run"]), *scores])
        fill(self.query_one("#compare-runs", Table), _COLUMNS, rows, left=2)

    @work(exclusive=True)
    async def _read(self) -> None:
        paths = [Path(path) for path in self._marked]
        self._lay_out(await asyncio.to_thread(read_side_by_side, self._workspace, paths))

    def _lay_out(self, found: SideBySide) -> None:
        letters = [_letter(place) for place in range(len(found.runs))]
        rows = [
            [key, *(f"{number(metrics.get(key))} {interval(metrics, key)}"
                    for metrics in found.metrics)]
            for key in METRICS
        ]
        rows += _differences(found)
        fill(self.query_one("#compare-scores", Table), ("", *letters), rows if letters else [])
        self.query_one("#compare-note", Static).update(_note(found, len(self._rows)))


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def _differences(found: SideBySide) -> list[list[str]]:
    """Return a row for each metric that was tested: difference to the reference, interval, p."""
    if found.comparison is None:
        return []
    by_path = {Path(run["path"]).resolve(): run for run in found.comparison["runs"]}
    runs = [by_path[path.resolve()] for path in found.runs]
    keys = [key for run in runs for key in run["differences"] or ()]
    rows = []
    for key in dict.fromkeys(keys):
        cells = []
        for run in runs:
            tested = (run["differences"] or {}).get(key)
            cells.append(_tested(tested) if tested else "reference" if run["reference"] else "-")
        rows.append([f"Δ {key}", *cells])
    return rows


def _tested(found: dict[str, Any]) -> str:
    low, high = found.get("ci") or (None, None)
    ends = f" [{low:+.3f} {high:+.3f}]" if low is not None else ""
    difference, p = found.get("difference"), found.get("p_holm")
    shown = "-" if difference is None else f"{difference:+.3f}"
    return f"{shown}{ends} p={'-' if p is None else f'{p:.2g}'}"


def _note(found: SideBySide, n_listed: int) -> str:
    problems = [problem for problem in found.problems if problem]
    if problems:
        return "\n".join(problems)
    if not n_listed:
        return "No run of this workspace has finished yet."
    if len(found.runs) < 2:
        return "Space marks runs; two or more stand side by side here."
    if found.comparison is None:
        return (
            "Intervals are of each run by itself; overlapping ones do not answer whether a "
            "difference holds. c asks `stemcls compare`, which pairs the crops."
        )
    said = [
        f"{run['run']} is not comparable: {run['not_comparable']}"
        for run in found.comparison["runs"] if run.get("not_comparable")
    ]
    test = found.comparison.get("test")
    said += [f"Δ: difference to {found.comparison['reference']}; {test}."] if test else []
    return "\n".join([*said, *found.comparison.get("notes", [])])
