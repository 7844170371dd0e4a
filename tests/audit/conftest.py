"""Stores of made-up cells in which exactly one thing is wrong, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from stemcls.audit.run import audit_store
from stemcls.config.probes import AuditConfig
from stemcls.interruption import Interruption
from stemcls.store.cropstore import CropStore

EDGE, RADIUS = 32, 6.0
DONORS, CELLS = 12, 4


@dataclass
class Plan:
    """What a store holds; tests change one thing of it."""

    images: np.ndarray
    labels: np.ndarray
    fields: np.ndarray
    groups: np.ndarray
    brightness: np.ndarray
    acquired: list[str] | None = None
    named: bool = True
    radius_px: float = RADIUS
    sha256: list[str] = field(default_factory=list)


def cell_mask() -> np.ndarray:
    """Return which pixels of a crop are its cell."""
    y, x = np.mgrid[:EDGE, :EDGE]
    return (y - EDGE // 2) ** 2 + (x - EDGE // 2) ** 2 <= RADIUS**2


def clean_plan(seed: int = 0) -> Plan:
    """Return 2 classes, 12 donors, a field of each class per donor, told apart by texture alone."""
    rng = np.random.default_rng(seed)
    inside = cell_mask()
    images, labels, fields, groups = [], [], [], []
    for donor in range(DONORS):
        for label in range(2):
            for _ in range(CELLS):
                image = rng.normal(100, 6, (EDGE, EDGE))
                phase = rng.uniform(0, 2 * np.pi)
                wave = np.sin(np.arange(EDGE) * 2 * np.pi / (4 if label else 12) + phase)
                image[inside] += 40 + 30 * np.broadcast_to(wave, (EDGE, EDGE))[inside]
                images.append(image)
                labels.append(label)
                fields.append(2 * donor + label)
                groups.append(donor)
    return Plan(
        np.array(images), np.array(labels), np.array(fields), np.array(groups),
        rng.normal(120, 3, 2 * DONORS),
    )


def write_plan(path: Path, plan: Plan) -> CropStore:
    """Write a plan as a store in the documented layout."""
    n, n_fields = len(plan.labels), int(plan.fields.max()) + 1
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file["images"] = np.clip(np.rint(plan.images), 0, 255).astype(np.uint8)[..., None]
        file["label"] = plan.labels.astype(np.int32)
        names = [f"class {k}" for k in range(int(plan.labels.max()) + 1)]
        file["label"].attrs["names"] = np.array(names, dtype=text)
        file["field"] = plan.fields.astype(np.int32)
        file["group"] = (plan.groups if plan.named else plan.fields).astype(np.int32)
        file["group"].attrs["what"] = "donor" if plan.named else "field"
        if plan.named:
            donors = [f"donor {k}" for k in range(int(plan.groups.max()) + 1)]
            file["group"].attrs["names"] = np.array(donors, dtype=text)
        # Cells of a field are far from each other.
        file["center_px"] = np.arange(2 * n, dtype=np.float32).reshape(n, 2) * 100
        file["radius_px"] = np.full(n, plan.radius_px, np.float32)
        file["intensity"] = np.zeros((n, 1), np.float32)
        file["fields/path"] = np.array([f"f{k}.png" for k in range(n_fields)], dtype=text)
        hashes = plan.sha256 or [f"{k + 1:064x}" for k in range(n_fields)]
        file["fields/sha256"] = np.array(hashes, dtype=text)
        file["fields/shape"] = np.full((n_fields, 3), 512, np.int32)
        file["fields/pixel_size_um"] = np.full(n_fields, 0.5)
        file["fields/brightness"] = plan.brightness.astype(np.float32)
        file["fields/n_cells"] = np.full(n_fields, CELLS, np.int32)
        if plan.acquired:
            file["fields/acquired"] = np.array(plan.acquired, dtype=text)
        file.attrs.update({
            "format": "stemcls-crops", "version": 1, "config": json.dumps({}),
            "channels": np.array(["grey"], dtype=text), "pixel_size_um": 0.5,
            "content_hash": f"hash of {path.name}",
        })
    return CropStore.open(path)


@pytest.fixture
def audited(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Audit a plan: name of each check that ran to its finding; `not_run` the others."""

    def run(plan: Plan, **settings: Any) -> dict[str, Any]:
        store = write_plan(tmp_path / "plan.h5", plan)
        config = AuditConfig(**{"shuffles": 199, **settings})
        document = audit_store(store, config, None, tmp_path, Interruption())
        found = {check["name"]: check for check in document["checks"]}
        found["not_run"] = {entry["name"]: entry["why"] for entry in document["not_run"]}
        return found

    return run


@pytest.fixture
def clean_store(tmp_path: Path) -> Path:
    """A store with nothing wrong."""
    return write_plan(tmp_path / "clean.h5", clean_plan()).path
