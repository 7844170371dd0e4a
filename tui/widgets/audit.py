"""Show what `stemcls audit` found in a store, beside the store."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from stemcls.store.auditfile import AuditResult

AUDIT_HEADING = "\naudit"
MARKS = {"pass": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


def audit_mark(result: AuditResult | None) -> Text:
    """Return one word for the table: the gravest status, `-` where there is no audit."""
    if result is None:
        return Text("-")
    if result.stale:
        return Text("out of date", style="yellow")
    mark, colour = MARKS[result.worst]
    return Text(f"{mark} {result.worst}", style=colour)


def audit_text(result: AuditResult | None, store: Path) -> Text:
    """Return every check with its answer, those that did not pass with what to do."""
    text = Text(AUDIT_HEADING, style="bold")
    if result is None:
        return text.append(f": none yet; press a, or stemcls audit {store}\n", style="not bold")
    if result.stale:
        text.append(
            f": of an earlier version of this store; press a, or stemcls audit {store}\n",
            style="yellow",
        )
        return text
    text.append("\n")
    for check in result.checks:
        mark, colour = MARKS[check["status"]]
        text.append(f"{mark} ", style=f"not bold {colour}")
        text.append(f"{check['title']}\n", style="not bold")
        if check["status"] != "pass":
            text.append(f"    {check['why']}\n", style="not bold")
            if check.get("todo"):
                text.append(f"    To do: {check['todo']}\n", style="not bold")
    for check in result.document.get("not_run", ()):
        text.append(f"- {check['title']} Not told: {check['why']}\n", style="not bold")
    return text
