"""The mode of results: scores, confusion matrix, epochs and log of one run, read every second."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Log, Static, TabbedContent, TabPane

from stemcls.runs import Run
from tui.commands import bindings
from tui.drawing import curve, duration, interval_bar, number, state_text
from tui.listing import place
from tui.reading import RunView, read_run
from tui.screens.mode import ModeScreen
from tui.widgets.confusion import ConfusionPane
from tui.widgets.explained import ExplainedPane
from tui.widgets.runactions import resume_run, stop_run
from tui.widgets.table import Table

REFRESH_SECONDS = 1.0
SHOWN_EPOCHS = 500
METRICS = (
    "mean_recall", "balanced_accuracy", "auroc", "accuracy", "f1_macro", "f1_weighted",
    "precision_macro",
)
# Tabs in order, and what takes the keys in each.
INSIDE = {
    "scores": "#scores-scroll", "confusion": "#confusion-table", "history": "#history-table",
    "log": "#log-lines", "explained": "#explained-table",
}
NOTHING_CHOSEN = "No run is chosen: press 3, go to a run and press Enter."
EXTERNAL = ("mean_recall", "auroc")
PER_CLASS = ("n", "sensitivity", "specificity", "ppv", "npv", "f1", "auroc")
EPOCH_KEYS = {
    "loss": "loss", "val_loss": "val_loss", "accuracy": "acc", "val_accuracy": "val_acc",
    "learning_rate": "rate", "seconds": "seconds",
}


class ResultsScreen(ModeScreen):
    """Everything that the chosen run's folder says about it."""

    MODE = "results"
    PLACE = "results"
    BINDINGS: ClassVar[list[BindingType]] = bindings("results")
    CSS = """
    #scores-scroll DataTable { height: auto; margin-bottom: 1; }
    #run-state { padding: 0 1; height: auto; max-height: 9; overflow-y: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown_run: Run | None = None
        self._view: RunView | None = None

    def compose_body(self) -> ComposeResult:
        """Title and state, tabs."""
        yield Static("", id="run-title", classes="title", markup=False)
        yield Static(NOTHING_CHOSEN, id="run-state", markup=False)
        with TabbedContent():
            with TabPane("Scores", id="scores"), VerticalScroll(id="scores-scroll"):
                yield Static("", id="scores-note", markup=False)
                yield Table(cursor_type="none", id="scores-table")
                yield Table(cursor_type="none", id="classes-table")
                yield Table(cursor_type="none", id="folds-table")
                yield Table(cursor_type="none", id="externals-table")
            with TabPane("Confusion", id="confusion"):
                yield ConfusionPane()
            with TabPane("History", id="history"):
                yield Static("", id="history-note", markup=False)
                yield Table(cursor_type="row", id="history-table")
            with TabPane("Log", id="log"):
                yield Log(id="log-lines", auto_scroll=True)
            with TabPane("Explained", id="explained"):
                yield ExplainedPane()

    def on_mount(self) -> None:
        """Leave the keys to the scrolling parts."""
        for name in ("scores-table", "classes-table", "folds-table", "externals-table"):
            self.query_one(f"#{name}").can_focus = False
        self.query_one("#scores-scroll").focus()

    def show_chosen(self) -> None:
        """Show the chosen run, from now on as it changes."""
        path = self.stemcls.chosen_run
        if path is None:
            return
        if self._shown_run is None or self._shown_run.path != path:
            self._shown_run, self._view = Run(path), None
            self.query_one("#run-title", Static).update(f"run   {path.name}")
        self._watch()

    @work(exclusive=True)
    async def _watch(self) -> None:
        while self.is_current and self._shown_run is not None:
            view = await asyncio.to_thread(read_run, self._shown_run)
            if view != self._view:
                self._show(self._shown_run, view)
            await asyncio.sleep(REFRESH_SECONDS)

    def _show(self, run: Run, view: RunView) -> None:
        before, self._view = self._view, view
        state = state_text(view.summary["state"])
        state.append(f"  {place(view.summary)}  {duration(view.summary['seconds'])}", style="none")
        if view.summary["message"]:
            state.append(f"\n{view.summary['message']}", style="none")
        self.query_one("#run-state", Static).update(state)
        if before is None or _scored(before) != _scored(view):
            self._show_scores(view)
            self.query_one(ConfusionPane).show(view.evaluation)
        if before is None or before.epochs != view.epochs:
            self._show_history(view.epochs)
        if before is None or before.log != view.log:
            log = self.query_one(Log)
            log.clear()
            log.write_lines(view.log or ["The log is empty."])
        if before is None or before.explained != view.explained:
            self.query_one(ExplainedPane).show(run.path, view.explained)

    def _show_scores(self, view: RunView) -> None:
        metrics = view.evaluation["metrics"] if view.evaluation else {}
        note = view.problem
        if not note and not metrics:
            note = "No evaluation yet: scores appear here when the run has finished."
        if metrics:
            groups = metrics.get("n_groups")
            note = f"{metrics.get('n', '?')} crops" + (f" of {groups} groups" if groups else "")
            note += f"; intervals resample groups. {metrics.get('ci_note') or ''}"
        self.query_one("#scores-note", Static).update(Text(note + "\n"))
        scores = [
            _score_row(key, key, metrics)
            for key in (*METRICS, "ece") if metrics and (key != "ece" or key in metrics)
        ]
        if view.calibrated:
            scores.append(_score_row("ece, calibrated", "ece", view.calibrated))
        _fill(self, "scores-table", ("metric", "value", "95 % interval", "0 to 1"), scores)
        classes = [
            [name, *(number(row.get(key)) for key in PER_CLASS)]
            for name, row in (metrics.get("per_class") or {}).items()
        ]
        short = ("class", "n", "sens", "spec", "ppv", "npv", "f1", "auroc")
        _fill(self, "classes-table", short, classes)
        folds = [
            [str(fold["fold"]), *(number(fold.get(key)) for key in METRICS[:5])]
            for fold in view.folds
        ]
        _fill(self, "folds-table", ("fold", *METRICS[:5]), folds)
        externals = [
            [store["name"], number(store.get("n")),
             *(f"{number(store.get(key))} {_interval(store, key)}" for key in EXTERNAL)]
            for store in view.externals
        ]
        _fill(self, "externals-table", ("external set", "n", *EXTERNAL), externals)

    def _show_history(self, epochs: list[dict[str, Any]]) -> None:
        losses = [epoch.get("val_loss") for epoch in epochs]
        note = "No epoch has ended yet."
        if epochs:
            note = f"{len(epochs)} epochs, the latest first. val_loss, oldest to latest:"
        self.query_one("#history-note", Static).update(Text(f"{note}\n{curve(losses, 76)}"))
        folds = any(epoch["fold"] for epoch in epochs)
        columns = (*(("fold",) if folds else ()), "stage", "epoch", *EPOCH_KEYS.values())
        rows = []
        for epoch in reversed(epochs[-SHOWN_EPOCHS:]):
            row = [epoch["fold"]] if folds else []
            row += [str(epoch.get("stage", "")), f"{epoch.get('epoch')}/{epoch.get('epochs')}"]
            rows.append(row + [_short(key, epoch.get(key)) for key in EPOCH_KEYS])
        _fill(self, "history-table", columns, rows)

    def action_tab(self, step: int) -> None:
        """Go to the tab before or after, and into what can be moved there."""
        tabs = self.query_one(TabbedContent)
        names = list(INSIDE)
        tabs.active = names[(names.index(tabs.active) + step) % len(names)]
        self.query_one(INSIDE[tabs.active]).focus()

    def action_stop(self) -> None:
        """Ask the run to stop."""
        if self._view:
            stop_run(self, self._view.summary)

    def action_resume(self) -> None:
        """Go on with the run."""
        if self._view:
            resume_run(self, self.stemcls.workspace, self._view.summary)


def _scored(view: RunView) -> tuple[Any, ...]:
    return view.evaluation, view.folds, view.problem, view.externals, view.calibrated


def _score_row(name: str, key: str, metrics: dict[str, Any]) -> list[str]:
    low, high = metrics.get(f"{key}_ci") or (None, None)
    drawn = interval_bar(metrics.get(key), low, high, 24)
    return [name, number(metrics.get(key)), _interval(metrics, key), drawn]


def _interval(metrics: dict[str, Any], key: str) -> str:
    low, high = metrics.get(f"{key}_ci") or (None, None)
    return f"[{number(low)} {number(high)}]" if low is not None else "-"


def _fill(screen: ModeScreen, name: str, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    table = screen.query_one(f"#{name}", Table)
    at = table.cursor_row
    table.clear(columns=True)
    table.display = bool(rows)
    for position, column in enumerate(columns):
        table.add_column(Text(column, justify="right" if position else "left"), key=column)
    for row in rows:
        table.add_row(*(Text(cell, justify="right" if i else "left") for i, cell in enumerate(row)))
    table.move_cursor(row=min(at, max(len(rows) - 1, 0)))


def _short(key: str, value: Any) -> str:
    if value is None:
        return "-"
    return {"learning_rate": f"{value:.1e}", "seconds": f"{value:.1f}"}.get(key, number(value))
