"""How much memory this process may still take."""

from __future__ import annotations

import os
from pathlib import Path


def free_memory_bytes() -> float:
    """Return the memory that is free on the machine, or left in its container if that is less."""
    return min(_free_on_machine(), _left_in_container())


def _free_on_machine() -> float:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass  # only Linux tells; elsewhere half of what is built in is taken as free
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2


def _left_in_container() -> float:
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = (folder / "memory.current").read_text(encoding="ascii").strip()
    except OSError:
        return float("inf")
    return float("inf") if limit == "max" else max(0.0, float(limit) - float(used))
