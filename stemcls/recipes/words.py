"""Say in words how the images of a study should lie in its folder."""

from __future__ import annotations

from pathlib import Path

from stemcls.config.protocol import LayoutConfig
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
