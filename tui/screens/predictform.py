"""The form of `stemcls predict`: which images, and how cells are found in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import DirectoryTree, Input, Static

from stemcls.config.imaging import DetectConfig
from stemcls.config.options import Option, from_mapping, option, options_of
from stemcls.errors import StemclsError
from stemcls.runs import Run
from tui import tasks
from tui.flags import changed, flags
from tui.inputs import describe_paths, parse_paths
from tui.predicted import TABLE
from tui.records import new_path
from tui.screens.taskform import PathForm, section
from tui.tasks import PREDICTIONS, Task
from tui.widgets.setting import Setting


@dataclass(frozen=True, kw_only=True)
class Work:
    """How images are taken."""

    kind: str = option(
        "auto", "What an image is: cells to find, crops, or auto.",
        choices=("auto", "cells", "crops"),
    )
    pixel_size_um: float = option(
        0.0, "Edge of a pixel, micrometres, where files do not say.", least=0.0, most=1000.0
    )
    views: int = option(0, "Flips and turns averaged; 0: as the run was scored.", least=0, most=8)
    overlay: bool = option(True, "Draw every field with its cells, to browse them here.")
    device: str = option("auto", "auto, cpu, or the number of a GPU.")


class PredictForm(PathForm):
    """Choose images and settings, and start `stemcls predict`.

    Args:
        workspace: Where it works.
        run: A run with a model.
    """

    FIRST = "#input"
    FIELD = "#input"
    EMPTY = "input: name a folder, or files with ; between"
    CSS = PathForm.CSS + """
    PredictForm DirectoryTree { height: 9; margin: 0 1 0 17; }
    """

    def __init__(self, workspace: Path, run: Run) -> None:
        super().__init__(workspace)
        self._run = run
        self._detection = detection_of(run)

    @property
    def title_text(self) -> str:
        """The run."""
        return f"predict with {self._run.name}"

    def sections(self) -> Iterator[Widget]:
        """Images, how they are taken, how cells are found."""
        yield section("images: a folder, or files with ; between; Enter in the tree takes one")
        with Horizontal(classes="input"):
            yield Static("input", markup=False)
            yield Input(placeholder="folder or files", compact=True, id="input")
        yield Static("", id="found", markup=False)
        yield DirectoryTree(self.workspace)
        yield section("how they are taken")
        for entry in options_of(Work):
            yield Setting(entry, Work)
        yield section("how cells are found: as for the store that the run learned from")
        for entry in self._detection:
            yield Setting(entry, DetectConfig)

    def describe(self, text: str) -> str:
        """Say what images are named."""
        return describe_paths(parse_paths(text, self.workspace))

    def on_directory_tree_file_selected(self, event: DirectoryTree.FileSelected) -> None:
        """Take the file."""
        self.query_one("#input", Input).value = str(event.path)

    def on_directory_tree_directory_selected(
        self, event: DirectoryTree.DirectorySelected
    ) -> None:
        """Take the folder."""
        self.query_one("#input", Input).value = str(event.path)

    def launch(self) -> Task:
        """Start the command."""
        chosen = from_mapping(Work, self.values(Work))
        paths = parse_paths(self.typed, self.workspace)
        folder = new_path(self.workspace / PREDICTIONS, self._run.name)
        out = folder / TABLE
        arguments = [
            str(self._run.path), *map(str, paths), "--out", str(out),
            "--overlay" if chosen.overlay else "--no-overlay",
            *flags(changed(
                (entry for entry in options_of(Work) if entry.keys != ("overlay",)),
                self.values(Work),
            )),
            *flags(changed(self._detection, self.values(DetectConfig))),
        ]
        return tasks.start(self.workspace, "predict", folder.name, arguments, out, folder)


def detection_of(run: Run) -> list[Option]:
    """Return the settings of detection, their defaults those of the run's training store."""
    try:
        card = run.read_json("model.json") or {}
        built = (card.get("build") or {}).get("detect") or {}
    except (StemclsError, OSError, AttributeError):
        built = {}
    return [
        replace(entry, default=built.get(entry.keys[0], entry.default))
        for entry in options_of(DetectConfig)
    ]
