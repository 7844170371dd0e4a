"""Build a crop store from images; an interrupted build goes on where it stopped."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from stemcls.atomic import check_new
from stemcls.config.imaging import BuildConfig
from stemcls.config.options import to_mapping
from stemcls.errors import CancelledError, InputError, StemclsError, explained_disk_errors
from stemcls.imaging.detection.detect import wants_diameter
from stemcls.interruption import interruptible
from stemcls.notices import worded
from stemcls.progress import Update
from stemcls.store.discovery import list_sources
from stemcls.store.gather import Columns
from stemcls.store.harvest import CELL_PX, FIELD_PX, Harvest, harvest
from stemcls.store.journal import Journal
from stemcls.store.names import settle_names
from stemcls.store.notices import Notices
from stemcls.store.overlaps import REASON, SeenCells
from stemcls.store.ranges import measure_diameter, measure_ranges
from stemcls.store.sources import Source
from stemcls.store.subsample import subsample
from stemcls.store.workers import Crew, WorkerStartError, cores
from stemcls.store.writer import write_store

# Below these, starting processes costs more than they save.
_FEW_IMAGES = 8
_SMALL_BYTES = 2**16


def build_store(
    source: Path,
    out: Path,
    config: BuildConfig,
    manifest: Path | None = None,
    cells: Path | None = None,
    update: Update | None = None,
    tell: Callable[[str], None] | None = None,
    workers: int = 0,
) -> dict[str, Any]:
    """Build a crop store; images are only read.

    Args:
        source: Folder whose first level names the classes, or the folder paths are relative to.
        out: The store to make; it must not exist.
        config: How crops are made.
        manifest: Table with path, label and optionally group, scene, time, z, and metadata.
        cells: Table with field, x_px, y_px and optionally label, radius_px, group, scene, time.
        update: Called with images done, images in all, and the name of the last one.
        tell: Called with a sentence where work of an interrupted build is used or given up.
        workers: Processes that read images; 1: this one alone; 0: one for each core, but this one
            alone for few or small images. The store is the same for any number.
    Returns: What was built, what was skipped and why; see `stemcls build --json`.
    Raises:
        InputError: `out` exists or is being built, or no usable crops.
        CancelledError: Ctrl-C or SIGTERM; the partial work is kept.
    """
    check_new(out)
    kind = "cells" if config.kind == "auto" else config.kind
    if kind != "cells" and cells is not None:
        raise InputError(f"--cells gives centres in fields; it cannot be used with --kind {kind}")
    if config.match_px and cells is None:
        raise InputError("--cells-match needs --cells CSV with the known centres")
    listing = settle_names(
        list_sources(
            source, manifest, cells, config.group, config.label, config.files, config.read,
            config.group_what,
        ),
        config.same_names,
    )
    if tell is not None:
        for notice in listing.notices:
            tell(f"warning: {worded(notice)}")
    sources = subsample(listing.sources, config.subsample, config.subsample_seed)
    crop_px = config.crop_px
    if not config.size_px:
        crop_px = {"cells": CELL_PX, "fields": FIELD_PX}.get(kind, 0)
    config = dataclasses.replace(config, kind=kind, crop_px=crop_px)
    with explained_disk_errors(
        out, "what was done so far is kept; free some space and run the same command again"
    ):
        out.parent.mkdir(parents=True, exist_ok=True)
        with interruptible() as interruption, Journal(out) as journal:
            stopped = interruption.is_asked
            if out.exists():
                raise InputError(f"{out} exists already; another build finished it just now")
            journal.begin({"settings": to_mapping(config), "sources": _fingerprint(sources)})
            n_before = journal.n_entries
            if tell is not None and n_before:
                tell(f"continuing an interrupted build at image {n_before + 1} of {len(sources)}")
            if tell is not None and journal.restarted is not None:
                tell(f"starting over: {journal.restarted}")
            with Crew(workers or _sensible_workers(sources)) as crew:
                measured = journal.note(lambda: _measured(sources, config, crew, stopped, update))
                config = dataclasses.replace(
                    config, scale_range=tuple(measured["scale_range"]),
                    detect=dataclasses.replace(config.detect, diameter_px=measured["diameter_px"]),
                )
                _gather(journal, sources, config, crew, stopped, update)
            document = _finish(journal, sources, config, source, out, stopped)
    document["skipped"] += [entry.document() for entry in listing.skipped]
    document["ignored"] = [entry.document() for entry in listing.ignored]
    # What is odd about the list as a whole comes before what is odd about single images.
    document["warnings"] = [
        *(notice.document() for notice in listing.notices),
        *document["warnings"],
    ]
    return {**document, "continued_at": n_before, "restarted": journal.restarted}


def _measured(
    sources: list[Source], config: BuildConfig, crew: Crew, stopped: Callable[[], bool],
    update: Update | None,
) -> dict[str, Any]:
    """Return what the settings leave open and the fields as a whole decide."""
    ranges, diameter = config.scale_range, config.detect.diameter_px
    if config.scale == "store" and not ranges:
        ranges = measure_ranges(sources, config, crew, stopped, update)
    finds = config.kind == "cells" and (
        config.match_px or any(source.cells is None for source in sources)
    )
    if finds and wants_diameter(config.detect):
        diameter = measure_diameter(sources, config, crew, stopped, update)
    return {"scale_range": ranges, "diameter_px": diameter}


def _gather(
    journal: Journal, sources: list[Source], config: BuildConfig, crew: Crew,
    stopped: Callable[[], bool], update: Update | None,
) -> None:
    total = len(sources)
    seen = SeenCells(config.same_cell_radii)
    for source, entry in zip(sources, journal.entries(), strict=False):
        seen.add(source, entry)
    left = sources[journal.n_entries :]
    work = partial(harvest, config=config)
    for source, get in crew.in_order(left, work):
        if stopped():
            journal.flush()
            raise CancelledError(
                f"stopped after {journal.n_entries} of {total} images; run the same command again "
                "and it goes on from there"
            )
        try:
            result = get()
            _check_layout(result, journal.layout)
        except WorkerStartError:
            raise
        except (StemclsError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            journal.append({"path": source.name, "skipped": reason}, None)
        else:
            result = result.without(seen.repeated(source, result.entry), REASON)
            seen.add(source, result.entry)
            journal.append({"path": source.name, **result.entry}, result.images)
        if update is not None:
            update(journal.n_entries, total, source.name)
    journal.flush()


def _sensible_workers(sources: list[Source]) -> int:
    if len(sources) < _FEW_IMAGES:
        return 1
    sizes = []
    for source in sources:
        try:
            sizes.append(source.path.stat().st_size)
        except OSError:
            sizes.append(0)
    return 1 if sum(sizes) < _SMALL_BYTES * len(sizes) else min(cores(), len(sources))


def _check_layout(result: Harvest, layout: tuple[str, int, int, int] | None) -> None:
    if layout is None:
        return
    dtype, *size, channels = layout
    found = result.images
    if found.shape[3] != channels:
        raise InputError(
            f"its crops have {found.shape[3]} channels, the first image's {channels}; "
            "--channels grey or --channels rgb makes them alike"
        )
    if list(found.shape[1:3]) != size:
        raise InputError(
            f"it is {found.shape[1]}x{found.shape[2]} pixels, the first image is "
            f"{size[0]}x{size[1]}; --crop-px N or --resize HEIGHTxWIDTH resizes every image"
        )
    if found.dtype.name != dtype:
        raise InputError(
            f"its pixels are {found.dtype}, the first image's {dtype}; --scale auto makes all 8 bit"
        )


def _finish(
    journal: Journal, sources: list[Source], config: BuildConfig, source: Path, out: Path,
    stopped: Callable[[], bool],
) -> dict[str, Any]:
    columns, skipped, notices = Columns(), [], Notices(config.crop_um)
    dropped: Counter[str] = Counter()
    for entry in journal.entries():
        if "skipped" in entry:
            skipped.append({"path": entry["path"], "reason": entry["skipped"]})
            continue
        columns.add(entry)
        notices.add(entry)
        dropped.update(entry["dropped"])
    if not columns.labels or journal.layout is None:
        journal.remove()
        raise InputError(_nothing(source, len(sources), skipped, dropped))
    write_store(journal, columns, to_mapping(config), source, out, stopped)
    size_px = journal.layout[1:3]
    journal.remove()
    digests = columns.table["sha256"]
    known = {entry.label for entry in sources} | {
        cell.label for entry in sources for cell in entry.cells or ()
    }
    counts = Counter(columns.labels)
    _, names, what = columns.grouped(config.group_what)
    return {
        "store": str(out),
        "crops": len(columns.labels),
        "fields": len(digests),
        "images": len(sources),
        "skipped": skipped,
        "warnings": [notice.document() for notice in notices.listed()],
        "classes": {name: counts[name] for name in sorted(filter(None, known))},
        "unlabelled": counts[None],
        "groups": {"what": what, "count": len(digests) if names is None else len(names)},
        "dropped": dict(dropped),
        "duplicates": len(digests) - len(set(digests)),
        "size_px": size_px,
        "crop_pixel_um": columns.crop_size_um(),
        "slices": columns.slices,
        "scale_range": config.scale_range,
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
        known = (
            source.name, source.label, source.group, source.cells, source.place,
            sorted(source.metadata.items()),
        )
        digest.update(repr((known, state)).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
