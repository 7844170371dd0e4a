"""Keep the result of an audit beside its store, with the digest of the crops it is about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stemcls import atomic

STATUSES = ("pass", "warn", "fail")


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Attributes:
        document: As `stemcls audit --json` prints it: `checks`, `not_run`, `store_hash`, ...
        stale: Whether the store has changed since.
    """

    document: dict[str, Any]
    stale: bool

    @property
    def checks(self) -> list[dict[str, Any]]:
        """One mapping a check: `name`, `title`, `status`, `value`, `why`, `todo`, ..."""
        return list(self.document["checks"])

    @property
    def worst(self) -> str:
        """The gravest status of all checks."""
        return worst_of(check["status"] for check in self.checks)


def worst_of(statuses: Any) -> str:
    """Return the gravest of some statuses, pass where there are none."""
    return max(statuses, key=STATUSES.index, default="pass")


def audit_path(store: Path) -> Path:
    """Return where the audit of a store is kept: datasets/x.h5 -> datasets/x.audit.json."""
    return store.with_suffix(".audit.json")


def write_audit(path: Path, document: dict[str, Any]) -> None:
    """Write an audit, in place of an earlier one."""
    atomic.write_json(path, document)


def read_audit(path: Path, store_hash: str) -> AuditResult | None:
    """Read an audit; None where there is none, or none that can be read.

    Args:
        path: From `audit_path`.
        store_hash: `content_hash` of the store as it is now.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        known = all(
            check["status"] in STATUSES and {"name", "title", "why"} <= set(check)
            for check in document["checks"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return AuditResult(document, document.get("store_hash") != store_hash) if known else None
