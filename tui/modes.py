"""The modes of the UI: one task each, in the order in which a study goes through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from textual.screen import Screen


@dataclass(frozen=True)
class Mode:
    """A task that has a screen of its own.

    Attributes:
        key: Goes there.
        title: Its name for people.
        about: One or two sentences on what it is for.
        screen: Module and class of the screen; imported when the mode is first opened.
    """

    key: str
    title: str
    about: str
    screen: tuple[str, str]

    @property
    def opener(self) -> Callable[[], Screen[Any]]:
        """What `App.MODES` wants: a function that makes the screen."""

        def make() -> Screen[Any]:
            module, name = self.screen
            return getattr(import_module(f"tui.screens.{module}"), name)()

        return make


MODES: dict[str, Mode] = {
    "datasets": Mode(
        "1", "Datasets", "The crop stores of the workspace: what is in them, how they look, and "
        "whether their audit passed. New ones are built here.", ("datasets", "DatasetsScreen"),
    ),
    "train": Mode(
        "2", "Train", "Choose a store and settings and launch a training run.",
        ("train", "TrainScreen"),
    ),
    "runs": Mode(
        "3", "Runs", "Every run of the workspace as it happens, also those that were started "
        "elsewhere.", ("runs", "RunsScreen"),
    ),
    "tune": Mode(
        "4", "Tune", "Searches for the best settings: their trials as they come.",
        ("tune", "TuneScreen"),
    ),
    "results": Mode(
        "5", "Results", "What a run's model can do: scores with intervals, confusion matrix, the "
        "cells behind each number.", ("results", "ResultsScreen"),
    ),
    "explain": Mode(
        "6", "Explain", "Which pixels a model looked at.", ("explain", "ExplainScreen"),
    ),
    "predict": Mode(
        "7", "Predict", "Put a model to work on new fields.", ("predict", "PredictScreen"),
    ),
    "system": Mode(
        "8", "System", "Devices, memory, disk, versions.", ("system", "SystemScreen"),
    ),
}
