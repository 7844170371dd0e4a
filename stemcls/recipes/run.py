"""Run a recipe step by step, or go on with it, and write its report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stemcls import atomic
from stemcls.config.protocol import ProtocolConfig
from stemcls.errors import (
    CancelledError,
    InputError,
    StemclsError,
    check_known,
    explained_disk_errors,
)
from stemcls.interruption import interruptible
from stemcls.recipes.read import changes_of
from stemcls.recipes.report import compared, write_report
from stemcls.recipes.steps import STEPS
from stemcls.recipes.work import DONE, NOT_DONE, Work
from stemcls.training.journal import reported
from stemcls.training.lock import locked

_SETTINGS = (
    "in a recipe, settings of training begin with `experiment.`, as in --set "
    "experiment.stages.finetune.batch_size=16; a run that has begun keeps its own, so begin anew"
)


def check_steps(protocol: ProtocolConfig) -> None:
    """Refuse steps that do not exist, or in an order that cannot work.

    Raises:
        InputError: Names the step.
    """
    for step in protocol.steps:
        check_known(step, STEPS, f"recipe {protocol.name}: no step {step!r}")
    needed = [step for step in protocol.steps if step in ("build", "train", "search", "evaluate")]
    if needed not in (["build", "train", "evaluate"], ["build", "search", "evaluate"]):
        raise InputError(
            f"recipe {protocol.name}: steps are {', '.join(protocol.steps)}; expected build, then "
            "train or search, then evaluate, and others after what they look at"
        )


def run_recipe(work: Work, load_keras: Callable[[], object]) -> dict[str, Any]:
    """Do the steps that are not done, then write the report.

    Args:
        work: New, or of an earlier session.
        load_keras: Called before the first step that needs Keras.
    Returns: `recipe`, `folder`, `report`, `changed`, `figures` (each with `paper` and `ours`),
        `steps` and `not_done`.
    Raises:
        InputError: The data do not fit, or another process is at this run.
        CancelledError: It was asked to stop; `--resume` goes on.
    """
    protocol = work.protocol
    with (
        locked(work.run),
        interruptible() as interruption,
        reported(work.run, None, kind="recipe", recipe=protocol.name) as journal,
        explained_disk_errors(work.run.path, "what was done is kept, and --resume goes on"),
    ):
        loaded = False
        for number, name in enumerate(protocol.steps, start=1):
            step = STEPS[name]
            interruption.check()
            if work.is_done(name):
                work.say(f"{number}/{len(protocol.steps)} {name}: done before")
                continue
            work.say(f"{number}/{len(protocol.steps)} {name}")
            work.run.append("stage", stage=name, epochs=0)
            if step.keras and not loaded:
                load_keras()
                loaded = True
            try:
                found = step.do(work)
            except CancelledError:
                raise
            except StemclsError as error:
                if step.needed:
                    if isinstance(error, InputError):
                        error.add_note(_SETTINGS)
                    raise
                work.keep(name, NOT_DONE, why=str(error))
                work.say(f"{name} could not be done, and the rest goes on: {error}")
                journal.log(f"{name}: {error}")
                continue
            work.keep(name, DONE, **found)
            journal.log(f"{name}: done")
        document = describe(work)
        document["report"] = str(write_report(work, document))
        atomic.write_json(work.run.path / "report.json", document)
        metrics = work.results["evaluate"]["metrics"]
        shown = ("mean_recall", "auroc", "accuracy", "balanced_accuracy")
        work.run.append("finished", metrics={key: metrics.get(key) for key in shown})
    return document


def describe(work: Work) -> dict[str, Any]:
    """Return what a run of a recipe came to, without the report."""
    return {
        "recipe": work.protocol.name,
        "folder": str(work.run.path),
        "data": str(work.data),
        "changed": changes_of(work.protocol),
        "figures": compared(work.protocol, work.results),
        "steps": work.results,
        "not_done": {
            name: found["why"] for name, found in work.results.items()
            if found["state"] == NOT_DONE
        },
    }
