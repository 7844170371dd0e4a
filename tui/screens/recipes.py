"""The recipes of papers: which there are, their runs, the paper's figures beside ours."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from stemcls.config.protocol import ProtocolConfig
from tui import recipes
from tui.commands import bindings
from tui.drawing import number, state_text
from tui.opening import open_page
from tui.recipes import RecipeRun
from tui.screens.taskmode import TaskMode
from tui.widgets.runactions import stop_run
from tui.widgets.scores import fill
from tui.widgets.table import Table
from tui.widgets.taskline import TaskLine

REFRESH_SECONDS = 1.0
SHOWN = 1000
NO_RUNS = "No recipe was run in this workspace yet: press n."


class RecipesScreen(TaskMode):
    """Recipes, their runs, and what the selected run came to."""

    MODE = "train"
    PLACE = "recipes"
    BINDINGS: ClassVar[list[BindingType]] = bindings("recipes")
    CSS = """
    RecipesScreen .told { height: auto; max-height: 5; padding: 0 1; color: $text-muted; }
    RecipesScreen DataTable { height: auto; }
    #recipes { max-height: 25%; }
    #recipe-runs { max-height: 20%; border-top: solid $panel; }
    #recipe-figures { height: 1fr; }
    RecipesScreen TaskLine { max-height: 14; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._recipes: list[ProtocolConfig] = []
        self._runs: list[RecipeRun] | None = None

    def compose_body(self) -> ComposeResult:
        """Recipes, runs, figures, what is under way."""
        yield Static("recipes   protocols of papers", classes="title", markup=False)
        yield Table(cursor_type="row", id="recipes")
        yield Static("", id="recipe-told", classes="told", markup=False)
        yield Table(cursor_type="row", id="recipe-runs")
        yield Static(NO_RUNS, id="run-told", classes="told", markup=False)
        yield Table(cursor_type="row", id="recipe-figures")
        yield TaskLine(self.stemcls.workspace, recipes.KIND)

    def show_chosen(self) -> None:
        """Follow the workspace while it is shown."""
        self._watch()

    @work(exclusive=True)
    async def _watch(self) -> None:
        if not self._recipes:
            self._recipes = await asyncio.to_thread(recipes.read_recipes)
            if not self.is_shown:
                return
            rows = [[one.name, one.paper.authors, one.summary] for one in self._recipes]
            fill(self.query_one("#recipes", Table), ("recipe", "paper", "what"), rows, left=3)
            self.query_one("#recipes", Table).focus()
        while self.is_shown:
            runs = await asyncio.to_thread(recipes.read_runs, self.stemcls.workspace)
            if not self.is_shown:
                return
            if runs != self._runs:
                self._show(runs)
            await asyncio.sleep(REFRESH_SECONDS)

    def _show(self, runs: list[RecipeRun]) -> None:
        self._runs = runs
        rows: list[list[str | Text]] = [
            [state_text(run.summary["state"]), run.summary["title"], run.summary["stage"] or "",
             (run.summary["message"] or "").partition("\n")[0]]
            for run in runs[:SHOWN]
        ]
        fill(self.query_one("#recipe-runs", Table), ("state", "run", "step", "says"), rows, left=4)
        self._tell_run()

    def on_data_table_row_highlighted(self, event: Table.RowHighlighted) -> None:
        """Say more of the recipe or the run under the cursor."""
        if event.data_table.id == "recipes" and (recipe := self._recipe):
            self.query_one("#recipe-told", Static).update(
                f"{recipe.summary}\nexpected: {recipes.layout_of(recipe)}\n"
                f"the paper's images: {recipe.paper.data}"
            )
        elif event.data_table.id == "recipe-runs":
            self._tell_run()

    def _tell_run(self) -> None:
        run = self._run
        document = run.document if run else None
        if run is None:
            told = NO_RUNS
        elif document is not None:
            lines = [f"{run.summary['title']}: the paper's figures and ours. o opens the report."]
            told = "\n".join([*lines, *recipes.changes(document)])
        else:
            told = run.problem or run.summary["message"] or "No report yet."
        self.query_one("#run-told", Static).update(told)
        figures = document["figures"] if document else []
        fill(
            self.query_one("#recipe-figures", Table),
            ("figure", "paper", "ours", "95 % interval"), [_figure(row) for row in figures],
        )

    @property
    def _recipe(self) -> ProtocolConfig | None:
        at = self.query_one("#recipes", Table).cursor_row
        return self._recipes[at] if 0 <= at < len(self._recipes) else None

    @property
    def _run(self) -> RecipeRun | None:
        at = self.query_one("#recipe-runs", Table).cursor_row
        return self._runs[at] if self._runs and 0 <= at < len(self._runs) else None

    def on_data_table_row_selected(self, event: Table.RowSelected) -> None:
        """Run the recipe, or open the report of the run."""
        if event.data_table.id == "recipes":
            self.action_new()
        elif event.data_table.id == "recipe-runs":
            self.action_report()

    def action_new(self) -> None:
        """Open the form of the selected recipe."""
        if (recipe := self._recipe) is None:
            return
        from tui.screens.recipeform import RecipeForm

        form = RecipeForm(self.stemcls.workspace, self._recipes, recipe.name)
        self.app.push_screen(form, self.follow)

    def action_report(self) -> None:
        """Open the report of the selected run."""
        page = self._run.path / recipes.REPORT if self._run else None
        if page is None or not page.is_file():
            self.app.notify("There is no report yet.", severity="warning")
        else:
            open_page(self.app, page)

    def action_stop(self) -> None:
        """Stop the selected run; where none is, what was started last."""
        run, line = self._run, self.query_one(TaskLine)
        ours = [task for task in line.running if run and task.about == run.path.name]
        if run is not None and not ours and run.summary["state"] in ("running", "stalled"):
            stop_run(self, run.summary)
        else:
            line.stop(*ours[:1])

    def action_resume(self) -> None:
        """Go on with the selected run."""
        run = self._run
        state = run.summary["state"] if run else ""
        if run is None or state in ("running", "stalled", "finished"):
            said = f"{run.path.name} is {state}." if run else "No run is selected."
            self.app.notify(said, severity="warning", markup=False)
            return
        path = run.path
        self.begin(lambda: recipes.resume(self.stemcls.workspace, path))

    def on_task_line_finished(self, event: TaskLine.Finished) -> None:
        """Open the report of what has finished."""
        open_page(self.app, Path(event.task.result).with_name(recipes.REPORT))

    def action_back(self) -> None:
        """Go back to the mode that it was opened from."""
        self.app.pop_screen()


def _figure(row: dict[str, Any]) -> list[str]:
    spread = f" ± {row['spread']:g}" if row.get("spread") else ""
    ends = row.get("interval")
    return [
        str(row["name"]), f"{row['paper']:g}{spread}", number(row.get("ours")),
        "[{:.3f} {:.3f}]".format(*ends) if ends else "-",
    ]
