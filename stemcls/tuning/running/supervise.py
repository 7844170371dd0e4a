"""Run the trials of a study, fold by fold, in other processes; see `order` for what decides."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol

from stemcls import atomic
from stemcls.config.options import to_toml
from stemcls.errors import CancelledError, InputError, StemclsError, explained_disk_errors
from stemcls.interruption import Interruption
from stemcls.progress import Update
from stemcls.tuning.running.foldjob import STOP, fold_job, run_fold
from stemcls.tuning.running.slots import Reply, WorkerDiedError
from stemcls.tuning.search.suggest import suggest
from stemcls.tuning.study.journal import KEPT, FoldResult, Journal, Record
from stemcls.tuning.study.order import history, known, verdict
from stemcls.tuning.study.study import Study

# A fold whose process was killed is begun again as often as this.
ATTEMPTS = 3
# With as many failures at the start, and nothing else, the cause is not the trials' settings.
FAILED_AT_FIRST = 3
POLL_SECONDS = 0.5
Work = Callable[[dict[str, Any]], Any]


class JobExecutor(Protocol):
    """What runs jobs: an Executor that can also let go of them."""

    n_slots: int

    def submit(self, fn: Work, /, *args: Any, **kwargs: Any) -> Future[Reply]:
        """Call `fn(job)` in another process."""

    def abandon(self) -> None:
        """End what runs, without its result."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End for good, after what runs if `wait`."""


class Search:
    """Runs a study's trials until all have ended, time is up or somebody asks it to stop.

    Args:
        study: Locked by the caller.
        executor: Runs folds; `n_slots` at once.
        interruption: SIGINT ends it after the folds under way, SIGTERM at once.
        deadline: `time.monotonic()` after which no fold is begun.
        work: What a job is done by, for tests.
        update: Called as update(folds done, folds in all, note).
        say: Told what a person should know.
    """

    def __init__(
        self, study: Study, executor: JobExecutor, interruption: Interruption, *,
        deadline: float | None = None, work: Work = run_fold, update: Update | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self._study, self._executor, self._interruption = study, executor, interruption
        self._deadline, self._work, self._update, self._say = deadline, work, update, say
        self._definition = study.definition
        self._journal = Journal(study.journal_path)
        self.records = study.records()
        self._running: dict[Future[Reply], tuple[int, int]] = {}
        self._attempts: Counter[tuple[int, int]] = Counter()
        self._failures: dict[tuple[int, int], str] = {}
        self._exhausted = False
        self._told_of_stop = False
        self._begun, self._done_before = time.monotonic(), self._n_done
        for record in self.records:
            if not record.ended:
                self._prepare(record)

    def run(self) -> str:
        """Run until nothing is left to do.

        Returns: why it is over: `complete`, `exhausted` (no setting is left to try) or `time`.
        Raises:
            CancelledError: Asked to stop.
            InputError: The first trial, the settings that were given, cannot be trained.
            StemclsError: The disk is full, or the first trials all failed.
        """
        try:
            while True:
                self._settle()
                if not self._is_closing():
                    self._begin()
                if not self._running:
                    break
                self._await()
        except KeyboardInterrupt:
            self._abandon()
            raise CancelledError(
                "abandoned the folds under way; what was finished is kept"
            ) from None
        except BaseException:
            self._abandon()
            raise
        self._interruption.check()
        if self._exhausted:
            return "exhausted"
        return "time" if any(not r.ended for r in self.records) or self._wants_more else "complete"

    @property
    def _wants_more(self) -> bool:
        return len(self.records) < self._study.n_trials

    def _is_closing(self) -> bool:
        if self._interruption.is_asked():
            if self._interruption.asked_by != "SIGINT":
                self._interruption.check()
            if not self._told_of_stop and self._running:
                self._told_of_stop = True
                self._say(
                    f"finishing the {len(self._running)} fold(s) under way; Ctrl-C again abandons "
                    "them"
                )
            return True
        return self._deadline is not None and time.monotonic() > self._deadline

    def _begin(self) -> None:
        """Give every free slot a fold, of the earliest trial that has one."""
        while len(self._running) < self._executor.n_slots:
            waiting = self._next_fold()
            if waiting is None:
                if not self._open_trial():
                    return
                self._settle()
                continue
            number, fold = waiting
            study, definition = self._study, self._definition
            job = fold_job(
                study.trial_path(number), study.fold_path(number, fold), study.split_path(fold),
                study.outer_path, definition.objective, definition.backend,
            )
            self._running[self._executor.submit(self._work, job)] = waiting

    def _next_fold(self) -> tuple[int, int] | None:
        running = set(self._running.values())
        for record in self.records:
            if record.ended:
                continue
            # Folds after one that failed cannot change anything; those before it can.
            failed = [fold for number, fold in self._failures if number == record.number]
            for fold in range(min(failed, default=self._definition.folds)):
                if fold not in record.folds and (record.number, fold) not in running:
                    return record.number, fold
        return None

    def _open_trial(self) -> bool:
        """Suggest the next trial, if all is known that it may depend on."""
        number, definition = len(self.records), self._definition
        ready = known(self.records, number, definition.width) is not None
        if self._exhausted or not self._wants_more or not ready:
            return False
        values = suggest(
            definition.space, history(self.records, number, definition.width), number,
            definition.experiment.seed, definition.algorithm, True,
        )
        if values is None:
            self._exhausted = True
            self._say(f"the space holds no setting that was not tried in {number} trials")
            return False
        record = Record(number, values)
        self._prepare(record)
        self._journal.append("trial", trial=number, values=values)
        self.records.append(record)
        self._note("stage", stage=f"trial {number + 1}/{self._study.n_trials}")
        return True

    def _prepare(self, record: Record) -> None:
        """Write the trial's config; settings that do not go together are its failure."""
        folder = self._study.trial_path(record.number)
        try:
            experiment = self._definition.space.experiment(
                self._definition.experiment, record.values
            )
        except InputError as error:
            self._failures[record.number, 0] = str(error)
            return
        with explained_disk_errors(folder, KEPT):
            folder.mkdir(parents=True, exist_ok=True)
            atomic.write_text(folder / "config.toml", to_toml(experiment))
        (folder / STOP).unlink(missing_ok=True)

    def _await(self) -> None:
        done, _ = wait(self._running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=self._running.__getitem__):
            self._collect(future)
        self._show()

    def _collect(self, future: Future[Reply]) -> None:
        number, fold = self._running.pop(future)
        record = self.records[number]
        try:
            reply = future.result()
        except WorkerDiedError as error:
            if not record.ended:
                self._count_death(number, fold, str(error))
            return
        if record.ended:
            return
        if "result" in reply:
            self._journal.append("fold", trial=number, fold=fold, result=reply["result"])
            record.folds[fold] = FoldResult(**reply["result"])
            return
        kind, message = reply["error"]["kind"], reply["error"]["message"]
        if kind == "disk":
            raise StemclsError(message)
        if kind == "input" and number == 0:
            raise InputError(message)
        if kind != "cancelled":
            self._failures[number, fold] = message

    def _count_death(self, number: int, fold: int, message: str) -> None:
        self._attempts[number, fold] += 1
        times = self._attempts[number, fold]
        if times >= ATTEMPTS:
            self._failures[number, fold] = f"{message}, {times} times"
        else:
            self._say(f"trial {number}, fold {fold + 1}: {message}; it is begun again")

    def _settle(self) -> None:
        """End the trials about which all is known."""
        for record in self.records:
            if record.ended:
                continue
            ending = verdict(record, self._failures, self.records, self._definition)
            if ending:
                self._end(record, *ending)
        first = self.records[:FAILED_AT_FIRST]
        if len(first) == FAILED_AT_FIRST and all(r.state == "failed" for r in first):
            raise StemclsError(
                f"the first {FAILED_AT_FIRST} trials all failed, so the cause is hardly their "
                f"settings: {first[-1].reason}; mend it and begin a new study"
            )

    def _end(self, record: Record, state: str, reason: str, scored: int) -> None:
        self._journal.append(
            "end", trial=record.number, state=state, reason=reason, scored=scored
        )
        record.state, record.reason, record.scored = state, reason, scored
        if any(number == record.number for number, _ in self._running.values()):
            (self._study.trial_path(record.number) / STOP).touch()
        trial = record.as_trial()
        self._note("metric", trial=record.number, objective=trial.score, trial_state=state)
        told = reason
        if state == "finished":
            spread = "" if trial.sd is None else f" +- {trial.sd:.4f}"
            told = f"{self._definition.objective} {trial.score:.4f}{spread}"
        self._say(f"trial {record.number} {state}: {told}")

    def _abandon(self) -> None:
        for number in {number for number, _ in self._running.values()}:
            # A full disk may be why we are here.
            with contextlib.suppress(OSError):
                (self._study.trial_path(number) / STOP).touch()
        self._executor.abandon()

    def _note(self, event: str, **values: Any) -> None:
        with explained_disk_errors(self._study.path, KEPT):
            self._study.run.append(event, **values)

    @property
    def _n_done(self) -> int:
        folds = self._definition.folds
        return sum(folds if record.ended else len(record.folds) for record in self.records)

    def _show(self) -> None:
        if self._update is None:
            return
        folds, trials = self._definition.folds, self._study.n_trials
        done, total = self._n_done, folds * trials
        note = f"trial {min(len(self.records), trials)} of {trials}"
        scores = [
            (record.as_trial().score or 0.0, -record.number)
            for record in self.records if record.state == "finished"
        ]
        if scores:
            best, number = max(scores)
            note += f", best {best:.4f} (trial {-number})"
        new = done - self._done_before
        if new:
            left = (total - done) * (time.monotonic() - self._begun) / new
            note += f", about {_duration(left)} left"
        self._update(done, total, note)


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
