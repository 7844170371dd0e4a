"""Take two sizes of a data set through every command: seconds, memory, and how both grow."""

from __future__ import annotations

import csv
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.bench.measure import result
from stemcls.bench.store import write_fields
from stemcls.bench.terminal import Terminal
from stemcls.errors import InputError, StemclsError

SIZES = (2_000, 8_000)
EDGE_PX, FIELD_PX = 64, 1024
CELLS_PER_FIELD = 250
CLASSES, DONORS = 4, 20
NOISE_PX = 1024
# What a crop may cost at the larger size, as a multiple of the smaller one: sorting, caches.
MOST_GROWTH = 1.3
# Bytes that memory may grow by for each crop, as docs/benchmarks.md states.
MOST_BYTES = {
    "build": 4000, "build-fields": 4000, "info": 1000, "audit": 3000, "train": 12000,
    "evaluate": 4000, "predict": 3000, "gallery": 1000,
}
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Cost:
    """What one step took.

    Attributes:
        seconds: By the clock, which other programs on the machine slow down.
        cpu_seconds: Of the processors, of all its processes.
        peak_bytes: Largest sum of the anonymous memory of its processes.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


_TOML = """
name = "scale"
[model]
backbone = "MobileNet"
alpha = 0.25
weights = "none"
[stages.frozen]
trainable = "none"
epochs = 3
views = 1
batch_size = 256
"""


def scale(
    data: Path,  # noqa: ARG001 - every benchmark takes the data folder
    crops: Iterable[int] = SIZES,
    steps: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """Build, read, audit, train, evaluate, predict and look at stores of two sizes or more.

    Crops are 64x64x3, ready-made PNG files of their own made on the fly; `build-fields` cuts as
    many from fields of 1024x1024 with 250 each. Training is the frozen stage alone, MobileNet 0.25
    with random weights, one view, 3 epochs.

    Args:
        data: Unused.
        crops: Sizes, two or more.
        steps: Those to measure; empty: all. What they need is done all the same.
    Returns: Of each step a row of processor seconds per 1,000 crops, the largest size beside the
        smallest, and a row of the bytes that peak memory grows by for each crop beside the limit.
        Details: `seconds`, `cpu_seconds` and `peak_mb` by size, and the exponents `seconds_grow`
        (of the processors) and `memory_grows`.
    Raises:
        InputError: One size only, or a step that does not exist.
    """
    sizes = sorted(set(crops))
    if len(sizes) < 2 or sizes[0] < CLASSES * DONORS:
        raise InputError(
            f"scale compares sizes of {CLASSES * DONORS} crops and more: give --crops twice or more"
        )
    wanted = tuple(steps) or tuple(MOST_BYTES)
    for step in wanted:
        if step not in MOST_BYTES:
            raise InputError(f"scale has no step {step!r}; one of {', '.join(MOST_BYTES)}")
    measured: dict[int, dict[str, Cost]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
            measured[size] = measure_size(Path(folder), size, wanted)
    return [row for step in wanted for row in _rows(step, sizes, measured)]


def _rows(
    step: str, sizes: list[int], measured: dict[int, dict[str, Cost]]
) -> list[dict[str, Any]]:
    costs = {size: measured[size][step] for size in sizes}
    spent = {size: cost.cpu_seconds for size, cost in costs.items()}
    peaks = {size: cost.peak_bytes for size, cost in costs.items()}
    small, large = sizes[0], sizes[-1]
    grown = max((peaks[large] - peaks[small]) / (large - small), 1.0)
    times = math.log(large / small)
    details: dict[str, Any] = {
        "seconds": {size: cost.seconds for size, cost in costs.items()}, "cpu_seconds": spent,
        "peak_mb": {size: peak / 2**20 for size, peak in peaks.items()},
        "seconds_grow": math.log(spent[large] / spent[small]) / times,
        "memory_grows": math.log(max(peaks[large], 1) / max(peaks[small], 1)) / times,
    }
    return [
        result(
            f"scale-{step}", 1000 * spent[large] / large, 1000 * spent[small] / small,
            "CPU s/1000 crops", 1 / MOST_GROWTH, None, **details,
        ),
        result(
            f"scale-{step}-memory", grown, float(MOST_BYTES[step]), "bytes/crop", 1.0, None,
        ),
    ]


def measure_size(folder: Path, crops: int, wanted: Iterable[str]) -> dict[str, Cost]:
    """Run the steps on `crops` crops in `folder`; return what each took."""
    wanted = set(wanted)
    workspace = folder / "workspace"
    store = workspace / "datasets" / "scale.h5"
    found: dict[str, Cost] = {}
    manifest = write_crops(folder / "crops", crops)
    found["build"] = run_tree(
        "build", folder / "crops", "--manifest", manifest, "--kind", "crops", "--out", store,
        "--group-what", "donor",
    )
    shutil.rmtree(folder / "crops")
    if "build-fields" in wanted:
        fields = max(crops // CELLS_PER_FIELD, 8)
        cells = write_fields(folder / "fields", crops, fields, FIELD_PX)
        found["build-fields"] = run_tree(
            "build", folder / "fields", "--cells", cells, "--crop-px", EDGE_PX,
            "--out", folder / "fields.h5",
        )
        shutil.rmtree(folder / "fields")
        (folder / "fields.h5").unlink()
    if "info" in wanted:
        found["info"] = run_tree("info", store)
    if "audit" in wanted:
        found["audit"] = run_tree("audit", store, "--workspace", workspace)
    if wanted & {"train", "evaluate", "predict"}:
        config = folder / "scale.toml"
        config.write_text(_TOML, encoding="utf-8")
        found["train"] = run_tree(
            "train", store, "--workspace", workspace, "--config", config,
        )
        run = next((workspace / "saved_models").glob("scale-*"))
        if "evaluate" in wanted:
            found["evaluate"] = run_tree("evaluate", run, store, "--workspace", workspace)
        if "predict" in wanted:
            found["predict"] = run_tree("predict", run, store, "--out", folder / "cells.csv")
    if "gallery" in wanted:
        found["gallery"] = look(workspace, folder / "home", crops)
    return found


def write_crops(folder: Path, crops: int) -> Path:
    """Write crops as PNG files with a manifest of 4 classes and 20 donors; return the manifest."""
    import cv2

    generator = np.random.default_rng(0)
    noise = generator.integers(0, 40, (NOISE_PX, NOISE_PX, 3), np.uint8)
    y, x = np.mgrid[:EDGE_PX, :EDGE_PX] - EDGE_PX / 2
    manifest = folder.with_suffix(".csv")
    folder.mkdir(parents=True)
    with manifest.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("path", "label", "group"))
        for number in range(crops):
            label, donor = number % CLASSES, number // CLASSES % DONORS
            place = folder / f"d{donor}" / f"c{label}-{number:07}.png"
            if number < CLASSES * DONORS:
                place.parent.mkdir(exist_ok=True)
            # A disk whose size tells the class, on a piece of noise: no two crops are alike.
            top, left = generator.integers(0, NOISE_PX - EDGE_PX, 2)
            background = noise[top : top + EDGE_PX, left : left + EDGE_PX]
            disk = (np.hypot(y, x) < 10 + 3 * label + generator.uniform(-2, 2))[:, :, None]
            crop = background + disk * generator.integers(40, 200, 3, np.uint8)
            cv2.imwrite(str(place), crop, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            table.writerow((place.relative_to(folder), f"class {label}", f"donor {donor}"))
    return manifest


def run_tree(*arguments: object) -> Cost:
    """Run a command of stemcls; return what it and the processes below it took.

    Raises:
        StemclsError: It failed.
    """
    command = [sys.executable, "-m", "stemcls", *map(str, arguments), "--json"]
    start, before = time.perf_counter(), _children_seconds()
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=told)
        peak = peak_of(process.pid, lambda: process.poll() is None)
        seconds = time.perf_counter() - start
        if process.returncode:
            told.seek(0)
            raise StemclsError(
                f"`stemcls {arguments[0]}` ended with {process.returncode}: {told.read()[-500:]}"
            )
    cost = Cost(seconds, _children_seconds() - before, peak)
    print(
        f"  {arguments[0]}: {seconds:.1f} s, {cost.cpu_seconds:.1f} s of processors, "
        f"{peak / 2**20:.0f} MB", file=sys.stderr,
    )
    return cost


def _children_seconds() -> float:
    """Return processor seconds of the processes that ended, and of all that were below them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_of(pid: int, lives: Callable[[], bool]) -> int:
    """Return the largest sum of anonymous memory of a process and all below it, while it lives.

    Pages of files that are mapped, as a store's are, can be dropped at any time: they do not count.
    """
    peak = 0
    while lives():
        peak = max(peak, sum(_anonymous_bytes(one) for one in _tree(pid)))
        time.sleep(_POLL_SECONDS)
    return peak


def _tree(pid: int) -> list[int]:
    found, at = [pid], 0
    while at < len(found):
        for children in Path(f"/proc/{found[at]}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue  # it ended meanwhile
        at += 1
    return found


def _anonymous_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return sum(
        int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon:", "RssShmem:"))
    )


def look(workspace: Path, home: Path, crops: int) -> Cost:
    """Start the terminal UI, see the list of stores, and open the crops of the one."""
    (home / "stemcls").mkdir(parents=True)
    (home / "stemcls" / "tui.toml").write_text("toured = true\n", encoding="utf-8")
    with Terminal(workspace, home) as terminal:
        peaks: list[int] = []
        done = threading.Event()
        watch = threading.Thread(
            target=lambda: peaks.append(peak_of(terminal.process.pid, lambda: not done.is_set()))
        )
        watch.start()
        try:
            start = terminal.started
            terminal.wait_for("scale", 120)
            terminal.press("c")
            seconds = terminal.wait_for(f"of {crops} crops", 120) - start
            times = Path(f"/proc/{terminal.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks = int(times[11]) + int(times[12])  # of user and system
        finally:
            done.set()
            watch.join()
    return Cost(seconds, ticks / os.sysconf("SC_CLK_TCK"), peaks[0])
