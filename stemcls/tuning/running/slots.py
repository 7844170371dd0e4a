"""Run jobs in processes of their own: an Executor with one process per GPU or processor slot."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcls.atomic import dump_json
from stemcls.errors import InputError, StemclsError
from stemcls.models.devices import NoGpuToolError, list_gpus

Reply = dict[str, Any]
Work = Callable[[dict[str, Any]], Any]
# A new process now and then, because frameworks give memory back to nobody.
JOBS_PER_PROCESS = 50
_LAST_LINES, _LOG_BYTES = 6, 4096


class WorkerDiedError(StemclsError):
    """A process ended in the middle of a job: it was killed, or a library crashed."""


@dataclass(frozen=True)
class Slot:
    """Where one job at a time runs.

    Attributes:
        name: For people and for the log's name.
        environment: Variables that show its process its device.
    """

    name: str
    environment: Mapping[str, str]


def make_slots(count: int | None, devices: Sequence[str]) -> list[Slot]:
    """Return the slots of this machine.

    Args:
        count: How many; None: one for each device.
        devices: `cpu`, or numbers of GPUs as nvidia-smi counts; empty: all GPUs, or the processor
            where there is none. With more slots than GPUs, several share one.
    Raises:
        InputError: There is no such GPU.
    """
    if count is not None and count < 1:
        raise InputError(f"--slots must be 1 or more, found {count}")
    numbers = _gpus(devices)
    if not numbers:
        # Without GPUs nothing has to be hidden, so the variables stay as the user has set them.
        hidden = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"} if devices else {}
        return [Slot(f"cpu-{n + 1}", hidden) for n in range(count or 1)]
    return [
        Slot(
            f"gpu-{gpu}-{place // len(numbers) + 1}",
            {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(gpu)},
        )
        for place in range(count or len(numbers))
        for gpu in [numbers[place % len(numbers)]]
    ]


def _gpus(devices: Sequence[str]) -> list[int]:
    if list(devices) == ["cpu"]:
        return []
    try:
        there = [gpu.index for gpu in list_gpus()]
    except NoGpuToolError as error:
        if devices:
            raise InputError(
                f"--devices {','.join(devices)}: {error}; leave it out, or --devices cpu"
            ) from error
        return []
    for device in devices:
        if not device.isdecimal() or int(device) not in there:
            raise InputError(
                f"--devices {device}: expected cpu, or numbers of GPUs that are here: "
                f"{', '.join(map(str, there))}"
            )
    return [int(device) for device in devices] or there


class WorkerProcess:
    """A process that does one job at a time; it is started when first needed, and again if it died.

    Args:
        environment: Variables set for it, besides those of this process.
        log: File that its stderr is appended to; None: nowhere.
    """

    def __init__(self, environment: Mapping[str, str], log: Path | None = None) -> None:
        self._environment, self._log = environment, log
        self._process: subprocess.Popen[str] | None = None
        self._jobs = 0

    def run(self, work: str, job: dict[str, Any]) -> Reply:
        """Do a job and return the process' reply, see `stemcls.tuning.running.worker`.

        Raises:
            WorkerDiedError: The process ended instead.
        """
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(dump_json({"function": work, "job": job}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (BrokenPipeError, ValueError):
            line = ""
        if not line.endswith("\n"):
            self._process = None
            code = process.wait()
            _close_pipes(process)
            raise WorkerDiedError(self._told(code))
        reply: Reply = json.loads(line)
        self._jobs += 1
        if self._jobs >= JOBS_PER_PROCESS or reply.get("error", {}).get("kind") == "memory":
            self.close()
        return reply

    def close(self) -> None:
        """End the process, if there is one; a job that it does is lost."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            _close_pipes(process)

    def kill(self) -> None:
        """End the process from another thread; `run` then raises WorkerDiedError."""
        process = self._process
        if process is not None:
            process.kill()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        command = [sys.executable, "-m", "stemcls.tuning.running.worker"]
        with (self._log or Path(os.devnull)).open("ab") as log:
            # A session of its own: Ctrl-C is for the search, which decides about its jobs.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                encoding="utf-8", start_new_session=True,
                env={**os.environ, **self._environment},
            )
        self._jobs = 0
        return self._process

    def _told(self, code: int) -> str:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        hint = "; the system kills with 9 what needs too much memory" if code == -9 else ""
        said = ""
        if code >= 0 and self._log is not None and self._log.is_file():
            lines = self._log.read_bytes()[-_LOG_BYTES:].decode(errors="replace").splitlines()
            said = f": {' | '.join(lines[-_LAST_LINES:])}"
        return f"its process {how}{hint}{said}"


class SlotExecutor(Executor):
    """Runs each job in the process of a free slot; a result is the process' `Reply`.

    Args:
        slots: Where; one process each.
        logs: Folder for the processes' stderr.
    """

    def __init__(self, slots: Sequence[Slot], logs: Path) -> None:
        self.n_slots = len(slots)
        self._workers = [
            WorkerProcess(slot.environment, logs / f"worker-{slot.name}.log") for slot in slots
        ]
        self._free: queue.SimpleQueue[WorkerProcess] = queue.SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(len(slots), thread_name_prefix="slot")
        self._over = threading.Event()

    def submit(self, fn: Work, /, *args: Any, **kwargs: Any) -> Future[Reply]:  # type: ignore[override]
        """Call `fn(job)` in a process; `fn` is a function that can be imported there."""
        (job,) = args
        return self._threads.submit(self._run, name_of(fn), job, **kwargs)

    def abandon(self) -> None:
        """Kill what runs; its jobs fail with WorkerDiedError."""
        self._over.set()
        for worker in self._workers:
            worker.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes, after their jobs if `wait`."""
        if not wait:
            self.abandon()
        self._threads.shutdown(wait=True, cancel_futures=cancel_futures or not wait)
        for worker in self._workers:
            worker.close()

    def _run(self, work: str, job: dict[str, Any]) -> Reply:
        if self._over.is_set():
            raise WorkerDiedError("the search was over before the job began")
        worker = self._free.get()
        try:
            return worker.run(work, job)
        finally:
            self._free.put(worker)


def name_of(work: Work) -> str:
    """Return a function as `module:name`, for a process to import."""
    return f"{work.__module__}:{work.__qualname__}"


def _close_pipes(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            # What was still to be written to it is lost with it.
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
