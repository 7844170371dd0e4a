"""What jobs can run on: the processor and the NVIDIA GPUs, with their free memory."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stemcls.errors import InputError

GIB = 2**30


@dataclass(frozen=True)
class Device:
    """Something that jobs run on.

    Attributes:
        key: As `stemcls train --device` takes it: cpu, or the number of a GPU.
        title: For people.
        free, total: Memory, bytes; 0 where the system does not tell.
    """

    key: str
    title: str
    free: int
    total: int

    @property
    def label(self) -> str:
        """Name and free memory."""
        if not self.total:
            return self.title
        return f"{self.title}, {self.free / GIB:.1f} of {self.total / GIB:.1f} GiB free"


def list_devices() -> list[Device]:
    """Return the GPUs that are here now, that with the most free memory first; then the processor.

    Without an NVIDIA driver that is the processor alone.
    """
    return [*sorted(_gpus(), key=lambda gpu: (-gpu.free, gpu.key)), _processor()]


def check_device(key: str) -> None:
    """Check that a device is there at this moment.

    Raises:
        InputError: It is not; says what is.
    """
    there = list_devices()
    missing = set(key.split(",")) - {device.key for device in there}
    if missing:
        raise InputError(
            f"GPU {', '.join(sorted(missing))} is not there (any more); this machine has: "
            + "; ".join(device.label for device in there)
        )


def usual_device(before: str | None) -> str:
    """Return where a run is best repeated: where it was before if that is there, else the first."""
    there = [device.key for device in list_devices()]
    return before if before and set(before.split(",")) <= set(there) else there[0]


def _gpus() -> list[Device]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    found = []
    numbers = range(0)
    try:
        # A GPU can be lost while it is listed; the others are still there.
        with suppress(pynvml.NVMLError):
            numbers = range(pynvml.nvmlDeviceGetCount())
        for number in numbers:
            with suppress(pynvml.NVMLError):
                handle = pynvml.nvmlDeviceGetHandleByIndex(number)
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                title = f"GPU {number}: {pynvml.nvmlDeviceGetName(handle)}"
                found.append(Device(str(number), title, memory.free, memory.total))
    finally:
        pynvml.nvmlShutdown()
    return found


def _processor() -> Device:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    sizes = {}
    try:
        for line in Path("/proc/meminfo").read_text("utf-8").splitlines():
            name, _, size = line.partition(":")
            sizes[name] = int(size.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        sizes = {}
    plural = "" if cores == 1 else "s"
    title = f"processor, {cores} core{plural}"
    return Device("cpu", title, sizes.get("MemAvailable", 0), sizes.get("MemTotal", 0))
