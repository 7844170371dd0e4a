"""The form of `stemcls recipes run`: which recipe, on which folder of images."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

from textual import work
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from stemcls.config.protocol import ProtocolConfig
from stemcls.errors import InputError
from tui import recipes
from tui.inputs import describe_paths
from tui.screens.taskform import TaskForm, section
from tui.tasks import Task
from tui.widgets.setting import Choice


class RecipeForm(TaskForm):
    """Choose a recipe and a folder, and start it.

    Args:
        workspace: Where it works.
        found: The recipes.
        chosen: Name of the one that is chosen to begin with.
    """

    FIRST = "#data"
    CSS = """
    RecipeForm .input { height: auto; padding: 0 1; }
    RecipeForm .input > Static { width: 16; }
    RecipeForm .input > Input, RecipeForm .input > Select { width: 1fr; }
    RecipeForm #told, RecipeForm #found { height: auto; padding: 0 1 0 17; color: $text-muted; }
    """

    def __init__(self, workspace: Path, found: Sequence[ProtocolConfig], chosen: str) -> None:
        super().__init__(workspace)
        self._recipes = {one.name: one for one in found}
        self._chosen = chosen
        self._looked: tuple[str, str] = ("", "")

    @property
    def title_text(self) -> str:
        """What it starts."""
        return "run a recipe"

    def sections(self) -> Iterator[Widget]:
        """Recipe and folder."""
        yield section("a paper's protocol on your images; it goes on when you leave")
        with Horizontal(classes="input"):
            yield Static("recipe", markup=False)
            names = [(name, name) for name in self._recipes]
            yield Choice(names, value=self._chosen, allow_blank=False, compact=True, id="recipe")
        yield Static("", id="told", markup=False)
        with Horizontal(classes="input"):
            yield Static("data", markup=False)
            yield Input(placeholder="folder of the images", compact=True, id="data")
        yield Static("", id="found", markup=False)

    def on_select_changed(self, event: Select.Changed) -> None:
        """Say how its images are to lie."""
        self._chosen = str(event.value)
        protocol = self._recipes[self._chosen]
        self.query_one("#told", Static).update(
            f"{protocol.summary}\nDATA is the folder below; expected: "
            f"{recipes.layout_of(protocol)}"
        )

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look at the folder that was typed."""
        self._look(event.value)

    @work(exclusive=True)
    async def _look(self, text: str) -> None:
        said, problem = "", ""
        try:
            said = await asyncio.to_thread(_describe, self.workspace, text)
        except (InputError, OSError) as error:
            problem = str(error)
        self._looked = (text, problem)
        self.query_one("#found", Static).update(said)
        self.show_verdict()

    def judge(self) -> str:
        """Return what is wrong with the folder."""
        text = self.query_one("#data", Input).value
        if not text.strip():
            return "data: name the folder of the images"
        looked, problem = self._looked
        return problem if looked == text else "looking at the folder ..."

    def launch(self) -> Task:
        """Start the command."""
        data = _folder(self.workspace, self.query_one("#data", Input).value)
        return recipes.start(self.workspace, self._chosen, data)


def _folder(workspace: Path, text: str) -> Path:
    return workspace / Path(text.strip()).expanduser()


def _describe(workspace: Path, text: str) -> str:
    folder = _folder(workspace, text)
    if not folder.is_dir():
        raise InputError(f"data: {text.strip()} is not a folder")
    return describe_paths([folder])
