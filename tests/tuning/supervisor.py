"""`python supervisor.py STUDY SLOTS [ADDRESS]`: search a study with folds that take no time."""

import os
import sys
from pathlib import Path

import fake_jobs

from stemcls.errors import StemclsError
from stemcls.interruption import interruptible
from stemcls.training.journal import reported
from stemcls.training.lock import locked
from stemcls.tuning.running.machine import machine_of
from stemcls.tuning.running.supervise import Search
from stemcls.tuning.study.study import Study


def main() -> None:
    """Search, and say how it was over."""
    folder, slots, *address = sys.argv[1:]
    study = Study.open(Path(folder))
    machine = machine_of(int(slots), (), address[0] if address else None, note)
    with locked(study.run), interruptible() as interruption, reported(study.run, None, kind="tune"):
        executor = machine.open(study.path)
        work = getattr(fake_jobs, os.environ["FAKE"])
        try:
            print(Search(study, executor, interruption, work=work, say=note).run())
        finally:
            executor.shutdown(wait=False)


def note(message: str) -> None:
    """Say it on stderr."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except StemclsError as error:
        note(str(error))
        sys.exit(error.exit_code)
