"""Compare names of classes and groups: near-equal ones are one question, never two donors."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache

from stemcls.errors import InputError
from stemcls.notices import Notice
from stemcls.safetext import safe_text
from stemcls.store.sources import KnownCell, Listing, Source

CHOICES = ("ask", "merge", "keep")
_INVISIBLE = str.maketrans("", "", "\u00ad\u200b\u200e\u200f\u2060\ufeff")
_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)
_LEADING_ZEROS = re.compile(r"(?<![.\d])0+(?=\d)")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\s_-]+(?=\d)")
_MOST_SHOWN = 6


@lru_cache(maxsize=2**16)
def normal_name(text: str) -> str:
    """Return a name in the one form that is stored.

    Unicode NFC, no blanks around it, one blank for each run of them inside (no-break spaces, tabs
    and line ends count), no invisible characters, control characters as escapes.
    """
    return safe_text(" ".join(unicodedata.normalize("NFC", text).translate(_INVISIBLE).split()))


@lru_cache(maxsize=2**16)
def twin_key(name: str) -> str:
    """Return what near-equal names have in common.

    Case, blanks, hyphens, underscores, leading zeros and forms of a character (NFKC) do not
    count: Mouse 1, mouse1, Mouse-01 and MOUSE_1 share a key. A separator between digits does:
    1-11 and 11-1 are two names. So do the sign and the value of what is a number: 1 and 1.0 share
    a key.
    """
    text = unicodedata.normalize("NFKC", normal_name(name)).casefold()
    text = _DASHES.sub("-", unicodedata.normalize("NFKC", text)).strip()
    if _DECIMAL.fullmatch(text):
        return f"{Decimal(text).normalize() + 0:f}"
    text = _BETWEEN_DIGITS.sub("|", text)
    folded = _LEADING_ZEROS.sub("", re.sub(r"[\s_-]+", "", text))
    return folded or text


def twins_of(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return each set of two or more different names with one key, sorted."""
    by_key: dict[str, set[str]] = defaultdict(set)
    for name in names:
        by_key[twin_key(name)].add(name)
    return sorted(tuple(sorted(same)) for same in by_key.values() if len(same) > 1)


def settle_names(listing: Listing, same_names: str) -> Listing:
    """Return a listing whose classes and groups are in normal form and have one spelling each.

    Args:
        listing: All sources of a build.
        same_names: What to do with near-equal names: ask (refuse), merge them into the most
            frequent spelling, or keep them apart.

    Raises:
        InputError: There are near-equal names, and `same_names` is "ask".
    """
    notices: list[Notice] = []
    problems: list[str] = []
    merged: dict[str, dict[str, str]] = {}
    for what, plural, key in (("class", "classes", "label"), ("group", "groups", "group")):
        written = _counted(listing.sources, key)
        counts: Counter[str] = Counter()
        for name, n in written.items():
            counts[normal_name(name)] += n
        notices += _normalised(written, counts, what)
        found = twins_of(counts)
        merged[what] = _merged(found, counts) if same_names == "merge" else {}
        if found and same_names == "ask":
            problems.append(f"{plural} {_described(found, counts)}")
        elif found:
            done = "are taken as one, in the most frequent spelling" if merged[what] else (
                "are kept apart, as --same-names keep says"
            )
            notices.append(Notice(
                f"same-{plural}", f"{plural} {_described(found, counts)} {done}"
            ))
    if problems:
        groups_too = any(problem.startswith("groups ") for problem in problems)
        harm = ", so one donor could be on both sides of a split" if groups_too else ""
        raise InputError(
            f"near-equal names: {'; '.join(problems)}. They differ only in case, blanks, hyphens, "
            f"leading zeros or forms of a character{harm}: --same-names merge makes each of them "
            "one, in its most frequent spelling; --same-names keep keeps them apart"
        )
    labels, groups = merged["class"], merged["group"]
    sources = [
        replace(
            source, label=_settled(source.label, labels), group=_settled(source.group, groups),
            cells=None if source.cells is None else tuple(
                _settled_cell(cell, labels, groups) for cell in source.cells
            ),
        )
        for source in listing.sources
    ]
    return replace(listing, sources=sources, notices=(*listing.notices, *notices))


def _settled(name: str | None, merged: Mapping[str, str]) -> str | None:
    if name is None:
        return None
    normal = normal_name(name)
    return merged.get(normal, normal) or None


def _settled_cell(
    cell: KnownCell, labels: Mapping[str, str], groups: Mapping[str, str]
) -> KnownCell:
    label, group = _settled(cell.label, labels), _settled(cell.group, groups)
    if (label, group) == (cell.label, cell.group):
        return cell
    return replace(cell, label=label, group=group)


def _counted(sources: Iterable[Source], key: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for source in sources:
        for one in (source, *(source.cells or ())):
            name = getattr(one, key)
            if name and normal_name(name):
                counts[name] += 1
    return counts


def _normalised(
    written: Mapping[str, int], counts: Mapping[str, int], what: str
) -> Iterable[Notice]:
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(written):
        spellings[normal_name(name)].append(name)
    changed = [name for name in sorted(counts) if len(spellings[name]) > 1]
    if changed:
        listed = ", ".join(
            f"{name} ({', '.join(ascii(one) for one in spellings[name])})"
            for name in changed[:_MOST_SHOWN]
        )
        yield Notice(
            f"spelling-of-{what}",
            f"{what} {listed} is written in ways that look the same (blanks or Unicode forms); "
            "taken as one",
        )


def _merged(found: Iterable[tuple[str, ...]], counts: Mapping[str, int]) -> dict[str, str]:
    result = {}
    for same in found:
        chosen = min(same, key=lambda name: (-counts[name], name))
        result.update(dict.fromkeys(same, chosen))
    return result


def _described(found: list[tuple[str, ...]], counts: Mapping[str, int]) -> str:
    listed = "; ".join(
        " = ".join(
            f"{name!r} ({counts[name]})" for name in sorted(same, key=lambda n: (-counts[n], n))
        )
        for same in found[:_MOST_SHOWN]
    )
    more = f"; and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return listed + more
