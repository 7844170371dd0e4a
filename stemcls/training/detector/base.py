"""Train the detector that is shipped: real fields under a free licence, simulated and drawn ones.

Run as `python -m stemcls.training.detector.base DATA OUT.onnx`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stemcls.config.imaging import ReadConfig, SimulateConfig
from stemcls.errors import InputError
from stemcls.imaging.readers import read_field
from stemcls.imaging.simulation.simulate import simulate_field
from stemcls.progress import Update
from stemcls.store.tables import read_table
from stemcls.training.detector.patches import KnownField

# Folder of fields, table of cells, weight, and diameter of cells whose radius is not told. All are
# under the MIT licence; of each only every other field is used, so that the rest can tell how well
# it does.
REAL_SETS = (
    ("fields/usiigaci_large", "fields/usiigaci_large.csv", 1.0, 0.0),
    ("fields/usiigaci_small", "fields/usiigaci_small.csv", 1.0, 0.0),
    ("fields/bccd", "fields/bccd.csv", 0.5, 100.0),
    ("chula/fields", "chula/cells.csv", 0.5, 42.0),
)
_SIMULATED_WEIGHT = 0.6
_MODALITIES = ("dic", "phase", "brightfield", "fluorescence")
_SIMULATED_PER_MODALITY = 8
STEPS, SEED = 3000, 1


def train_base(
    data: Path, out: Path, steps: int = STEPS, seed: int = SEED, update: Update | None = None
) -> None:
    """Train on half of each real set, on simulated fields and on drawn patches; write ONNX.

    Args:
        data: Folder that holds `REAL_SETS`.
        out: ONNX file to write.
        steps: Batches of 16 patches.
        seed: All chance follows from it.

    Raises:
        InputError: A set is missing.
    """
    from stemcls.training.detector.fit import fit_detector

    kinds = [
        (weight, known_fields(data / folder, data / table, usual_px))
        for folder, table, weight, usual_px in REAL_SETS
    ]
    kinds.append((_SIMULATED_WEIGHT, simulated_fields(seed)))
    fit_detector(kinds, out, steps=steps, seed=seed, update=update)


def known_fields(
    folder: Path, table: Path, usual_px: float, every: int = 2
) -> list[KnownField]:
    """Read every other field of a set with its known cells.

    Args:
        folder: Of the images.
        table: field, x_px, y_px and radius_px, which may be empty or 0.
        usual_px: Diameter of cells whose radius is not told.
        every: Of the sorted names, 2 for every other.
    """
    if not folder.is_dir() or not table.is_file():
        raise InputError(f"expected fields in {folder} and their cells in {table}; not there")
    truth: dict[str, list[tuple[float, float, float]]] = {}
    for _, row in read_table(table, ("field", "x_px", "y_px"), ("radius_px",)):
        diameter = 2 * float(row.get("radius_px") or 0) or usual_px
        truth.setdefault(row["field"], []).append(
            (float(row["y_px"]), float(row["x_px"]), diameter)
        )
    made = []
    for name in sorted(path.name for path in folder.iterdir())[::every]:
        if name in truth:
            cells = np.array(truth[name])
            pixels = read_field(folder / name, ReadConfig()).pixels
            made.append(KnownField.of(pixels, cells[:, :2], cells[:, 2]))
    return made


def simulated_fields(seed: int) -> list[KnownField]:
    """Simulate fields of every modality, with cells of every size, noise and shear."""
    rng = np.random.default_rng(seed)
    made = []
    for modality in _MODALITIES:
        for number in range(_SIMULATED_PER_MODALITY):
            config = SimulateConfig(
                modality=modality, slices=1, size_px=512, seed=10_000 + number,
                cells=int(rng.integers(15, 60)), clusters=int(rng.integers(0, 8)),
                debris=int(rng.integers(0, 12)), radius_px=float(np.exp(rng.uniform(2.1, 3.3))),
                noise=float(rng.uniform(0.01, 0.05)), shear_deg=float(rng.uniform(0, 360)),
            )
            pixels, cells = simulate_field(config, number % 3, number)
            made.append(KnownField.of(pixels, cells.centers_px, 2 * cells.radius_px))
    return made


def main(arguments: Sequence[str]) -> None:
    """Train from the command line: DATA OUT.onnx [STEPS [SEED]]."""
    data, out = Path(arguments[0]), Path(arguments[1])
    steps, seed = (int(arguments[n]) if len(arguments) > n else default
                   for n, default in ((2, STEPS), (3, SEED)))
    start = time.monotonic()

    def update(done: int, total: int, note: str) -> None:
        print(f"{done}/{total} {note} {time.monotonic() - start:.0f} s", file=sys.stderr)

    train_base(data, out, steps, seed, update)


if __name__ == "__main__":
    main(sys.argv[1:])
