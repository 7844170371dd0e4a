"""Give images their donors: by folder, by a pattern of the path, or say what a build lacks."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from stemcls.config.imaging import FOLDER_LEVELS
from stemcls.errors import InputError
from stemcls.notices import Notice
from stemcls.store.classfolders import Meaning, is_split
from stemcls.store.sources import Source

_WORDS = (
    "donor", "mouse", "mice", "animal", "patient", "subject", "plate", "batch", "experiment",
    "replicate", "clone", "culture", "passage", "sample", "embryo", "litter", "slide", "series",
    "biorep", "chip", "dish", "case", "cage", "line", "well", "day", "exp", "pat", "rep", "run",
    "sub", "rat", "fish", "field", "fov",
)  # fmt: skip
_SHOWN = 4


def grouped(
    sources: Sequence[Source], group: str, meanings: Mapping[str, Meaning] | None
) -> list[Source]:
    """Return sources with groups; one that has none gets a problem.

    Args:
        sources: Images; those of a manifest that name their group keep it.
        group: "folder" (the first level below the class), "folder2", "folder3", or a regular
            expression on the path whose first group is the name.
        meanings: What the folders of each file mean, by its path below SRC; None: of a manifest.

    Raises:
        InputError: It is no regular expression, has no group, or no image has such a folder.
    """
    if group in FOLDER_LEVELS:
        return _by_folder(sources, group, meanings)
    try:
        compiled = re.compile(group)
    except re.error as error:
        raise InputError(f"--group {group!r} is not a regular expression: {error}") from error
    if not compiled.groups:
        raise InputError(
            f"--group {group!r} has no group in parentheses; e.g. '(donor[0-9]+)' takes the "
            "donor out of the path, and --group folder takes the folders below the classes"
        )
    result = []
    for source in sources:
        found = compiled.search(unicodedata.normalize("NFC", source.name))
        name = found.group(1) if found else None
        problem = None if name else f"--group {group!r} does not match its path"
        result.append(_with_group(source, name, problem))
    return result


def missing_groups(
    sources: Sequence[Source], meanings: Mapping[str, Meaning] | None, what: str
) -> list[Notice]:
    """Say what a build without groups costs, and what to type for the donors that names show.

    Args:
        sources: All images.
        meanings: As for `grouped`.
        what: What a group would be, as --group-what says.

    Raises:
        InputError: --group-what names what groups are, but there are none.
    """
    if any(one.group or any(cell.group for cell in one.cells or ()) for one in sources):
        return []
    advice = _advice(sources, meanings)
    if what != "group":
        raise InputError(
            f"--group-what {what} says what a group is, but nothing says which image is of which "
            f"{what}: {advice}"
        )
    if len(sources) < 2:
        return []
    return [Notice(
        "no-groups",
        "no groups: cells of one donor can be in training and in test at once, and every score "
        f"will be too good for a new donor; {advice}",
    )]


def kept_together(sources: Sequence[Source], in_time: Iterable[str]) -> tuple[
    list[Source], list[Notice]
]:
    """Group the time points of one position where nothing else groups images.

    Args:
        sources: All images.
        in_time: Names of those that are one time point of several, see `scene_name`.
    """
    series = set(in_time)
    if not series or any(
        one.group or any(cell.group for cell in one.cells or ()) for one in sources
    ):
        return list(sources), []
    told = Notice(
        "time-series",
        "the time points of one position show the same cells, so they are one group and stay on "
        "one side of every split; --group says it otherwise",
        tuple(sorted(series)),
    )
    return [replace(one, group=scene_name(one)) for one in sources], [told]


def scene_name(source: Source) -> str:
    """Return the name of a source without its time point."""
    return re.sub(r"(?:\[| )t=[^\[\]]*\]$", lambda found: "]" if found.group()[0] == " " else "",
                  source.name)  # fmt: skip


def _by_folder(
    sources: Sequence[Source], group: str, meanings: Mapping[str, Meaning] | None
) -> list[Source]:
    if meanings is None:
        raise InputError(
            f"--group {group} takes folders below the class folders of SRC; a manifest has a "
            "column group, or give a regular expression on its paths"
        )
    level = FOLDER_LEVELS[group]
    result = []
    for source in sources:
        meaning = meanings.get(source.name)
        below = meaning.below if meaning else ()
        name = below[level - 1] if len(below) >= level else None
        # An unlabelled image takes no part in a split.
        free = meaning is None or meaning.label is None
        problem = None if name or free else f"it lies in no folder that --group {group} could take"
        result.append(_with_group(source, name, problem))
    if not any(source.group for source in result):
        raise InputError(
            f"--group {group}: the class folders hold no subfolders"
            f"{' that deep' if level > 1 else ''}; {_advice(sources, meanings)}"
        )
    return result


def _with_group(source: Source, name: str | None, problem: str | None) -> Source:
    if name:
        return replace(source, group=unicodedata.normalize("NFC", name))
    return replace(source, problem=source.problem or problem)


def _advice(sources: Sequence[Source], meanings: Mapping[str, Meaning] | None) -> str:
    """Return what to type for the donors that folders or file names show."""
    below: dict[int, Counter[str]] = defaultdict(Counter)
    for meaning in (meanings or {}).values():
        for level, name in enumerate(meaning.below[:2], 1):
            if meaning.label is not None and not is_split(name):
                below[level][name] += 1
    if below[1]:
        names = _some(sorted(below[1]))
        deeper = f", --group folder2 those in them ({_some(sorted(below[2]))})" if below[2] else ""
        return (
            f"the class folders hold the folders {names}: --group folder takes them as donors"
            f"{deeper}"
        )
    if found := proposed_pattern([source.name for source in sources]):
        pattern, units = found
        return f"file names hold {_some(units)}: --group '{pattern}' takes these as donors"
    return (
        "--group folder takes a folder per donor below each class, --group a regular expression "
        "on the path, a --manifest has a column group"
    )


def proposed_pattern(names: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return a regular expression that finds a donor in all file names, and what it finds.

    A word for a unit with a number (donor1, mouse-3) comes first, then a beginning of the name
    that at least two and on average two files share.
    """
    files = [unicodedata.normalize("NFC", name).rpartition("/")[2] for name in names]
    if len(files) < 2:
        return None
    tried = [rf"((?i:{word})[ _-]?[0-9]+)[^/]*$" for word in _WORDS]
    tried += [r"(?<![^/])([A-Za-z]{1,3}[0-9]{1,5})[_ -][^/]*$"]
    tried += [r"(?<![^/])([A-Za-z0-9]+[_-][0-9][A-Za-z0-9.]*)[_ -][^/]*$"]
    for pattern in tried:
        compiled = re.compile(pattern)
        found = [compiled.search(name) for name in names]
        groups = {match.group(1) for match in found if match}
        if all(found) and 2 <= len(groups) <= len(names) // 2:
            return _plainer(pattern, groups), sorted(groups)
    return None


def _plainer(pattern: str, groups: set[str]) -> str:
    """Write the word of a pattern as the names do, where they agree."""
    word = re.search(r"\(\?i:(\w+)\)\[ _-\]\?", pattern)
    if word is None:
        return pattern
    heads = {re.sub(r"[0-9]+$", "", name) for name in groups}
    if len(heads) != 1:
        return pattern
    return pattern.replace(word.group(), re.escape(heads.pop()).replace(r"\-", "-"))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
