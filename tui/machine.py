"""What the mode System tells of this machine: memory, disk, versions, and what doctor finds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stemcls.errors import StemclsError
from tui.devices import Device, list_devices

PACKAGES = (
    "stemcls", "keras", "tensorflow", "jax", "torch", "numpy", "h5py", "textual", "textual-image",
)
DOCTOR_SECONDS = 120.0


@dataclass(frozen=True)
class Machine:
    """The machine at one moment.

    Attributes:
        devices: Processor and GPUs that are there now.
        vanished: GPUs that were there and are not any more, each with when it was seen last.
        load: Processes that wanted to run in the last minute, None where the system does not tell.
        disk_free, disk_total: Of the workspace, bytes; 0 where it cannot be asked.
        writable: Whether the workspace can be written.
        trouble: Why the disk could not be asked.
    """

    devices: tuple[Device, ...] = ()
    vanished: tuple[tuple[Device, float], ...] = ()
    load: float | None = None
    disk_free: int = 0
    disk_total: int = 0
    writable: bool = True
    trouble: str = ""


@dataclass
class Watch:
    """Looks at a machine again and again, and knows which GPUs went.

    Attributes:
        workspace: Whose disk is meant.
    """

    workspace: Path
    _seen: dict[str, tuple[Device, float]] = field(default_factory=dict)

    def look(self) -> Machine:
        """Return the machine as it is now; blocking."""
        now = time.time()
        devices = tuple(list_devices())
        there = {device.key for device in devices}
        gone = tuple(one for key, one in sorted(self._seen.items()) if key not in there)
        self._seen.update({device.key: (device, now) for device in devices})
        try:
            disk = shutil.disk_usage(self.workspace)
        except OSError as error:
            return Machine(devices, gone, _load(), writable=False, trouble=str(error))
        return Machine(
            devices, gone, _load(), disk.free, disk.total,
            os.access(self.workspace, os.W_OK | os.X_OK),
        )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter; "-" for what is missing."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "-"
    return found


async def run_doctor(workspace: Path) -> list[dict[str, Any]]:
    """Run `stemcls doctor --json` and return its checks; a failed check is no error.

    Raises:
        StemclsError: It gave no document, or took too long.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "stemcls", "doctor", "--json", "--workspace", str(workspace),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )
    try:
        said, complaint = await asyncio.wait_for(process.communicate(), DOCTOR_SECONDS)
    except (TimeoutError, asyncio.CancelledError) as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if isinstance(error, TimeoutError):
            raise StemclsError(f"doctor gave no answer in {DOCTOR_SECONDS:.0f} s") from error
        raise
    try:
        return list(json.loads(said)["checks"])
    except (ValueError, KeyError, TypeError) as error:
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        raise StemclsError("\n".join(lines[-3:]) or "doctor said nothing") from error


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None
