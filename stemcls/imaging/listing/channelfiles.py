"""Recognise samples that are stored as one file per channel, and put their files together."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stemcls.errors import InputError
from stemcls.imaging.listing.positions import Position
from stemcls.imaging.listing.walk import shown

AUTO, SEPARATE = "auto", "no"
_MOST_CHANNELS = 12
_DYES = (
    "dapi|hoechst|draq5|gfp|egfp|yfp|cfp|bfp|rfp|mcherry|tdtomato|dsred|fitc|tritc|pe|apc|cy3|cy5|"
    "cy7|texasred|alexa ?[0-9]{3}|af[0-9]{3}|pi|bf|brightfield|dic|phase|phaco|ph[123]|trans|tl|"
    "red|green|blue|farred|nuclei|nucleus|actin|tubulin|er|mito|[0-9]{3}nm"
)
# Each takes the channel out of a path; the most telling first.
PATTERNS = (
    r"(?<![A-Za-z])((?:ch|chan|channel)[_=-]?[0-9]{1,3})(?=[_ .-]|sk[0-9])",
    r"(?<=_)(w[0-9][A-Za-z0-9 -]*?)(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})?(?=[_.])",
    rf"(?<=[_ .-])({_DYES})(?=[_ .-][^/]*$)",
    rf"(?<![^/])({_DYES})(?=[_ -][^/]*$)",
    r"(?<=[_ -])(c=?[0-9]{1,2})(?=(?:[_ -][tzsf][^/]*)?\.(?:ome\.)?[a-z0-9]+$)",
    r"(?<=[0-9])(c[0-9]{2})(?=\.[a-z0-9]+$)",
    r"(?<![^/])(c[0-9])(?=-[^/]*$)",
    rf"(?<![^/])({_DYES}|(?:ch|channel|c|w)[_ =-]?[0-9]{{1,2}})(?=/[^/]*$)",
)


@dataclass(frozen=True, slots=True)
class ChannelSets:
    """What a pattern makes of the files of a folder.

    Attributes:
        channels: Names of the channels of a complete sample, in order.
        samples: Name of each sample's first file, to its files by channel.
        others: Names in which the pattern finds no channel.
    """

    channels: tuple[str, ...]
    samples: Mapping[str, Mapping[str, str]]
    others: tuple[str, ...]

    @property
    def complete(self) -> list[Mapping[str, str]]:
        """The samples that have every channel and no other."""
        wanted = {name.casefold() for name in self.channels}
        return [files for files in self.samples.values() if set(files) == wanted]


def channel_sets(names: Sequence[str], pattern: str) -> ChannelSets | None:
    """Sort paths by sample and channel.

    Args:
        names: Paths below the folder.
        pattern: Regular expression whose first group is the channel; what is left of the path is
            the sample.
    Returns: None where no sample has two channels.
    """
    compiled = re.compile(pattern, re.I)
    samples: dict[str, dict[str, str]] = defaultdict(dict)
    spelled: dict[str, str] = {}
    others = []
    for name in names:
        found = compiled.search(name)
        if found is None or not found.group(1):
            others.append(name)
            continue
        channel, (start, _) = found.group(1), found.span(1)
        key = name[:start] + "\0" + name[max(found.end(1), found.end()) :]
        if channel.casefold() in samples[key]:
            return None  # the pattern takes out more than a channel
        samples[key][channel.casefold()] = name
        spelled.setdefault(channel.casefold(), channel)
    kinds = Counter(frozenset(files) for files in samples.values() if len(files) > 1)
    if not kinds:
        return None
    usual = max(kinds, key=lambda kind: (kinds[kind], len(kind)))
    channels = tuple(spelled[one] for one in sorted(usual, key=_in_order))
    return ChannelSets(
        channels, {min(files.values()): files for files in samples.values()}, tuple(others)
    )


def recognised(names: Sequence[str]) -> tuple[str, ChannelSets] | None:
    """Return the pattern by which most of the paths form complete samples, or None."""
    best = None
    for pattern in PATTERNS:
        found = channel_sets(names, pattern)
        if found is None or len(found.channels) > _MOST_CHANNELS:
            continue
        files = len(found.complete) * len(found.channels)
        if 2 * files > len(names) and _counted(found) and (best is None or files > best[0]):
            best = (files, pattern, found)
    return best[1:] if best else None


def question(names: Sequence[str], found: ChannelSets) -> str:
    """Say what the names look like, and what to type."""
    first = found.complete[0]
    shown_names = ", ".join(sorted(first.values())[:4])
    return (
        f"{len(found.complete) * len(found.channels)} of {len(names)} images look like samples in "
        f"one file per channel ({', '.join(found.channels)}), such as {shown_names}: "
        "--one-file-per-channel auto puts the files of each sample together, "
        "--one-file-per-channel no takes every file as an image of its own"
    )


def composed(
    files: Mapping[str, Path], choice: str
) -> tuple[dict[str, Position], list[str]]:
    """Put the files of each sample together.

    Args:
        files: Paths below the folder, and the files.
        choice: "auto", or a pattern as for `channel_sets`.
    Returns: The samples by the name of their first file, with a channel that is a folder taken
        out, and the names of files that belong to none. A sample that lacks a channel has a
        `problem`.

    Raises:
        InputError: The pattern is none, or does not find samples of several channels.
    """
    found = _sets(list(files), choice)
    wanted = {name.casefold(): name for name in found.channels}
    samples = {}
    for first, members in found.samples.items():
        missing = [name for low, name in wanted.items() if low not in members]
        more = [low for low in members if low not in wanted]
        problem = None
        if missing or more:
            what = f"lacks {', '.join(missing)}" if missing else f"has also {', '.join(more)}"
            problem = (
                f"of the channels {', '.join(found.channels)} this sample {what}: "
                f"it has {', '.join(sorted(members.values()))}"
            )
        order = sorted(members, key=_in_order)
        channels = tuple(_named(wanted.get(low, low)) for low in order)
        samples[_without_folder(first, members)] = Position(
            files[members[order[0]]], title="+".join(channels),
            files=tuple(files[members[low]] for low in order), channels=channels, problem=problem,
        )
    return samples, list(found.others)


def _sets(names: Sequence[str], choice: str) -> ChannelSets:
    if choice == AUTO:
        known = recognised(names)
        if known is None:
            raise InputError(
                "--one-file-per-channel auto: most of the files do not form samples of several "
                "channels by their names; give a regular expression whose group is the channel, "
                "as in '_(ch[0-9]+)'"
            )
        return known[1]
    try:
        groups = re.compile(choice).groups
    except re.error as error:
        raise InputError(
            f"--one-file-per-channel {choice!r} is not a regular expression: {error}; auto finds "
            "out, no takes every file as an image of its own"
        ) from error
    found = channel_sets(names, choice) if groups else None
    if found is None:
        raise InputError(
            f"--one-file-per-channel {choice!r} finds no samples of several channels: its first "
            "group in parentheses must be the channel and nothing else, as in '_(ch[0-9]+)'"
        )
    return found


def _without_folder(first: str, members: Mapping[str, str]) -> str:
    """Return the path of a sample whose channels are folders without that folder."""
    parts = first.split("/")
    bare = [part for part in parts[:-1] if part.casefold() not in members]
    return "/".join([*bare, parts[-1]])


def _counted(found: ChannelSets) -> bool:
    """Say whether the channels are not rather numbers of cells: those start anywhere."""
    if not re.fullmatch("c=?[0-9]+", found.channels[0], re.I):
        return True
    numbers = [int(re.sub(r"\D", "", name)) for name in found.channels]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] < 2


def _in_order(channel: str) -> tuple[int, str]:
    digits = re.match(r"(?:ch|chan|channel|c|w)[_=-]?([0-9]+)", channel)
    return (int(digits.group(1)) if digits else 99, channel)


def _named(channel: str) -> str:
    """Return a channel's name: that of the dye where a number stands before it."""
    return shown(re.sub(r"^w[0-9](?=[A-Za-z])", "", channel, flags=re.I))
