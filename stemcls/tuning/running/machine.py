"""Where the folds of a study run: the slots of this machine, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stemcls.errors import InputError
from stemcls.tuning.running.slots import SlotExecutor, make_slots
from stemcls.tuning.running.supervise import JobExecutor


@dataclass(frozen=True)
class Machine:
    """Where folds run.

    Attributes:
        n_slots: How many at once.
        open: Given a folder for logs, returns what runs them.
        device: Where that is: cpu, numbers of GPUs as 0,1, or cluster.
    """

    n_slots: int
    open: Callable[[Path], JobExecutor]
    device: str


def machine_of(
    slots: int | None, devices: Sequence[str], scheduler: str | None, say: Callable[[str], None]
) -> Machine:
    """Return this machine's slots, or a Dask cluster.

    Raises:
        InputError: No such device, or no scheduler answers.
    """
    if scheduler is None:
        found = make_slots(slots, devices)
        names = dict.fromkeys(slot.environment.get("CUDA_VISIBLE_DEVICES") or "cpu"
                              for slot in found)
        return Machine(len(found), lambda logs: SlotExecutor(found, logs), ",".join(names))
    if devices:
        raise InputError(
            "--devices is for this machine; the workers of --scheduler choose their own"
        )
    from stemcls.tuning.running.cluster import DaskExecutor, connect

    cluster = connect(scheduler, slots)
    return Machine(cluster.n_slots, lambda logs: DaskExecutor(cluster, logs, say), "cluster")
