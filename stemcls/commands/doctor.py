"""`stemcls doctor`: what works on this machine, and whether given files can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import Json, Workspace, print_json, print_table, say
from stemcls.errors import StemclsError

_MARKS = {"pass": "ok", "warn": "!", "fail": "FAIL"}


def doctor(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH...", help="Image files to look into.", show_default=False),
    ] = None,
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Check backends, devices, image formats, weights and workspace; look into image files."""
    from stemcls.commands.checkup import check_files, check_formats, check_machine

    checks = [*check_machine(workspace), *check_formats(), *check_files(paths or [])]
    if json:
        print_json({"checks": checks})
    else:
        _show(checks)
    failed = [check["name"] for check in checks if check["status"] == "fail"]
    if failed:
        raise StemclsError(f"{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}")


def _show(checks: list[dict[str, Any]]) -> None:
    machine = [check for check in checks if not check["name"].startswith("file ")]
    print_table(
        "doctor", ("", "check", "found", "why"),
        ((_MARKS[one["status"]], one["name"], _text(one["value"]), one["why"]) for one in machine),
    )
    for one in checks:
        if one not in machine:
            _show_file(one)
    worse = [check for check in checks if check["status"] != "pass"]
    say(f"{len(checks)} checks, {len(worse)} to look at" if worse else "everything is fine")


def _show_file(check: dict[str, Any]) -> None:
    path = check["name"].removeprefix("file ")
    value = check["value"] or {"format": "-", "scenes": []}
    rows = [
        (
            scene["name"] or number, _text(scene["axes"]), _text(scene["channels"]),
            scene["dtype"], scene["pixel_size_um"] or "-",
        )
        for number, scene in enumerate(value["scenes"])
    ]
    columns = ("image", "axes", "channels", "pixels", "pixel size, um")
    print_table(f"{_MARKS[check['status']]} {path} ({value['format']})", columns, rows)
    say(check["why"])


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key} {_text(one)}" for key, one in value.items() if one not in (None, [])
        )
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
