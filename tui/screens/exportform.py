"""The form of `stemcls export`: which format, by which backend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from textual.widget import Widget

from stemcls.config.options import from_mapping, option, options_of
from tui import tasks
from tui.screens.taskform import RunForm, section
from tui.tasks import Task
from tui.use import DOCUMENT, FORMATS, export_folder
from tui.widgets.setting import Setting

_AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is written."""

    to: str = option(
        FORMATS[0], "ONNX, TensorFlow's SavedModel, LiteRT, or a package for bioimage.io.",
        choices=FORMATS,
    )
    calibrated: bool = option(False, "The model of `stemcls calibrate` in place of the run's.")
    backend: str = option(
        _AUTO, "Keras cannot write every format from every backend; a refusal says which can.",
        choices=(_AUTO, "tensorflow", "jax", "torch"),
    )


class ExportForm(RunForm):
    """Choose a format and start `stemcls export`.

    Args:
        workspace: Where it works.
        run: A finished run.
    """

    @property
    def title_text(self) -> str:
        """The run."""
        return f"export {self.run.name}"

    def sections(self) -> Iterator[Widget]:
        """The format."""
        yield section("the run's model, its labels and a model card, in the run's exports/")
        for entry in options_of(Wanted):
            yield Setting(entry, Wanted)

    def judge(self) -> str:
        """Return what is in the way."""
        chosen = self._chosen
        folder = export_folder(self.run, chosen.to, chosen.calibrated)
        if not folder.exists():
            return ""
        return f"{folder.relative_to(self.run.path)} is in the run already: remove it first"

    @property
    def _chosen(self) -> Wanted:
        return from_mapping(Wanted, self.values(Wanted))

    def launch(self) -> Task:
        """Start the command."""
        chosen = self._chosen
        arguments = [str(self.run.path), "--to", chosen.to]
        arguments += ["--calibrated"] if chosen.calibrated else []
        arguments += ["--backend", chosen.backend] if chosen.backend != _AUTO else []
        out = export_folder(self.run, chosen.to, chosen.calibrated)
        about = f"{self.run.name} to {chosen.to}"
        return tasks.start(self.workspace, "export", about, arguments, out / DOCUMENT)
