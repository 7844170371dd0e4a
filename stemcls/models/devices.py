"""Find GPUs and give this process those that the user chose, before any framework looks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from stemcls.errors import InputError

NVIDIA_SMI_SECONDS = 10
_QUERY = ("index", "name", "memory.total", "memory.free", "compute_cap", "driver_version")


@dataclass(frozen=True)
class Gpu:
    """One GPU, as nvidia-smi tells.

    Attributes:
        index: Its number.
        name: Its model.
        total_mib: Memory, MiB; free_mib: what of it is free now.
        compute_capability: E.g. 8.6; from 8.0 on bfloat16 is native.
        driver: Version of the driver.
    """

    index: int
    name: str
    total_mib: int
    free_mib: int
    compute_capability: float
    driver: str


class NoGpuToolError(InputError):
    """GPUs cannot be listed, and the message says why."""


def list_gpus() -> list[Gpu]:
    """Return the machine's NVIDIA GPUs.

    Raises:
        NoGpuToolError: nvidia-smi is missing, does not answer, or finds no device.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise NoGpuToolError("no nvidia-smi here: models run on the processor")
    try:
        done = subprocess.run(
            [tool, f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoGpuToolError(f"nvidia-smi does not answer: {error}") from error
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not lines:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NoGpuToolError(f"nvidia-smi says: {said[0] if said else 'no device'}")
    return [_parsed(line) for line in lines]


def choose_device(wanted: str) -> None:
    """Show the frameworks only the devices chosen; call it before the first `import keras`.

    Args:
        wanted: auto (what the framework takes by itself), cpu, or numbers of GPUs: 1, or 0,2.
    Raises:
        InputError: No device of that name, or Keras runs already.
    """
    if wanted == "auto":
        return
    if wanted != "cpu":
        _check_there(wanted.split(","))
    visible = "" if wanted == "cpu" else wanted
    chosen = {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # so that numbers are those of nvidia-smi
        "CUDA_VISIBLE_DEVICES": visible,
    }
    if wanted == "cpu":
        chosen["JAX_PLATFORMS"] = "cpu"
    if "keras" in sys.modules and os.environ.get("CUDA_VISIBLE_DEVICES") != visible:
        raise InputError(f"--device {wanted}: Keras runs already; start a new process")
    os.environ.update(chosen)


def device_in_use() -> str:
    """Return which devices the frameworks of this process see, as `choose_device` takes them.

    Returns: cpu, or numbers of GPUs: 0, or 0,1.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return visible or "cpu"
    try:
        return ",".join(str(gpu.index) for gpu in list_gpus())
    except NoGpuToolError:
        return "cpu"


def n_devices(wanted: str) -> int:
    """Return how many devices `wanted` names; see `choose_device`."""
    return wanted.count(",") + 1


def _check_there(wanted: list[str]) -> None:
    written = ",".join(wanted)
    if len(set(wanted)) != len(wanted) or not all(one.isdecimal() for one in wanted):
        raise InputError(
            f"--device {written!r}: expected auto, cpu, or the number of a GPU, or several "
            "different ones as in 0,1"
        )
    try:
        there = list_gpus()
    except NoGpuToolError as error:
        raise InputError(f"--device {written}: {error}; choose --device cpu") from error
    for one in wanted:
        if int(one) not in {gpu.index for gpu in there}:
            names = "; ".join(f"{gpu.index}: {gpu.name}, {gpu.free_mib} MiB free" for gpu in there)
            raise InputError(f"there is no GPU {one}; this machine has {names}")


def _parsed(line: str) -> Gpu:
    index, name, total, free, capability, driver = (part.strip() for part in line.split(","))
    return Gpu(
        int(index), name, _number(total), _number(free), _capability(capability), driver
    )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _capability(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0  # older drivers do not tell
