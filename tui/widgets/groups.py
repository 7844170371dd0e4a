"""The tab of groups: how well each donor, line or field was told, the worst first."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from stemcls.evaluation.bygroup import GroupScore
from tui.drawing import interval_bar, number
from tui.widgets.scores import fill
from tui.widgets.table import Table

SHOWN = 1000


class GroupsPane(Vertical):
    """A row for each group."""

    def compose(self) -> ComposeResult:
        """A note, the table."""
        yield Static("", id="groups-note", markup=False)
        yield Table(cursor_type="row", id="groups-table")

    def show(
        self, groups: list[GroupScore], classes: tuple[str, ...], what: str, problem: str = ""
    ) -> None:
        """Show the scores of groups, or why there are none.

        Args:
            groups: Worst first.
            classes: Names.
            what: What a group is.
            problem: Shown where there are none, and beside them where names are missing.
        """
        note = problem
        if groups:
            more = f", the worst {SHOWN} shown" if len(groups) > SHOWN else ""
            note = (
                f"{len(groups)} by {what}{more}, the worst first. Intervals take crops as "
                "independent." + (f" {problem}" if problem else "")
            )
        self.query_one("#groups-note", Static).update(note)
        rows = [
            [
                group.name, str(group.n), number(group.accuracy),
                "[{:.3f} {:.3f}]".format(*group.accuracy_ci),
                interval_bar(group.accuracy, *group.accuracy_ci, 16), number(group.mean_recall),
                *(str(count) for count in group.n_of_class),
            ]
            for group in groups[:SHOWN]
        ]
        columns = (
            what, "n", "accuracy", "95 % interval", "0 to 1", "recall",
            *(f"n {name}" for name in classes),
        )
        fill(self.query_one(Table), columns, rows)
