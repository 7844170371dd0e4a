"""The form of `stemcls recipes run`: which recipe, on which folder of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from stemcls.config.protocol import ProtocolConfig
from stemcls.errors import InputError
from tui import recipes
from tui.inputs import describe_paths
from tui.screens.taskform import PathForm, section
from tui.tasks import Task
from tui.widgets.setting import Choice


class RecipeForm(PathForm):
    """Choose a recipe and a folder, and start it.

    Args:
        workspace: Where it works.
        found: The recipes.
        chosen: Name of the one that is chosen to begin with.
    """

    FIRST = "#data"
    CSS = PathForm.CSS + """
    RecipeForm #told { height: auto; padding: 0 1 0 17; color: $text-muted; }
    """

    def __init__(self, workspace: Path, found: Sequence[ProtocolConfig], chosen: str) -> None:
        super().__init__(workspace)
        self._recipes = {one.name: one for one in found}
        self._chosen = chosen

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

    def describe(self, text: str) -> str:
        """Say what images are in a folder."""
        folder = self._folder(text)
        if not folder.is_dir():
            raise InputError(f"data: {text.strip()} is not a folder")
        return describe_paths([folder])

    def launch(self) -> Task:
        """Start the command."""
        return recipes.start(self.workspace, self._chosen, self._folder(self.typed))

    def _folder(self, text: str) -> Path:
        return self.workspace / Path(text.strip()).expanduser()
