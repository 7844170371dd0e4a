"""Say in words how a study's folder should look, and what was done where its paper is silent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stemcls.config.protocol import LayoutConfig, ProtocolConfig
from stemcls.store.units import plural


def expected(data: Path, layout: LayoutConfig) -> str:
    """Return in words what a study's folder should hold."""
    folders = ", ".join(f"{data}/{name}/{layout.below}" for name in layout.classes)
    level = layout.below.partition("/")[0]
    if not layout.group:
        return folders
    if layout.groups_per_class:
        return (
            f"{folders} with {layout.groups_per_class} or more "
            f"{plural(layout.group_what)} a class"
        )
    return f"{folders} (the level {level} may be missing)"


_HOLDS_FOR = re.compile(r"^\[([\w.]+)\]\s*")


def chosen_lines(protocol: ProtocolConfig, changed: Sequence[str] = ()) -> list[str]:
    """Return what the paper does not say and was done, as far as it was done.

    Args:
        protocol: Its `chosen` lines may begin with the setting that they speak of, in brackets:
            `[experiment.balance] Smaller classes are oversampled.`
        changed: Lines of `changes_of`, each beginning with a setting that is another now.
    Returns: the lines; in place of one whose setting was changed, that it does not hold.
    """
    lines = []
    for line in protocol.chosen:
        setting = _HOLDS_FOR.match(line)
        text = _HOLDS_FOR.sub("", line)
        other = [one for one in changed if setting and one.startswith(setting[1])]
        lines.append(f"Not as in the recipe, {'; '.join(other)}." if other else text)
    return lines
