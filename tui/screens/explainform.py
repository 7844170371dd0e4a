"""The form of `stemcls explain`: which cells of a run, by which methods, how finely."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

from textual import work
from textual.widget import Widget

from stemcls.config.explain import ExplainConfig
from stemcls.config.options import from_mapping, option, options_of
from stemcls.errors import InputError, StemclsError, nearest
from stemcls.explain.methods import METHODS
from stemcls.runs import Run
from tui import tasks
from tui.flags import changed, flags
from tui.records import new_path
from tui.scored import PredictionsShelf, Scored, predictions_path
from tui.screens.taskform import RunForm, section
from tui.tasks import Task
from tui.widgets.setting import Setting

_ANY = "any"
TELLING, WRONG, OF_CLASS, ROWS = "telling", "wrong", "class", "rows"
# The form has fields of its own for these.
_OWN = (("methods",), ("rows",))


@dataclass(frozen=True, kw_only=True)
class Pick:
    """Which cells are explained."""

    which: str = option(
        TELLING, "telling: surest and least sure of each entry of the matrix; wrong: the surest "
        "mistakes; class: the surest of a true class; rows: those named below.",
        choices=(TELLING, WRONG, OF_CLASS, ROWS),
    )
    of_class: str = option(_ANY, "True class of the cells, with wrong and class.")
    most: int = option(24, "At most this many, with wrong and class.", least=1, most=1000)
    rows: str = option("", "Rows of the store with commas between, such as 3,17,20.")
    check: bool = option(False, "Also say whether each method passes sanity checks.")
    device: str = option("auto", "auto, cpu, or the number of a GPU.")


def _field(method: str) -> str:
    return method.replace("+", "p").replace("-", "_")


# A switch for each row of the table of methods.
Methods = make_dataclass(
    "Methods",
    [(_field(name), bool, option(name == "gradcam", f"{name}: {row.summary}"))
     for name, row in METHODS.items()],
    frozen=True, kw_only=True,
)


class ExplainForm(RunForm):
    """Choose cells, methods and settings, and start `stemcls explain`.

    Args:
        workspace: Where it works.
        run: A finished run.
    """

    def __init__(self, workspace: Path, run: Run) -> None:
        super().__init__(workspace, run)
        self._scored: Scored | None = None
        self._unscored = "the predictions are still being read"

    @property
    def title_text(self) -> str:
        """The run."""
        return f"explain {self.run.name}"

    def sections(self) -> Iterator[Widget]:
        """Cells, methods, then every setting of `ExplainConfig`."""
        yield section("cells")
        for entry in options_of(Pick):
            yield Setting(entry, Pick)
        yield section("methods")
        for entry in options_of(Methods):
            yield Setting(entry, Methods)
        yield section("settings")
        for entry in options_of(ExplainConfig):
            if entry.keys not in _OWN:
                yield Setting(entry, ExplainConfig)

    def on_mount(self) -> None:
        """Read what the model said of the cells, to pick by it."""
        self._read()

    @work(exclusive=True)
    async def _read(self) -> None:
        try:
            self._scored = await asyncio.to_thread(
                PredictionsShelf().read, predictions_path(self.run)
            )
        except StemclsError as error:
            self._unscored = str(error)
        self.show_verdict()

    def judge(self) -> str:
        """Return what is wrong beyond single settings."""
        if not self._methods():
            return "methods: choose one at least"
        target = self.values(ExplainConfig)["target"]
        classes = self._scored.classes if self._scored is not None else None
        if target and classes is not None and target not in classes:
            return f"target: the run knows no class {target!r}{nearest(target, classes)}"
        self._rows()
        return ""

    def _methods(self) -> list[str]:
        wanted = self.values(Methods)
        return [name for name in METHODS if wanted[_field(name)]]

    def _rows(self) -> str:
        """Return the rows to explain, "" for telling ones.

        Raises:
            InputError: There are none, or they cannot be told.
        """
        pick = from_mapping(Pick, self.values(Pick))
        if pick.which == TELLING:
            return ""
        if pick.which == ROWS:
            return _checked_rows(pick.rows)
        scored = self._scored
        if scored is None:
            raise InputError(f"which: {pick.which} needs the run's predictions: {self._unscored}")
        return _rows_of(scored, pick)

    def launch(self) -> Task:
        """Start the command."""
        pick = from_mapping(Pick, self.values(Pick))
        out = new_path(self.run.path / "explanations")
        arguments = explain_arguments(
            self.run, out, self._methods(), self._rows(),
            self.values(ExplainConfig), pick,
        )
        return tasks.start(
            self.workspace, "explain", self.run.name, arguments, out / "explanation.json"
        )


def explain_arguments(
    run: Run, out: Path, methods: list[str], rows: str, values: dict[str, Any], pick: Pick
) -> list[str]:
    """Return the command line after `stemcls explain`.

    Args:
        run: The run.
        out: The new folder.
        methods: Names.
        rows: Of the store; "" for telling ones.
        values: Other settings, nested.
        pick: Whether to check, and where to run.
    """
    arguments = [str(run.path), "--out", str(out), "--device", pick.device]
    for name in methods:
        arguments += ["--method", name]
    if rows:
        arguments += ["--rows", rows]
    if pick.check:
        arguments.append("--check")
    return arguments + flags(changed(options_of(ExplainConfig), values))


def _checked_rows(text: str) -> str:
    try:
        rows = [int(row) for row in text.split(",")]
    except ValueError:
        raise InputError(f"rows: expected numbers with commas between, found {text!r}") from None
    if min(rows) < 0:
        raise InputError(f"rows: they count from 0, found {min(rows)}")
    return ",".join(map(str, rows))


def _rows_of(scored: Scored, pick: Pick) -> str:
    if pick.of_class not in (_ANY, *scored.classes):
        raise InputError(
            f"of_class: the run knows no class {pick.of_class!r}"
            f"{nearest(pick.of_class, scored.classes)}; any takes all"
        )
    labels = scored.predictions.labels
    places = scored.wrong() if pick.which == WRONG else (-scored.score).argsort(kind="stable")
    if pick.of_class != _ANY:
        places = places[labels[places] == scored.classes.index(pick.of_class)]
    elif pick.which == OF_CLASS:
        raise InputError(f"of_class: name one of {', '.join(scored.classes)}")
    if not len(places):
        raise InputError(f"which: there are none that are {pick.which} here")
    return ",".join(map(str, scored.predictions.rows[places[: pick.most]].tolist()))
