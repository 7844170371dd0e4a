"""Match the channels of an image with those of training, by name."""

from __future__ import annotations

import re
from dataclasses import replace

from stemcls.config.imaging import BuildConfig
from stemcls.errors import InputError
from stemcls.imaging.prepare import Prepared
from stemcls.models.seen import RGB, Seen, photometric_of
from stemcls.notices import Notice


def by_name(
    prepared: Prepared, build: BuildConfig, seen: Seen, chosen: str
) -> tuple[BuildConfig, list[Notice]]:
    """Return settings that take the slices of training, in their order.

    Raises:
        InputError: The file has no slices of these names.
    """
    field, wanted = prepared.field, seen.slices
    found = tuple(field.channels[number] for number in prepared.composite.slices)
    if not wanted or found == wanted:
        return build, []
    if chosen:
        if len(found) != len(wanted):
            raise InputError(
                f"{field.path}: --channels names {len(found)} slice(s), the model learned from "
                f"{len(wanted)}: {', '.join(wanted)}; name as many, in that order"
            )
        return build, []
    if build.channels == "grey" and (len(found) == 1 or set(found) == set(RGB)):
        return build, []  # the store was built so: colours are one grey
    places = match_names(wanted, field.channels)
    if places is None:
        if len(wanted) == len(found) and (seen.mixed_slices or len(set(wanted)) < len(wanted)):
            return build, [unnamed(found, wanted)]
        if len(wanted) == len(found) == 1 and (is_generic(found[0]) or is_generic(wanted[0])):
            return build, [unnamed(found, wanted)]
        raise InputError(_other_channels(prepared, wanted, found))
    if build.channels == "grey":
        if places == prepared.composite.slices or len(places) == len(found):
            return build, []
        raise InputError(_other_channels(prepared, wanted, found))
    if tuple(places) == prepared.composite.slices:
        return build, []  # only spelled otherwise
    numbers = [str(place + 1) for place in places]
    names = numbers if not set(numbers) & set(field.channels) else [
        field.channels[place] for place in places
    ]
    done = "put in that order" if set(found) == {field.channels[n] for n in places} else "chosen"
    return replace(build, channels=",".join(names)), [reordered(field.channels, wanted, done)]


def reordered(there: tuple[str, ...], wanted: tuple[str, ...], done: str) -> Notice:
    """Return the notice that says that channels were matched by name."""
    return Notice(
        "channels-reordered",
        f"its channels are {', '.join(there)}, those of training {', '.join(wanted)}: they were "
        f"matched by name and {done}",
    )


def match_names(wanted: tuple[str, ...], there: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return where each wanted name is among `there`; None unless each is there exactly once.

    Case, blanks, hyphens and underscores do not matter.
    """
    loose = [_loose(name) for name in there]
    asked = [_loose(name) for name in wanted]
    if len(set(asked)) < len(asked) or any(loose.count(name) != 1 for name in asked):
        return None
    return tuple(loose.index(name) for name in asked)


def _loose(name: str) -> str:
    return "".join(character for character in name.casefold() if character not in " -_")


def is_generic(name: str) -> bool:
    """Tell whether a name was given by the reader, because the file has none."""
    return re.fullmatch(r"grey|(channel|extra)[- ]\d+", name) is not None


def unnamed(found: tuple[str, ...], wanted: tuple[str, ...]) -> Notice:
    return Notice(
        "channels-unnamed",
        f"its channel is called {', '.join(found)}, that of training {', '.join(wanted)}: whether "
        "they show the same could not be checked",
    )


def _other_channels(prepared: Prepared, wanted: tuple[str, ...], found: tuple[str, ...]) -> str:
    field = prepared.field
    told = (
        f"{field.path} has the channels {', '.join(field.channels)}, the model learned from "
        f"{', '.join(wanted)}"
    )
    forms = photometric_of(wanted), photometric_of(found)
    if forms[0] != forms[1] and "grey" in forms and len(field.channels) < len(wanted):
        return f"{told}: a grey image has not the colours or channels that it looks at"
    if len(field.channels) < len(wanted):
        return f"{told}, and it has fewer; export all of them"
    take = ",".join(str(number + 1) for number in range(len(wanted)))
    return (
        f"{told}; names do not tell which is which. If you know, say the file's channels in the "
        f"order of training: --channels {take}, or by name"
    )
