"""What the forms of tasks share: settings, a verdict while typing, one key to launch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, Footer, Input, Static

from stemcls.config.options import merged
from stemcls.errors import InputError, StemclsError
from stemcls.runs import Run
from tui.commands import bindings
from tui.tasks import Task
from tui.widgets.jobform import Fields
from tui.widgets.setting import Setting


class TaskForm(Screen[Task | None]):
    """Fill in what a command takes and launch it; returns the task that it started.

    Subclasses give `title_text`, `sections` and `launch`, and may add to `judge` and say what has
    the keys `FIRST`.

    Args:
        workspace: Where the task works.
    """

    FIRST = "Setting Input, Setting Choice"
    PLACE = "task-form"
    BINDINGS: ClassVar[list[BindingType]] = bindings("task-form")
    CSS = """
    .section { text-style: bold; padding: 1 1 0 1; color: $text-accent; height: auto; }
    #bar { height: auto; max-height: 3; border-top: solid $panel; padding: 0 1; }
    #verdict { width: 1fr; height: auto; }
    #verdict.-bad { color: $text-error; text-style: bold; }
    Button { width: auto; }
    """

    def __init__(self, workspace: Path) -> None:
        super().__init__()
        self.workspace = workspace

    @property
    def title_text(self) -> str:
        """What the form starts, in one line."""
        raise NotImplementedError

    def sections(self) -> Iterator[Widget]:
        """Yield headings and settings."""
        raise NotImplementedError

    def judge(self) -> str:
        """Return what is wrong beyond single settings, "" if nothing; must not wait for disks."""
        return ""

    def launch(self) -> Task:
        """Start the task.

        Raises:
            StemclsError: It cannot be started.
            OSError: Its folder cannot be made.
        """
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Title, settings, verdict and button, footer."""
        yield Static(self.title_text, classes="title", markup=False)
        with Fields(id="fields"):
            yield from self.sections()
        with Horizontal(id="bar"):
            yield Static("", id="verdict", markup=False)
            yield Button("Launch", variant="primary", compact=True, id="launch")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin at the first setting."""
        self.query(self.FIRST).first().focus()
        self.show_verdict()

    def on_setting_changed(self) -> None:
        """Say whether the form can be launched."""
        self.show_verdict()

    def values(self, cls: type) -> dict[str, Any]:
        """Return the nested values of the settings of a config class."""
        mapping: dict[str, Any] = {}
        for setting in self.query(Setting):
            if setting.cls is cls:
                mapping = merged(mapping, setting.nested)
        return mapping

    def show_verdict(self) -> str:
        """Show and return the first thing that is wrong, "" if nothing is."""
        problems = [setting.problem for setting in self.query(Setting) if setting.problem]
        try:
            problem = problems[0] if problems else self.judge()
        except StemclsError as error:
            problem = str(error)
        verdict = self.query_one("#verdict", Static)
        verdict.set_class(bool(problem), "-bad")
        verdict.update(f"! {problem}" if problem else "All settings are valid. ctrl+l launches.")
        self.query_one("#launch", Button).disabled = bool(problem)
        return problem

    def on_button_pressed(self) -> None:
        """Launch."""
        self.action_launch()

    def action_launch(self) -> None:
        """Start the task and go back, unless something is wrong."""
        problem = self.show_verdict()
        if not problem:
            try:
                self.dismiss(self.launch())
                return
            except (StemclsError, OSError) as error:
                problem = str(error)
        self.app.notify(problem, title="Not launched", severity="error", markup=False)

    def action_back(self) -> None:
        """Go back without starting anything."""
        self.dismiss(None)


class RunForm(TaskForm):
    """A form of a command that works with one run.

    Args:
        workspace: Where the task works.
        run: A finished run.
    """

    def __init__(self, workspace: Path, run: Run) -> None:
        super().__init__(workspace)
        self.run = run


class PathForm(TaskForm):
    """A form with one text field for a path, which is looked at while it is typed.

    Subclasses yield an `Input`, `FIELD`, and a Static, `found`, and give `describe`; `EMPTY` is
    what is wrong while nothing is typed.
    """

    FIELD = "#data"
    EMPTY = "data: name the folder of the images"
    CSS = TaskForm.CSS + """
    PathForm .input { height: auto; padding: 0 1; }
    PathForm .input > Static { width: 16; }
    PathForm .input > Input, PathForm .input > Select { width: 1fr; }
    PathForm #found { height: auto; padding: 0 1 0 17; color: $text-muted; }
    """

    def __init__(self, workspace: Path) -> None:
        super().__init__(workspace)
        self._looked: tuple[str, str] = ("", "")

    @property
    def typed(self) -> str:
        """What the field holds."""
        return self.query_one(self.FIELD, Input).value

    def describe(self, text: str) -> str:
        """Say what is at a path; called in a thread.

        Raises:
            InputError: Nothing that can be used.
            OSError: It cannot be read.
        """
        raise NotImplementedError

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look at what was typed."""
        self._look(event.value)

    @work(exclusive=True)
    async def _look(self, text: str) -> None:
        said, problem = "", ""
        try:
            said = await asyncio.to_thread(self.describe, text)
        except (InputError, OSError) as error:
            problem = str(error)
        self._looked = (text, problem)
        self.query_one("#found", Static).update(said)
        self.show_verdict()

    def judge(self) -> str:
        """Return what is wrong with the path."""
        if not self.typed.strip():
            return self.EMPTY
        looked, problem = self._looked
        return problem if looked == self.typed else "looking at what was named ..."


def section(title: str) -> Static:
    """Return a heading."""
    return Static(title, classes="section", markup=False)
