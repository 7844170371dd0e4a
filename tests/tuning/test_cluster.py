"""Folds on a Dask cluster whose workers and scheduler are killed come to the same trials."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stemcls.errors import InputError
from stemcls.tuning.running import cluster

from .studies import PYTHONPATH, calls, finished, held_by, hold, trace, wait_for

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Dask:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes = []

    def start(self, *arguments):
        log = (self.folder / f"{arguments[0]}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments], stdout=log, stderr=log,
            env={**os.environ, "PYTHONPATH": PYTHONPATH}, cwd=self.folder,
        )
        log.close()
        self.processes.append(process)
        return process

    def scheduler(self):
        process = self.start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"
        )
        wait_for(self.listens)
        return process

    def worker(self):
        return self.start(
            "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--resources", "GPU=1",
        )

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def dask(tmp_path):
    """A cluster to be killed."""
    found = Dask(tmp_path)
    yield found
    for process in found.processes:
        process.kill()
        process.wait()


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_killed_worker_and_a_restarted_scheduler_change_nothing(
    dask, make_study, supervise, undisturbed
):
    scheduler = dask.scheduler()
    dask.worker(), dask.worker()
    study = make_study()
    first, second = hold(study, 1, 1), hold(study, 3, 1)
    supervisor = supervise(study, address=dask.address)

    os.kill(parent_of(held_by(study, 1, 1)), signal.SIGKILL)
    first.unlink()

    held_by(study, 3, 1)
    scheduler.kill()
    scheduler.wait()
    second.unlink()
    dask.scheduler()
    dask.worker()
    out, told = finished(supervisor)
    assert out == "complete"
    assert f"lost the scheduler at {dask.address}" in told
    assert "is back; unfinished folds are sent again" in told
    assert trace(study) == trace(undisturbed)
    assert calls(study).count((1, 1)) == 2
    assert calls(study).count((2, 1)) == 1


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(InputError, match=f"no Dask scheduler answers at {address}.*dask scheduler"):
        cluster.connect(address)
    with pytest.raises(InputError, match="no Dask scheduler answers at nonsense"):
        cluster.connect("nonsense")
