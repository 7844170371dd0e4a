"""Build a crop store from images; an interrupted build goes on where it stopped."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from stemcls.config.imaging import BuildConfig
from stemcls.config.options import to_mapping
from stemcls.errors import CancelledError, InputError, StemclsError, explained_disk_errors
from stemcls.interruption import interruptible
from stemcls.store.harvest import CELL_PX, FIELD_PX, Harvest, harvest
from stemcls.store.journal import Journal
from stemcls.store.sources import Source, list_sources
from stemcls.store.writer import Columns, write_store

Update = Callable[[int, int, str], None]


def build_store(
    source: Path,
    out: Path,
    config: BuildConfig,
    manifest: Path | None = None,
    cells: Path | None = None,
    update: Update | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Build a crop store; images are only read.

    Args:
        source: Folder whose first level names the classes, or the folder paths are relative to.
        out: The store to make; it must not exist.
        config: How crops are made.
        manifest: CSV with path, label and optionally group.
        cells: CSV with field, x_px, y_px and optionally label, radius_px, group.
        update: Called with images done, images in all, and the name of the last one.
        tell: Called with a sentence where work of an interrupted build is used or given up.
    Returns: What was built, what was skipped and why; see `stemcls build --json`.
    Raises:
        InputError: `out` exists or is being built, or no usable crops.
        CancelledError: Ctrl-C or SIGTERM; the partial work is kept.
    """
    if out.exists():
        raise InputError(f"{out} exists already and is never overwritten; choose another --out")
    kind = "cells" if config.kind == "auto" else config.kind
    if kind != "cells" and cells is not None:
        raise InputError(f"--cells gives centres in fields; it cannot be used with --kind {kind}")
    if config.match_px and cells is None:
        raise InputError("--cells-match needs --cells CSV with the known centres")
    sources = list_sources(source, manifest, cells, config.group)
    crop_px = config.crop_px or {"cells": CELL_PX, "fields": FIELD_PX}.get(kind, 0)
    settings = {**to_mapping(config), "kind": kind, "crop_px": crop_px}
    with explained_disk_errors(
        out, "what was done so far is kept; free some space and run the same command again"
    ):
        out.parent.mkdir(parents=True, exist_ok=True)
        with interruptible() as interruption, Journal(out) as journal:
            stopped = interruption.is_asked
            if out.exists():
                raise InputError(f"{out} exists already; another build finished it just now")
            journal.begin({"settings": settings, "sources": _fingerprint(sources)})
            n_before = journal.n_entries
            if tell is not None and n_before:
                tell(f"continuing an interrupted build at image {n_before + 1} of {len(sources)}")
            if tell is not None and journal.restarted is not None:
                tell(f"starting over: {journal.restarted}")
            _gather(journal, sources, config, kind, crop_px, stopped, update)
            document = _finish(journal, sources, settings, source, out, stopped)
    return {**document, "continued_at": n_before, "restarted": journal.restarted}


def _gather(
    journal: Journal, sources: list[Source], config: BuildConfig, kind: str, crop_px: int,
    stopped: Callable[[], bool], update: Update | None,
) -> None:
    total = len(sources)
    ahead = _in_order(
        sources[journal.n_entries :],
        lambda source: harvest(source, config, kind, crop_px),
        threads=kind != "crops",
    )
    for source, get in ahead:
        if stopped():
            journal.flush()
            raise CancelledError(
                f"stopped after {journal.n_entries} of {total} images; run the same command again "
                "and it goes on from there"
            )
        try:
            result = get()
            _check_layout(result, journal.layout)
        except (StemclsError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            journal.append({"path": source.name, "skipped": reason}, None)
        else:
            journal.append({"path": source.name, **result.entry}, result.images)
        if update is not None:
            update(journal.n_entries, total, source.name)
    journal.flush()


def _in_order(
    sources: list[Source], work: Callable[[Source], Harvest], threads: bool
) -> Iterator[tuple[Source, Callable[[], Harvest]]]:
    """Yield each source with a call that gives its harvest or raises.

    Args:
        sources: In the order wanted.
        work: Reads one image.
        threads: Work a few fields ahead: readers and filters release the GIL. For small crops
            threads only fight for it and take half as long again.
    """
    if not threads:
        for source in sources:
            yield source, partial(work, source)
        return
    workers = min(4, os.cpu_count() or 1)
    waiting: deque[tuple[Source, Future[Harvest]]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for source in sources:
            waiting.append((source, pool.submit(work, source)))
            if len(waiting) > workers:
                first, future = waiting.popleft()
                yield first, future.result
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _check_layout(result: Harvest, layout: tuple[str, int, int] | None) -> None:
    if layout is None:
        return
    dtype, edge, channels = layout
    found = result.images
    if found.shape[3] != channels:
        raise InputError(
            f"its crops have {found.shape[3]} channels, the first image's {channels}; "
            "--channels grey or --channels rgb makes them alike"
        )
    if found.shape[1] != edge:
        raise InputError(
            f"it is {found.shape[1]}x{found.shape[1]} pixels, the first image is {edge}x{edge}; "
            "--crop-px N resizes every image"
        )
    if found.dtype.name != dtype:
        raise InputError(
            f"its pixels are {found.dtype}, the first image's {dtype}; --scale auto makes all 8 bit"
        )


def _finish(
    journal: Journal, sources: list[Source], settings: dict[str, Any], source: Path, out: Path,
    stopped: Callable[[], bool],
) -> dict[str, Any]:
    columns, skipped = Columns(), []
    dropped: Counter[str] = Counter()
    for entry in journal.entries():
        if "skipped" in entry:
            skipped.append({"path": entry["path"], "reason": entry["skipped"]})
            continue
        columns.add(entry)
        dropped.update(entry["dropped"])
    if not columns.labels or journal.layout is None:
        journal.remove()
        raise InputError(_nothing(source, len(sources), skipped, dropped))
    write_store(journal, columns, settings, source, out, stopped)
    crop_px = journal.layout[1]
    journal.remove()
    digests = columns.table["sha256"]
    known = {entry.label for entry in sources} | {
        cell.label for entry in sources for cell in entry.cells or ()
    }
    counts = Counter(columns.labels)
    _, names, what = columns.grouped(settings["group_what"])
    return {
        "store": str(out),
        "crops": len(columns.labels),
        "fields": len(digests),
        "images": len(sources),
        "skipped": skipped,
        "classes": {name: counts[name] for name in sorted(filter(None, known))},
        "unlabelled": counts[None],
        "groups": {"what": what, "count": len(digests) if names is None else len(names)},
        "dropped": dict(dropped),
        "duplicates": len(digests) - len(set(digests)),
        "crop_px": crop_px,
    }


def _nothing(source: Path, total: int, skipped: list[dict[str, str]], dropped: Counter) -> str:
    if skipped:
        first = "; ".join(f"{entry['path']}: {entry['reason']}" for entry in skipped[:3])
        more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
        start = f"none of the {total} images of {source} " if len(skipped) == total else (
            f"{len(skipped)} of the {total} images of {source} "
        )
        return f"no crops: {start}could be used ({first}{more})" + (
            "" if len(skipped) == total else f", the others gave none{_lost(dropped)}"
        )
    return (
        f"no crops: no cells were found in the {total} images of {source}{_lost(dropped)}; try "
        "`stemcls detect --overlay` to see what the settings find, or --kind crops or fields"
    )


def _lost(dropped: Counter) -> str:
    if not dropped:
        return ""
    return f" (dropped: {', '.join(f'{count} {reason}' for reason, count in dropped.items())})"


def _fingerprint(sources: list[Source]) -> str:
    """Digest of what is to be read: names, labels, groups, known cells, sizes and times."""
    digest = hashlib.sha256()
    for source in sources:
        try:
            stat = source.path.stat()
            state = (stat.st_size, stat.st_mtime_ns)
        except OSError:
            state = (-1, -1)
        known = (source.name, source.label, source.group, source.cells, source.problem)
        digest.update(repr((known, state)).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
