"""Build a crop store from images; an interrupted build goes on where it stopped."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from stemcls.atomic import check_new
from stemcls.config.imaging import BuildConfig
from stemcls.config.options import to_mapping
from stemcls.errors import CancelledError, InputError, StemclsError, explained_disk_errors
from stemcls.imaging.prepare import array_crops
from stemcls.imaging.readers.arrays import is_crop_arrays
from stemcls.interruption import interruptible
from stemcls.notices import Notice, worded
from stemcls.progress import Update
from stemcls.store.discovery import list_sources
from stemcls.store.gather import Columns
from stemcls.store.harvest import Harvest, harvest
from stemcls.store.journal import Journal
from stemcls.store.look import draw_look
from stemcls.store.names import settle_names
from stemcls.store.notices import Findings
from stemcls.store.overlaps import REASON, SeenCells
from stemcls.store.settle import Settled, settle
from stemcls.store.sources import Listing, Source
from stemcls.store.subsample import subsample
from stemcls.store.workers import Crew, WorkerStartError, cores
from stemcls.store.writer import write_store

# Below these, starting processes costs more than they save.
_FEW_IMAGES = 8
_SMALL_BYTES = 2**16
_MOST_REASONS = 3
_KINDS = {
    "cells": "fields: cells are found in them", "crops": "ready-made crops: each image is one cell",
    "fields": "fields: each is one sample",
}
_MOST_BESIDE = 30


def build_store(
    source: Path,
    out: Path,
    config: BuildConfig,
    manifest: Path | None = None,
    cells: Path | None = None,
    update: Update | None = None,
    tell: Callable[[str], None] | None = None,
    workers: int = 0,
    force: bool = False,
    look: bool = False,
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
        force: Build although most images are skipped, classes can be told apart by their files,
            or crops cut the cells; what is wrong becomes a warning.
        look: Draw what is in the store, beside it.
    Returns: What was built, what was skipped and why; see `stemcls build --json`.
    Raises:
        InputError: `out` exists or is being built, no usable crops, a question that only the user
            can answer, or what must not be built without `force`.
        CancelledError: Ctrl-C or SIGTERM; the partial work is kept.
    """
    check_new(out)
    _check_settings(config, cells)
    if is_crop_arrays(source):
        listing, config = _listed_arrays(source, config, manifest, cells)
    else:
        listing = list_sources(
            source, manifest, cells, config.group, config.label, config.files, config.read,
            config.group_what,
        )
    listing = settle_names(listing, config.same_names)
    if tell is not None:
        for notice in listing.notices:
            tell(f"warning: {worded(notice)}")
    sources = subsample(listing.sources, config.subsample, config.subsample_seed)
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
                tell(
                    f"continuing an interrupted build at image {n_before + 1} of {len(sources)}"
                    if n_before < len(sources) else "all images were read before; going on"
                )
            if tell is not None and journal.restarted is not None:
                tell(f"starting over: {journal.restarted}")
            with Crew(workers or _sensible_workers(sources)) as crew:
                settled = _settled(journal, sources, config, crew, stopped, update, force)
                guessed = config.kind == "auto" and cells is None
                config = settled.applied(config)
                if tell is not None and guessed:
                    tell(f"SRC holds {_KINDS[config.kind]}")
                _gather(journal, sources, config, settled, crew, stopped, update)
            try:
                document = _finish(
                    journal, sources, config, [*listing.notices, *settled.told()], source, out,
                    stopped, force,
                )
            except InputError as error:
                raise InputError(f"{error}{_beside(listing)}") from error
    document["skipped"] += [entry.document() for entry in listing.skipped]
    document["ignored"] = [asdict(entry) for entry in listing.ignored]
    document["look"] = draw_look(out, sources, document["warnings"]) if look else None
    return {**document, "continued_at": n_before, "restarted": journal.restarted}


def _beside(listing: Listing) -> str:
    """Name what no reader is there for, for an error that ends a build."""
    if not listing.skipped:
        return ""
    named = ", ".join(entry.path for entry in listing.skipped[:_MOST_BESIDE])
    more = len(listing.skipped) - _MOST_BESIDE
    return (
        f"; and {len(listing.skipped)} files are of formats that are not read, or cannot be "
        f"reached: {named}{f' and {more} more' if more > 0 else ''}"
    )
def _listed_arrays(
    path: Path, config: BuildConfig, manifest: Path | None, cells: Path | None
) -> tuple[Listing, BuildConfig]:
    """Return the crops of an NPZ or IDX file as images of their own, and settings for crops."""
    if manifest is not None or cells is not None or config.group:
        raise InputError(
            f"{path} holds arrays of crops with their labels; --manifest, --cells and --group are "
            "for image files"
        )
    images, labels, names = array_crops(path)
    sources = [
        Source(
            path, f"{path.name}#{row}", names[labels[row]] if labels is not None else None,
            scene=str(row),
        )
        for row in range(len(images))
    ]
    kind = "crops" if config.kind == "auto" else config.kind
    return Listing(sources), dataclasses.replace(config, kind=kind)


def _check_settings(config: BuildConfig, cells: Path | None) -> None:
    if config.kind not in ("auto", "cells") and cells is not None:
        raise InputError(
            f"--cells gives centres in fields; it cannot be used with --kind {config.kind}"
        )
    if config.match_px and cells is None:
        raise InputError("--cells-match needs --cells CSV with the known centres")


def _settled(
    journal: Journal, sources: list[Source], config: BuildConfig, crew: Crew,
    stopped: Callable[[], bool], update: Update | None, force: bool,
) -> Settled:
    """Return what the images decide; where that fails, nothing is left behind."""
    try:
        return Settled.of(journal.note(
            lambda: settle(sources, config, crew, stopped, update, force).document()
        ))
    except InputError:
        if not journal.n_entries:
            journal.remove()
        raise


def _gather(
    journal: Journal, sources: list[Source], config: BuildConfig, settled: Settled, crew: Crew,
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
            _check_layout(result, settled.layout, journal.layout)
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
    few = sum(sizes) < _SMALL_BYTES * len(sizes) or is_crop_arrays(sources[0].path)
    return 1 if few else min(cores(), len(sources))


def _check_layout(
    result: Harvest, usual: tuple[str, int] | None, first: tuple[str, int, int, int] | None
) -> None:
    """Refuse crops of another type, depth or size than those of most images.

    Raises:
        InputError: Says both, and what makes them alike.
    """
    found = result.images
    dtype, channels = usual or ((first[0], first[3]) if first else (found.dtype.name, None))
    if channels is not None and found.shape[3] != channels:
        raise InputError(
            f"its crops have {found.shape[3]} channels, those of most images {channels}; "
            "--channels grey or --channels rgb makes them alike"
        )
    if found.dtype.name != dtype:
        raise InputError(
            f"its pixels are {found.dtype}, those of most images {dtype}; --scale auto makes all "
            "8 bit"
        )
    if first is not None and found.shape[1:3] != first[1:3]:
        raise InputError(
            f"it is {found.shape[1]}x{found.shape[2]} pixels, others are {first[1]}x{first[2]}; "
            "--crop-px N or --resize HEIGHTxWIDTH brings every image to one size"
        )


def _finish(
    journal: Journal, sources: list[Source], config: BuildConfig, notices: list[Notice],
    source: Path, out: Path, stopped: Callable[[], bool], force: bool,
) -> dict[str, Any]:
    columns, skipped, found = Columns(), [], Findings(config)
    for entry in journal.entries():
        if "skipped" in entry:
            skipped.append({"path": entry["path"], "reason": entry["skipped"]})
            continue
        columns.add(entry)
        found.add(entry)
    if not columns.labels or journal.layout is None:
        journal.remove()
        raise InputError(_nothing(source, len(sources), skipped, found.dropped))
    notices += [
        *_check_skipped(sources, skipped, columns.labels, force), *found.checked(force),
        *found.listed(),
    ]
    size_px = journal.layout[1:3]
    config = dataclasses.replace(
        config, recorded=found.recorded(size_px, [worded(notice) for notice in notices])
    )
    write_store(journal, columns, to_mapping(config), source, out, stopped)
    journal.remove()
    known = {entry.label for entry in sources} | {
        cell.label for entry in sources for cell in entry.cells or ()
    }
    counts = Counter(columns.labels)
    _, names, what = columns.grouped(config.group_what)
    n_fields = len(columns.table["sha256"])
    return {
        "store": str(out),
        "crops": len(columns.labels),
        "fields": n_fields,
        "images": len(sources),
        "kind": config.kind,
        "skipped": skipped,
        "warnings": [notice.document() for notice in notices],
        "classes": {name: counts[name] for name in sorted(filter(None, known))},
        "unlabelled": counts[None],
        "groups": {"what": what, "count": n_fields if names is None else len(names)},
        "dropped": dict(found.dropped),
        "at_border": found.at_border,
        "duplicates": found.duplicates,
        "size_px": size_px,
        "crop_px": max(size_px),
        "crop_pixel_um": columns.crop_size_um(),
        **found.diameter(),
        "slices": columns.slices,
        "scale_range": config.scale_range,
    }


def _check_skipped(
    sources: list[Source], skipped: list[dict[str, str]], labels: Sequence[str | None], force: bool
) -> list[Notice]:
    """Refuse a store that most of its images, or all of a class, are missing from.

    Raises:
        InputError: Says how many, why, and the way on.
    """
    if not skipped:
        return []
    names = {entry["path"] for entry in skipped}
    lost = {one.label for one in sources if one.label is not None and one.name in names}
    lost -= set(labels)
    said = []
    if 2 * len(skipped) > len(sources):
        said.append(f"{len(skipped)} of {len(sources)} images were skipped")
    if lost:
        said.append(f"nothing is left of the class {', '.join(sorted(lost))}")
    if not said:
        return []
    reasons = Counter(_bare(entry) for entry in skipped)
    shown = "; ".join(
        f"{count}: {reason}" for reason, count in reasons.most_common(_MOST_REASONS)
    )
    message = f"{' and '.join(said)} ({shown})"
    if not force:
        raise InputError(
            f"{message}. Mend the images, take them out of SRC, or say --force to build from the "
            "others; what was read is kept"
        )
    return [Notice("most-skipped", message, tuple(entry["path"] for entry in skipped))]


def _bare(entry: dict[str, str]) -> str:
    """Return a reason without the file's own path, so that equal ones count together."""
    words = entry["reason"].split()
    return " ".join(word for word in words if not word.rstrip(":,").endswith(entry["path"]))


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
