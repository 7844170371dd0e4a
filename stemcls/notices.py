"""What a command wants its user to know although it goes on: one record for every warning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Notice:
    """One warning.

    Attributes:
        kind: Short fixed name, as in "mixed-bit-depth"; the same for every case of a kind.
        message: Sentences for the user: what was found, what it means, what to type.
        paths: The files it is about; empty where it is about all of them.
    """

    kind: str
    message: str
    paths: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return what `--json` prints of it."""
        return {"kind": self.kind, "message": self.message, "paths": list(self.paths)}
