"""What the modes share whose commands run as tasks, and those that work with a run's model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from stemcls.errors import StemclsError
from stemcls.runs import Run
from tui.screens.choose import ChooseRunScreen
from tui.screens.mode import ModeScreen
from tui.screens.taskform import TaskForm
from tui.tasks import Task
from tui.widgets.taskline import TaskLine


class TaskMode(ModeScreen):
    """A mode with a `TaskLine` in its body."""

    def follow(self, task: Task | None) -> None:
        """Show a task that has just begun; None where a form was left without one."""
        if task is not None:
            self.query_one(TaskLine).follow()

    def begin(self, start: Callable[[], Task]) -> None:
        """Start a task and show it, or why it cannot be started."""
        try:
            self.follow(start())
        except (StemclsError, OSError) as error:
            self.app.notify(str(error), severity="error", markup=False)

    def action_stop(self) -> None:
        """Stop what is under way."""
        self.query_one(TaskLine).stop()


class ModelMode(TaskMode):
    """A mode that puts the model of the chosen run to work; subclasses give `QUESTION` and `form`.
    """

    QUESTION: ClassVar[str]

    def form(self, run: Run) -> TaskForm:
        """Return the form that starts a task with the model of a run."""
        raise NotImplementedError

    def action_choose_run(self) -> None:
        """Choose another run."""

        def chosen(path: Path | None) -> None:
            if path is not None:
                self.stemcls.chosen_run = path
                self.show_chosen()

        rows = self.stemcls.runs.rows if self.stemcls.runs else []
        self.app.push_screen(ChooseRunScreen(rows, self.QUESTION), chosen)

    def action_new(self) -> None:
        """Open the form, where the chosen run has a model."""
        if (run := self.chosen_model()) is not None:
            self.app.push_screen(self.form(run), self.follow)

    def chosen_model(self) -> Run | None:
        """Return the chosen run; where none is, ask for one; where it has no model, say why."""
        path = self.stemcls.chosen_run
        if path is None:
            self.action_choose_run()
            return None
        run = Run(path)
        if run.model_path.is_file():
            return run
        self.app.notify(unfinished(run), severity="warning", markup=False)
        return None


def unfinished(run: Run) -> str:
    """Say why a run has no model to work with, and what to do."""
    if not run.path.is_dir():
        return f"{run.name} is gone; press c and choose another run"
    if run.folds():
        return (
            f"{run.name} is a cross-validation and holds a model per fold; choose a single run, "
            "or train one model on all folds"
        )
    if run.is_study:
        return f"{run.name} is a study; choose its best run (press 4 to see which)"
    return f"{run.name} has no model: it is {run.summary()['state']}; press c for another run"
