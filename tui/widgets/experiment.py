"""The settings of an experiment as lines of a form, section by section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from textual.widgets import Static

from stemcls.config.experiment import Experiment, StageConfig
from stemcls.config.options import options_of
from tui.widgets.setting import Setting


def value_at(experiment: Experiment, keys: tuple[str, ...], default: Any) -> Any:
    """Return a setting's value; of a stage that there is not: no epochs, else its default."""
    owner: Any = experiment
    if keys[0] == "stages":
        stages = {stage.name: stage for stage in experiment.stages}
        if keys[1] not in stages:
            return 0 if keys[2] == "epochs" else default
        return getattr(stages[keys[1]], keys[2])
    for key in keys:
        owner = getattr(owner, key)
    return owner


def sections() -> Iterator[Static | Setting]:
    """Yield a heading and the settings of each section of `Experiment`, its own ones first."""
    hints = get_type_hints(Experiment)
    about = {field.name: hints[field.name].__doc__ for field in fields(Experiment)
             if is_dataclass(hints[field.name])}
    about["stages"] = StageConfig.__doc__
    section: tuple[str, ...] = ()
    yield Static("experiment", classes="section", markup=False)
    for entry in options_of(Experiment):
        if entry.keys == ("store",):
            continue
        if entry.keys[:-1] != section:
            section = entry.keys[:-1]
            title = f"{' '.join(section)}: {about[section[0]]}"
            yield Static(title, classes="section", markup=False)
        yield Setting(entry, Experiment)
