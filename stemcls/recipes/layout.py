"""Find the images of a study by the layout that its recipe expects, or say what was found."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stemcls.atomic import csv_writer
from stemcls.config.imaging import FilesConfig
from stemcls.config.protocol import LayoutConfig
from stemcls.errors import InputError
from stemcls.recipes.words import expected
from stemcls.store.discovery import list_sources
from stemcls.store.sources import Source
from stemcls.store.units import plural

_SHOWN = 6


def find_images(data: Path, layout: LayoutConfig) -> list[Source]:
    """List the images of a study with class and unit.

    Names of folders are matched without regard to case, spaces, dashes and underscores.

    Args:
        data: Folder of the study.
        layout: What is expected in it.
    Raises:
        InputError: It is laid out otherwise; says what was expected and what was found.
    """
    if not data.is_dir():
        raise InputError(f"--data {data} is not a folder: expected {expected(data, layout)}")
    try:
        sources = list_sources(
            data, None, None, None, files=FilesConfig(
                class_level=1, split_folders="classes", one_file_per_channel="no"
            )
        ).sources
    except InputError as error:
        raise InputError(f"{error}; expected {expected(data, layout)}") from error
    class_of = _classes(data, layout, sources)
    wanted = [
        replace(source, label=class_of[source.label])
        for source in sources if source.label in class_of
    ]
    return _with_units(data, layout, wanted)


def write_manifest(path: Path, sources: Sequence[Source]) -> None:
    """Write which images are used, as `stemcls build --manifest` takes it."""
    with csv_writer(path) as writer:
        writer.writerow(["path", "label", "group", "scene", "time"])
        for source in sources:
            name = source.name.removesuffix(f"[{source.place.title}]")
            writer.writerow([name, source.label, source.group or "", source.scene, source.time])


def _classes(data: Path, layout: LayoutConfig, sources: Sequence[Source]) -> dict[str | None, str]:
    wanted = {_bare(name): name for name in layout.classes}
    there = list(dict.fromkeys(source.label for source in sources))
    class_of: dict[str | None, str] = {
        label: wanted[_bare(label)] for label in there if label and _bare(label) in wanted
    }
    twice = [name for name, n in Counter(class_of.values()).items() if n > 1]
    missing = [name for name in layout.classes if name not in class_of.values()]
    others = [label for label in there if label not in class_of]
    if twice:
        raise InputError(
            f"{data}: class {twice[0]} has several folders "
            f"({', '.join(str(label) for label in class_of if class_of[label] == twice[0])}); "
            f"put them together; expected {expected(data, layout)}"
        )
    if missing or (others and not layout.extra):
        raise InputError(
            f"{data} is laid out otherwise than this recipe expects.\n"
            f"  expected: {expected(data, layout)}\n"
            f"  found: {_found(data, sources)}\n"
            f"  {_advice(data, layout, sources, missing, others)}"
        )
    return class_of


def _found(data: Path, sources: Sequence[Source]) -> str:
    counts = Counter(source.name.rpartition("/")[0] for source in sources)
    told = [
        f"{data}/{folder} ({n} images)" if folder else f"{n} images in {data} itself"
        for folder, n in sorted(counts.items())
    ]
    more = f" and {len(told) - _SHOWN} more folders" if len(told) > _SHOWN else ""
    return ", ".join(told[:_SHOWN]) + more


def _advice(
    data: Path, layout: LayoutConfig, sources: Sequence[Source], missing: list[str],
    others: list[str | None],
) -> str:
    if not missing:
        return f"move {', '.join(str(name or 'loose images') for name in others)} elsewhere"
    bare = {_bare(name) for name in layout.classes}
    deeper: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        parts = source.name.split("/")
        for place, part in enumerate(parts[:-1]):
            if place and _bare(part) in bare:
                deeper["/".join(parts[:place])].add(_bare(part))
    complete = [place for place, names in deeper.items() if names == bare]
    if len(complete) == 1:
        return f"the classes are one level down: give --data {data / complete[0]}"
    return (
        f"no folder for {', '.join(missing)}: rename or link folders so that the first level "
        "names the classes"
    )


def _with_units(data: Path, layout: LayoutConfig, sources: list[Source]) -> list[Source]:
    if not layout.group:
        return sources
    found = [re.search(layout.group, source.name) for source in sources]
    what = layout.group_what
    without = [source.name for source, match in zip(sources, found, strict=True) if not match]
    if len(without) == len(sources) and not layout.groups_per_class:
        return sources
    if without:
        raise InputError(
            f"{data}: {len(without)} of {len(sources)} images are in no folder of their {what}, "
            f"for instance {without[0]}; expected {expected(data, layout)}"
        )
    names = [match.group(1) for match in found if match]
    if not layout.shared:
        classes = defaultdict(set)
        for source, name in zip(sources, names, strict=True):
            classes[name].add(source.label)
        names = [
            name if len(classes[name]) == 1 else f"{source.label}/{name}"
            for source, name in zip(sources, names, strict=True)
        ]
    grouped = [
        replace(source, group=name) for source, name in zip(sources, names, strict=True)
    ]
    for label in layout.classes:
        n = len({source.group for source in grouped if source.label == label})
        if n < layout.groups_per_class:
            raise InputError(
                f"{data}/{label} holds {n} {what if n == 1 else plural(what)}, but this recipe "
                f"needs {layout.groups_per_class} for its folds and its independent test; "
                f"expected {expected(data, layout)}"
            )
    return grouped


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
