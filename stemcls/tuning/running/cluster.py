"""Run jobs on the workers of a Dask cluster; Dask queues them, places them and replaces workers."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcls.errors import InputError, StemclsError
from stemcls.extras import check_extra
from stemcls.tuning.running.slots import Reply, Work, WorkerDiedError, WorkerProcess, name_of

CONNECT_SECONDS = 10.0
RECONNECT_SECONDS = 3600.0
RETRIES = 2
# Far more than a study has under way: a thread waits for each job.
_MOST_JOBS = 256
_SETTLE_SECONDS = 0.1
_processes = threading.local()


def run_in_process(work: str, job: dict[str, Any], logs: str) -> Reply:
    """Do a job on a Dask worker, in a process of its own that stays for the next one.

    So a worker answers its scheduler whatever a job does, and when it is killed its process ends.
    """
    if not hasattr(_processes, "one"):
        name = f"worker-{socket.gethostname()}-{os.getpid()}-{threading.get_ident() % 10_000}.log"
        _processes.one = WorkerProcess({}, Path(logs) / name)
    reply: Reply = _processes.one.run(work, job)
    return reply


@dataclass(frozen=True)
class Cluster:
    """A scheduler that answers.

    Attributes:
        address: As `dask scheduler` prints, tcp://HOST:PORT.
        client: distributed.Client.
        n_slots: How many jobs at once.
        resources: What a job takes of a worker's, or None.
    """

    address: str
    client: Any
    n_slots: int
    resources: dict[str, float] | None


def connect(address: str, slots: int | None = None) -> Cluster:
    """Find a scheduler.

    Args:
        address: As `dask scheduler` prints.
        slots: How many jobs at once; None: one for each GPU that the workers declare
            (`--resources GPU=1`), else one for each worker.
    Raises:
        InputError: Dask is not installed, or no scheduler answers.
    """
    client = _client(address)
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    gpus = int(sum(worker.get("resources", {}).get("GPU", 0) for worker in workers))
    return Cluster(
        address, client, slots or gpus or max(len(workers), 1), {"GPU": 1} if gpus else None
    )


class DaskExecutor(Executor):
    """Submits jobs to a scheduler, and again to its successor when it is restarted.

    Args:
        cluster: From `connect`.
        logs: Folder for the processes' stderr, on a disk that all workers see.
        say: Told when the connection is lost and found.
    """

    def __init__(
        self, cluster: Cluster, logs: Path, say: Callable[[str], None] = print
    ) -> None:
        self._address, self._resources = cluster.address, cluster.resources
        self._logs, self._say = str(logs.resolve()), say
        self.n_slots = cluster.n_slots
        self._over = threading.Event()
        self._connecting, self._listing = threading.Lock(), threading.Lock()
        self._client = cluster.client
        self._futures: set[Any] = set()
        self._lost = False
        self._threads = ThreadPoolExecutor(_MOST_JOBS, thread_name_prefix="dask-job")

    def submit(self, fn: Work, /, *args: Any, **kwargs: Any) -> Future[Reply]:  # type: ignore[override]
        """Call `fn(job)` on a worker; `fn` is a function that can be imported there."""
        (job,) = args
        return self._threads.submit(self._run, name_of(fn), job, **kwargs)

    def abandon(self) -> None:
        """Take back what waits; what runs ends when it looks for the file that stops it."""
        self._over.set()
        with self._listing:
            futures = list(self._futures)
        if futures and self._client.status == "running":
            self._client.cancel(futures, force=True)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, after the jobs if `wait`; the cluster goes on."""
        if not wait:
            self.abandon()
        self._threads.shutdown(wait=True, cancel_futures=cancel_futures or not wait)
        self._client.close(timeout=5)

    def _run(self, work: str, job: dict[str, Any]) -> Reply:
        from distributed import KilledWorker

        while True:
            client = self._connected()
            try:
                return self._result(client, work, job)
            except KilledWorker as error:
                raise WorkerDiedError(f"Dask gave it up: {error}") from None
            except ImportError as error:
                raise StemclsError(
                    f"the workers of {self._address} cannot run stemcls ({error}): install the "
                    "same version there"
                ) from None
            except (CancelledError, OSError, RuntimeError) as error:
                # Only we cancel, and a scheduler that is gone takes its jobs with it.
                if self._over.is_set():
                    raise WorkerDiedError("the search was over before the job ended") from None
                if client.status == "running" and not isinstance(error, CancelledError):
                    raise StemclsError(
                        f"a worker of {self._address} cannot do its job: {error}; the study's "
                        "folder and the store must be on a disk that every worker sees"
                    ) from error
                self._tell_lost()
                time.sleep(_SETTLE_SECONDS)

    def _result(self, client: Any, work: str, job: dict[str, Any]) -> Reply:
        future = client.submit(
            run_in_process, work, job, self._logs, key=f"stemcls-{uuid.uuid4().hex}",
            resources=self._resources, retries=RETRIES, pure=False,
        )
        with self._listing:
            self._futures.add(future)
        try:
            reply: Reply = future.result()
            return reply
        finally:
            with self._listing:
                self._futures.discard(future)

    def _connected(self) -> Any:
        """Return a client that has a scheduler, waiting for one that is restarted."""
        begun = time.monotonic()
        with self._connecting:
            while self._client.status != "running":
                if self._over.is_set():
                    raise WorkerDiedError("the search was over before the job began")
                if time.monotonic() - begun > RECONNECT_SECONDS:
                    raise StemclsError(
                        f"{self._address} did not come back within {RECONNECT_SECONDS / 60:.0f} "
                        "minutes; every finished fold is kept, and `--resume` goes on"
                    )
                # For a while the client looks for it by itself.
                if self._client.status == "closed":
                    # Not there yet; the loop asks again.
                    with contextlib.suppress(InputError):
                        self._client = _client(self._address)
                time.sleep(_SETTLE_SECONDS)
            if self._lost:
                self._lost = False
                self._say(f"{self._address} is back; unfinished folds are sent again")
        return self._client

    def _tell_lost(self) -> None:
        with self._listing:
            first, self._lost = not self._lost, True
        if first:
            self._say(f"lost the scheduler at {self._address}; waiting for it")


def _client(address: str) -> Any:
    check_extra("--scheduler", ["distributed"], "cluster")
    import distributed

    # What it tells of lost connections is told by us, once.
    for name in ("distributed.client", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address} within {CONNECT_SECONDS:.0f} s ({error}); "
            "start one with `dask scheduler`, and give the address that it prints"
        ) from error
