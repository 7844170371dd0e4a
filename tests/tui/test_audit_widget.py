"""The audit of a store is shown beside it, and one of an earlier store is told apart."""

from __future__ import annotations

from pathlib import Path

from stemcls.store.auditfile import audit_path, write_audit
from tui.app import StemclsApp

from .driving import until

SIZE = (100, 40)


def write_audit_of(workspace: Path, store_hash: str) -> None:
    checks = [
        {"name": "groups", "title": "Is it known what belongs together?", "status": "pass",
         "value": 0, "why": "3 donors.", "todo": ""},
        {"name": "background", "title": "Does the background tell the class?", "status": "fail",
         "value": 0.97, "why": "It reaches 0.97.", "todo": "even out the light"},
    ]  # fmt: skip
    document = {"store_hash": store_hash, "checks": checks, "not_run": []}
    write_audit(audit_path(workspace / "datasets" / "good.h5"), document)


async def test_an_audit_appears_beside_its_store_with_what_to_do(workspace) -> None:
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "good.h5")
        await pilot.press("down")
        await until(pilot, "none yet; stemcls audit")
        write_audit_of(workspace, "abc")
        text = await until(pilot, "✗ fail")
        assert "✓ Is it known what belongs together?" in text
        assert "It reaches 0.97." in text
        assert "To do: even out the light" in text


async def test_an_audit_of_an_earlier_store_is_called_out_of_date(workspace) -> None:
    write_audit_of(workspace, "another")
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "good.h5")
        await pilot.press("down")
        text = await until(pilot, "out of date")
        assert "It reaches" not in text


async def test_a_damaged_audit_counts_as_none(workspace) -> None:
    audit_path(workspace / "datasets" / "good.h5").write_text("{half")
    async with StemclsApp(workspace).run_test(size=SIZE, notifications=True) as pilot:
        await until(pilot, "good.h5")
        await pilot.press("down")
        await until(pilot, "none yet; stemcls audit")
