"""After the search: choose, train on all folds merged, and score on rows that it never saw."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.config.options import to_toml
from stemcls.errors import CancelledError, StemclsError, explained_disk_errors
from stemcls.evaluation.comparison import METRICS
from stemcls.evaluation.finished import read_finished
from stemcls.evaluation.sidebyside import lay_side_by_side, write_comparison
from stemcls.interruption import Interruption
from stemcls.runs import Run
from stemcls.tuning.results.choice import Choice, choose_among
from stemcls.tuning.running.foldjob import STOP, final_job, run_final
from stemcls.tuning.running.slots import Reply, WorkerDiedError
from stemcls.tuning.running.supervise import ATTEMPTS, POLL_SECONDS, JobExecutor, Work
from stemcls.tuning.study.journal import KEPT, Record
from stemcls.tuning.study.study import Study

INITIAL = 0


@dataclass(frozen=True)
class Outcome:
    """What a study came to.

    Attributes:
        choice: The best trial, and those that cannot be told apart from it.
        runs: Finished runs by trial: the best's, and the initial configuration's.
        metrics: Of each on rows that the search never saw.
        comparison: The two side by side, see `lay_side_by_side`; None where they are the same, or
            the initial configuration could not be trained.
        notes: What a reader should know.
    """

    choice: Choice
    runs: Mapping[int, Run]
    metrics: Mapping[int, Mapping[str, Any]]
    comparison: dict[str, Any] | None
    notes: tuple[str, ...]


def choose(study: Study, records: Sequence[Record]) -> Choice:
    """Choose the best trial: of those that are as good, the one with the fewest weights.

    Raises:
        StemclsError: No trial has all its folds.
    """
    ended = [record for record in records if record.ended]
    if not any(record.state == "finished" for record in ended):
        reasons = {record.reason for record in ended if record.reason}
        raise StemclsError(
            f"no trial of {study.path} was finished" + (f": {'; '.join(sorted(reasons))}"
                                                        if reasons else "; give it more time")
        )
    return choose_among(records, study.definition.space)


def write_best(study: Study, choice: Choice) -> Path:
    """Write best.toml, which `stemcls train --config` takes; return its path."""
    definition, trial = study.definition, choice.trial
    experiment = definition.space.experiment(definition.experiment, trial.values)
    header = (
        f"# Trial {trial.number} of {study.path.name}: {definition.objective} "
        f"{trial.score:.4f} over {definition.folds} folds.\n"
    )
    with explained_disk_errors(study.path, KEPT):
        atomic.write_text(study.best_config_path, header + to_toml(experiment))
    return study.best_config_path


def conclude(
    study: Study, records: Sequence[Record], executor: JobExecutor, interruption: Interruption,
    *, work: Work = run_final, say: Callable[[str], None] = print,
) -> Outcome:
    """Train the chosen and the initial settings on all folds merged and compare them.

    What an earlier session has trained is taken as it is.

    Raises:
        StemclsError: No trial was finished, or the chosen settings could not be trained.
        CancelledError: Asked to stop; the trainings go on with the study.
    """
    choice = choose(study, records)
    write_best(study, choice)
    numbers = list(dict.fromkeys([choice.trial.number, INITIAL]))
    say(f"training on all folds merged: trial {' and trial '.join(map(str, numbers))}")
    replies = _run_all(study, numbers, executor, interruption, work)
    notes = []
    if not len(study.outer_split().test):
        notes.append(
            "no groups were held out (--test 0), so the final scores are of crops that stopped "
            "training and are optimistic"
        )
    for number, reply in list(replies.items()):
        if "error" in reply:
            told = f"trial {number} on all folds merged: {reply['error']['message']}"
            if number == choice.trial.number:
                raise StemclsError(told)
            notes.append(told)
            del replies[number]
    runs = {number: Run(study.final_path(number)) for number in replies}
    comparison = None
    if len(runs) == len(numbers) == 2:
        comparison = _compare(study, runs[choice.trial.number], runs[INITIAL])
    elif choice.trial.number == INITIAL:
        notes.append("the initial configuration is the best; there is nothing to compare it with")
    return Outcome(
        choice, runs, {number: reply["result"] for number, reply in replies.items()}, comparison,
        tuple(notes),
    )


def _run_all(
    study: Study, numbers: Sequence[int], executor: JobExecutor, interruption: Interruption,
    work: Work,
) -> dict[int, Reply]:
    replies: dict[int, Reply] = {}
    attempts = dict.fromkeys(numbers, 0)
    running: dict[Future[Reply], int] = {}
    for number in numbers:
        (study.final_path(number) / STOP).unlink(missing_ok=True)
    try:
        while len(replies) < len(numbers):
            for number in numbers:
                if number not in replies and number not in running.values():
                    running[executor.submit(work, _job(study, number))] = number
            done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                number = running.pop(future)
                try:
                    replies[number] = future.result()
                except WorkerDiedError as error:
                    attempts[number] += 1
                    if attempts[number] >= ATTEMPTS:
                        replies[number] = {"error": {"kind": "failed", "message": str(error)}}
            if interruption.is_asked():
                # They keep a checkpoint at their next step.
                _stop(study, running.values())
                wait(running)
                interruption.check()
    except BaseException as error:
        _stop(study, running.values())
        executor.abandon()
        if isinstance(error, KeyboardInterrupt):
            raise CancelledError("abandoned the last trainings; the search is kept") from None
        raise
    return replies


def _job(study: Study, number: int) -> dict[str, Any]:
    return final_job(
        study.trial_path(number) / "config.toml", study.outer_path, study.final_path(number),
        study.definition.backend,
    )


def _stop(study: Study, numbers: Any) -> None:
    for number in numbers:
        with contextlib.suppress(OSError):
            (study.final_path(number) / STOP).touch()


def _compare(study: Study, best: Run, initial: Run) -> dict[str, Any]:
    objective = study.definition.objective
    by = objective if objective in METRICS else "mean_recall"
    document = lay_side_by_side([read_finished(run) for run in (best, initial)], by, baseline=1)
    folder = study.path / "final" / f"{best.name}-and-{initial.name}"
    if not folder.exists():
        write_comparison(folder, document)
    return document
