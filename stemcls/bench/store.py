"""Build a store of 50,000 crops, then read it at random beside a bare memory map."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from stemcls.bench.measure import interleave, result, run_measured
from stemcls.store.cropstore import CropStore

CROPS = 50_000
FIELDS = 10
FIELD_PX = 2048
CROP_PX = 64
BATCH = 64
BATCHES = 100
# Short rounds and many: one busy moment then spoils few of them.
ROUNDS = 25


def store(data: Path) -> dict[str, Any]:  # noqa: ARG001 - every benchmark takes the data folder
    """Return crops read per second through a store and through numpy.memmap on the same bytes.

    Details: `build_seconds`, `peak_gib` (resident memory of the building process) and
    `memory_within_limit` (below 1 GiB).
    """
    with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
        return measure_store(Path(folder), CROPS, FIELDS, FIELD_PX)


def measure_store(folder: Path, crops: int, fields: int, field_px: int) -> dict[str, Any]:
    """Build and read a store of `crops` crops from `fields` random fields in `folder`."""
    cells = write_fields(folder / "fields", crops, fields, field_px)
    out = folder / "bench.h5"
    start = time.perf_counter()
    document, peak_bytes = run_measured(
        "build", str(folder / "fields"), "--cells", str(cells), "--out", str(out),
        "--crop-px", str(CROP_PX), "--json",
    )
    peak_gib = peak_bytes / 2**30
    build_seconds = time.perf_counter() - start

    opened = CropStore.open(out)
    raw = folder / "raw.bin"
    opened.images.tofile(raw)  # type: ignore[union-attr]
    bare = np.memmap(raw, opened.dtype, "r", shape=opened.shape)
    generator = np.random.default_rng(0)
    batches = generator.integers(len(opened), size=(BATCHES, BATCH))
    equal = all(np.array_equal(opened.read(rows), bare[rows]) for rows in batches)
    ours, baseline = interleave(
        lambda: [opened.read(rows) for rows in batches],
        lambda: [np.asarray(bare[rows]) for rows in batches],
        rounds=ROUNDS,
    )
    read = batches.size
    return result(
        "store", read / ours, read / baseline, "crops/s", 0.9,
        equal_outputs=equal and document["crops"] == crops and peak_gib < 1,
        higher_is_better=True,
        build_seconds=build_seconds, peak_gib=peak_gib, memory_within_limit=peak_gib < 1,
        crops=document["crops"],
    )


def write_fields(folder: Path, crops: int, fields: int, field_px: int) -> Path:
    """Write random RGB fields in two class folders and a table of centres; return the table."""
    generator = np.random.default_rng(0)
    lines = ["field,x_px,y_px"]
    for number in range(fields):
        name = f"class {number % 2}/field-{number}.tif"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (field_px, field_px, 3), dtype=np.uint8)
        tifffile.imwrite(path, pixels, photometric="rgb")
        n_cells = crops // fields + (number < crops % fields)
        # Centres within 1 px of each other would be one cell.
        side = field_px // 2 - CROP_PX
        places = generator.choice(side * side, n_cells, replace=False)
        centers = CROP_PX + 2 * np.stack(np.divmod(places, side), axis=1)
        lines += [f"{name},{x},{y}" for y, x in centers.tolist()]
    table = folder.with_suffix(".csv")
    table.write_text("\n".join(lines) + "\n")
    return table
