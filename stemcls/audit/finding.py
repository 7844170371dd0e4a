"""What a check of the audit found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stemcls.errors import InputError


class CannotTellError(InputError):
    """The store does not hold what this check needs; the message says what is missing."""


@dataclass(frozen=True)
class Finding:
    """One result.

    Attributes:
        status: pass, warn or fail.
        value: The headline number; what it is, the check's `measures` says.
        why: What was found, one or two sentences.
        interval: 95 % of `value`, None for exact counts.
        todo: What to do about it; empty where all is well.
        details: Further numbers, plain values.
    """

    status: str
    value: float
    why: str
    interval: tuple[float, float] | None = None
    todo: str = ""
    details: dict[str, Any] = field(default_factory=dict)
