"""How often an audit finds a batch effect that is there, and sees one that is not."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from stemcls.bench.measure import result

SEEDS = 20
EFFECTS = (0.0, 0.1, 0.2)
WANTED_POWER, MOST_FALSE = 0.9, 0.1
# What looks for shortcuts of acquisition; other checks are about other faults.
SHORTCUTS = ("metadata", "background", "cell-only")


def audit(data: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - every benchmark takes the data folder
    """Simulate, build and audit stores of 20 seeds without and with a batch effect.

    `ours` is the share of stores in which at least one check warns or fails; details: how often
    each check did.
    """
    rows = []
    for effect in EFFECTS:
        with tempfile.TemporaryDirectory(prefix="stemcls-bench-") as folder:
            stores = [simulated_store(Path(folder), effect, seed) for seed in range(SEEDS)]
            rows.append(alarm_rate(effect, stores))
    return rows


def simulated_store(folder: Path, effect: float, seed: int) -> Path:
    """Simulate fields with the defaults of `stemcls simulate` and build a store of found cells."""
    from stemcls.config.imaging import BuildConfig, SimulateConfig
    from stemcls.imaging.simulation.simulate import simulate
    from stemcls.store.build import build_store

    fields, out = folder / f"fields-{seed}", folder / f"{seed}.h5"
    simulate(fields, SimulateConfig(seed=seed, batch_effect=effect))
    build_store(fields, out, BuildConfig(group_what="donor"), fields / "manifest.csv")
    return out


def alarm_rate(effect: float, stores: list[Path]) -> dict[str, Any]:
    """Audit stores; return how many raised an alarm, and which checks did."""
    from stemcls.audit.run import audit_store
    from stemcls.config.probes import AuditConfig
    from stemcls.interruption import Interruption
    from stemcls.store.cropstore import CropStore

    by_check: Counter[str] = Counter()
    alarms = shortcuts = 0
    for path in stores:
        document = audit_store(
            CropStore.open(path), AuditConfig(), None, path.parent, Interruption()
        )
        raised = [check["name"] for check in document["checks"] if check["status"] != "pass"]
        by_check.update(raised)
        alarms += bool(raised)
        shortcuts += bool(set(raised) & set(SHORTCUTS))
    share = alarms / len(stores)
    quiet = effect == 0
    # Bench ratios are better when above 1: of stores rightly judged, beside what is wanted.
    right = 1 - share if quiet else shortcuts / len(stores)
    wanted = 1 - MOST_FALSE if quiet else WANTED_POWER
    return result(
        f"audit, batch effect {effect:g}", right, wanted, "share judged rightly", 1.0,
        equal_outputs=None, higher_is_better=True, stores=len(stores), alarms=share,
        shortcut_alarms=shortcuts / len(stores),
        by_check={name: count / len(stores) for name, count in by_check.items()},
    )
