"""The tab of uses: a run's exports, how it fares at another site, and how it is served."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from stemcls.runs import Run
from tui.commands import bindings
from tui.drawing import number
from tui.opening import copy_serve_command
from tui.tasks import Task
from tui.use import Use
from tui.widgets.scores import fill, interval
from tui.widgets.table import Table
from tui.widgets.taskline import TaskLine

_NO_EXPORT = "Exports   none yet: n writes the model for another program. w: as a web page."
_NO_ADAPTATION = (
    "Another site   this run was not adapted. stemcls adapt RUN STORE makes a new run from it; "
    "this tab of the new run says whether that helped."
)


class UsePane(VerticalScroll):
    """Where a run's model is used, and what was measured there.

    Args:
        workspace: Where exports are started.
    """

    PLACE = "use"
    BINDINGS: ClassVar[list[BindingType]] = bindings("use")
    DEFAULT_CSS = """
    UsePane Static { height: auto; padding: 0 1; }
    """

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self._workspace = workspace
        self._run: Run | None = None
        self._state = ""

    def compose(self) -> ComposeResult:
        """Exports, then the comparison of an adapted run."""
        yield Static("", id="exports-note", markup=False)
        yield Table(cursor_type="none", id="exports-table")
        yield Static("", id="adapt-note", markup=False)
        yield Table(cursor_type="none", id="adapt-table")
        yield Static("", id="adapt-verdict", markup=False)

    def on_mount(self) -> None:
        """Keep the keys for scrolling."""
        for table in self.query(Table):
            table.can_focus = False

    def show(self, run: Run, state: str, found: Use) -> None:
        """Show what was found in the folder of a run that is in a state."""
        self._run, self._state = run, state
        self.query_one("#exports-note", Static).update(_about_exports(found.exports))
        fill(
            self.query_one("#exports-table", Table),
            ("in the run", "format", "largest difference", "tolerance", "compared on"),
            [_export_row(one) for one in found.exports if "problem" not in one], left=2,
        )
        self.query_one("#adapt-note", Static).update(_about_adaptation(found))
        document = found.comparison
        fill(
            self.query_one("#adapt-table", Table),
            ("labels a class", "adapted", "from scratch", "unadapted"),
            _points(document) if document else [],
        )
        self.query_one("#adapt-verdict", Static).update(_verdict(document) if document else "")

    def action_new_export(self) -> None:
        """Open the form of an export, where the run has a model."""
        if (run := self._ready()) is None:
            return
        from tui.screens.exportform import ExportForm

        self.app.push_screen(ExportForm(self._workspace, run), self._started)

    def action_serve(self) -> None:
        """Copy the command that shows the model as a web page."""
        if (run := self._ready()) is not None:
            copy_serve_command(self.app, run)

    def _ready(self) -> Run | None:
        run = self._run
        if run is None:
            self.app.notify("No run is chosen.", severity="warning")
        elif self._state != "finished" or not run.model_path.is_file():
            self.app.notify(f"{run.name} is {self._state} and has no finished model.",
                            severity="warning", markup=False)
        else:
            return run
        return None

    def _started(self, task: Task | None) -> None:
        if task is not None:
            self.screen.query_one(TaskLine).follow()


def _about_exports(exports: Sequence[dict[str, Any]]) -> str:
    if not exports:
        return _NO_EXPORT
    lines = [
        "Exports   each was loaded again and compared with the run; its folder holds the model, "
        "labels.json and MODEL_CARD.md. Those written elsewhere with --out are not listed."
    ]
    lines += [f"✗ {one['problem']}" for one in exports if "problem" in one]
    untested = [
        one["folder"] for one in exports
        if one.get("format") == "bioimageio" and not one.get("tested_by")
    ]
    lines += [f"{folder} was not tested by bioimageio.core" for folder in untested]
    return "\n".join(lines)


def _export_row(one: dict[str, Any]) -> list[str]:
    name = f"{one['format']}, calibrated" if one.get("calibrated") else str(one["format"])
    return [
        one["folder"], name, f"{one['largest_difference']:.1g}", f"{one['tolerance']:g}",
        f"{one['n']} {one['side']} crops",
    ]


def _about_adaptation(found: Use) -> str:
    if found.problem:
        return f"Another site   ✗ {found.problem}"
    if found.plan is None:
        return _NO_ADAPTATION
    lines = [f"Another site   {found.plan.get('source')}, adapted to {found.plan.get('store')}"]
    document = found.comparison
    if document is None:
        lines.append("The comparison is not written yet. Where it was interrupted: "
                     "stemcls adapt --resume RUN")
    else:
        test = document["test"]
        lines.append(
            f"{document['metric'].replace('_', ' ')} on {test['crops']} crops of {test['groups']} "
            "groups of the new site that no model has seen:"
        )
    return "\n".join(lines)


def _points(document: dict[str, Any]) -> list[list[str]]:
    key = document["metric"]

    def scored(metrics: dict[str, Any]) -> str:
        return f"{number(metrics.get(key))} {interval(metrics, key)}"

    return [
        [str(point["labels"]), scored(point["adapted"]), scored(point["scratch"]),
         scored(document["unadapted"])]
        for point in document["points"]
    ]


def _verdict(document: dict[str, Any]) -> str:
    """Return the verdict on the saved model in words, and what there is to say beside it."""
    return "\n".join([
        f"Verdict on the adapted model: {str(document['verdict']).upper()} ({document['why']}).",
        *(str(note) for note in document.get("notes") or ()),
    ])
