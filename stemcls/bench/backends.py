"""Measure on each backend in a process of its own, and say which one is the fastest."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.bench.store import write_fields
from stemcls.config.imaging import BuildConfig
from stemcls.errors import StemclsError
from stemcls.models.backend import choose_backend, installed_backends
from stemcls.store.build import build_store

EDGE_PX = 64
LIMIT_SECONDS = 480.0
_FIELD_PX = 1024
_TOLD_LINES = 5

_CHILD = """
import json, sys
from importlib import import_module
from pathlib import Path
from stemcls.models.backend import start_keras
backend, module, function, arguments, out = sys.argv[1:]
start_keras(backend)
found = getattr(import_module(module), function)(**json.loads(arguments))
Path(out).write_text(json.dumps(found), encoding="utf-8")
"""


def on_backend(backend: str, measure: Callable[..., Any], **arguments: Any) -> Any:
    """Call `measure` in a fresh process, where nothing else is loaded or compiled yet.

    Args:
        backend: tensorflow, jax or torch.
        measure: Function of a module; what it returns goes through JSON.
        arguments: For it; plain values.
    Raises:
        StemclsError: It failed, or took longer than `LIMIT_SECONDS`; holds its last lines.
    """
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        out = Path(folder) / "found.json"
        command = [
            sys.executable, "-c", _CHILD, backend, measure.__module__, measure.__name__,
            json.dumps(arguments), str(out),
        ]
        what = f"{measure.__name__} on {backend}"
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, errors="replace", timeout=LIMIT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StemclsError(f"{what} took more than {LIMIT_SECONDS:.0f} s") from error
        if done.returncode or not out.is_file():
            told = " | ".join(done.stderr.strip().splitlines()[-_TOLD_LINES:])
            raise StemclsError(f"{what} failed with code {done.returncode}: {told}")
        return json.loads(out.read_text(encoding="utf-8"))


def backends_to_measure() -> list[str]:
    """Return the installed backends, the one in force first."""
    first = choose_backend(None)
    return [first, *(name for name in installed_backends() if name != first)]


def make_store(folder: Path, crops: int) -> Path:
    """Build a store of random crops, 64x64x3 of 8 bit in two classes; return its path."""
    cells = write_fields(folder / "fields", crops, 4, _FIELD_PX)
    out = folder / "bench.h5"
    build_store(folder / "fields", out, BuildConfig(crop_px=EDGE_PX), cells=cells, workers=1)
    return out


def rows_and_targets(count: int, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` rows of a store in random order, and their classes."""
    rows = np.random.default_rng(0).permutation(len(labels))[:count]
    return rows, labels[rows].astype(np.int64)


def advice(rows: Iterable[dict[str, Any]]) -> str | None:
    """Return one sentence on which backend trains and which extracts features fastest here.

    Args:
        rows: Of `train-input` and `train-frozen`; others are passed over.
    Returns: None where nothing was measured.
    """
    kept = list(rows)
    parts = []
    for what, key in (
        ("training", "training_crops_per_second"),
        ("feature extraction", "extraction_crops_per_second"),
    ):
        rates = {row["backend"]: row[key] for row in kept if key in row}
        if not rates:
            continue
        order = sorted(rates, key=lambda name: -rates[name])
        told = ", ".join(f"{name} {rates[name]:.0f}" for name in order)
        parts.append(f"{order[0]} for {what} (crops/s: {told})")
    return f"fastest on this machine: {'; '.join(parts)}" if parts else None
