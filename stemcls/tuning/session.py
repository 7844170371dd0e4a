"""One session of a study: search, or go on with the search, and conclude."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from stemcls.evaluation.comparison import METRICS
from stemcls.interruption import interruptible
from stemcls.progress import Update
from stemcls.training.journal import reported
from stemcls.training.lock import locked
from stemcls.tuning.results.conclude import conclude
from stemcls.tuning.results.report import describe, write_report
from stemcls.tuning.running.machine import Machine
from stemcls.tuning.running.supervise import Search
from stemcls.tuning.study.study import Study

Say = Callable[[str], None]


def run_session(
    study: Study, machine: Machine, *, max_hours: float | None = None, extend_to: int | None = None,
    update: Update | None = None, say: Say = print,
) -> dict[str, Any]:
    """Search until all trials have ended or time is up, then conclude and report.

    Args:
        study: New, or of an earlier session.
        machine: Where folds run.
        max_hours: No fold is begun after this.
        extend_to: Trials in all, if more than the study was begun with.
        update: Called as update(done, total, note).
        say: Told what a person should know.
    Returns: see `describe`; also `report`, the page.
    Raises:
        InputError: Another process is at this study.
        CancelledError: Asked to stop; the study can go on.
    """
    begun = time.monotonic()
    with locked(study.run), interruptible() as interruption:
        if extend_to is not None:
            study.extend(extend_to)
        definition = study.definition
        executor = machine.open(study.path)
        with reported(
            study.run, update, kind="tune", store=definition.experiment.store,
            seed=definition.experiment.seed, trials=study.n_trials, device=machine.device,
        ) as journal:

            def tell(message: str) -> None:
                journal.log(message)
                say(message)

            try:
                search = Search(
                    study, executor, interruption, update=update, say=tell,
                    deadline=None if max_hours is None else begun + 3600 * max_hours,
                )
                why = search.run()
                outcome = conclude(study, search.records, executor, interruption, say=tell)
            finally:
                executor.shutdown(wait=False)
            document = describe(study, search.records, outcome, why)
            document["report"] = str(write_report(study, search.records, outcome, document))
            best = outcome.metrics[outcome.choice.trial.number]
            study.run.append(
                "finished", metrics={key: best.get(key) for key in METRICS},
                evaluated_on=best.get("evaluated_on"),
            )
    return document
