"""The audit of a store is shown beside it, and one of an earlier store is told apart."""

from __future__ import annotations

from pathlib import Path

from stemcls.store.auditfile import audit_path, write_audit
from tui.app import StemclsApp

from .driven_store import write_blobs
from .driving import until
from .scored import stand_in

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
        await until(pilot, "none yet; press a, or stemcls audit")
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
        await until(pilot, "none yet; press a, or stemcls audit")


async def test_a_store_is_audited_from_the_keyboard_and_the_result_comes_to_the_top(
    tmp_path, launched, monkeypatch
) -> None:
    store = write_blobs(tmp_path / "datasets" / "good.h5")
    write_audit_of(tmp_path, "abc")
    document = audit_path(store).read_text()
    audit_path(store).unlink()
    seen = stand_in(monkeypatch, (
        "import pathlib, time; print('audit: 3/9 background', flush=True); time.sleep(1.5)\n"
        f"pathlib.Path({str(audit_path(store))!r}).write_text({document!r})"
    ))
    async with StemclsApp(tmp_path).run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, "good.h5")
        await pilot.press("a")
        await until(pilot, "All settings are valid.")
        await pilot.press("down", *"alpa")
        await until(pilot, "! classes: the store knows no class 'alpa'")
        await pilot.press(*["backspace"] * 4, "down", "end", "0", "ctrl+l")
        await until(pilot, "3/9 background")
        await until(pilot, "good.h5 is audited", 20)
        await until(pilot, "To do: even out the light")
    (argv,) = seen
    assert argv[3:-2] == ["audit", str(store), "--crops=40000"]
