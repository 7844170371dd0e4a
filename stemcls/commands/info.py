"""`stemcls info`: what is in a crop store, how it lies on disk and how fast it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import Json, print_json, print_table, say


def info(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Crop store (.h5).")],
    json: Json = False,
) -> None:
    """Say what a crop store holds, its layout and its read speed."""
    from stemcls.store.describe import describe

    document = describe(store)
    if json:
        print_json(document)
        return
    rows: list[tuple[str, Any]] = [
        ("crops", f"{document['crops']} of {document['crop_px']}x{document['crop_px']} px"),
        ("channels", ", ".join(document["channels"])),
        ("pixels", document["dtype"]),
        ("pixel size", _size(document["pixel_size_um"])),
        ("fields", document["fields"]),
        (document["groups"]["what"] + "s", document["groups"]["count"]),
        *((f"class {name}", count) for name, count in document["classes"].items()),
        ("unlabelled", document["unlabelled"]),
        ("layout", document["layout"]["kind"]),
        ("size", f"{document['bytes'] / 2**20:.1f} MiB"),
        ("random reads", f"{document['read_crops_per_second']:.0f} crops/s"),
    ]
    print_table(str(store), ("what", "value"), rows)
    if document["read_cost"]:
        say(document["read_cost"])


def _size(pixel_size_um: float | None) -> str:
    return "unknown" if pixel_size_um is None else f"{pixel_size_um:g} um"
