"""How long work tells whoever waits for it how far it is."""

from __future__ import annotations

from collections.abc import Callable

# Called as update(done, total, note).
Update = Callable[[int, int, str], None]


def prefixed(update: Update | None, prefix: str) -> Update | None:
    """Return `update` with `prefix` ahead of its notes, for one of several jobs."""
    if update is None:
        return None
    return lambda done, total, note: update(done, total, f"{prefix}: {note}")
