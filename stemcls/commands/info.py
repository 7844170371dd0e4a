"""`stemcls info`: what is in a crop store, how it lies on disk and how fast it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import Json, Workspace, print_json, print_table, progress, say
from stemcls.errors import StemclsError

_MOST_VALUES = 8


def info(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="Crop store (.h5), by path or name.")
    ],
    verify: Annotated[
        bool, typer.Option(
            "--verify",
            help="Read all of it and compare it with its digest; exit code 1 if it was changed.",
        ),
    ] = False,
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """Say what a crop store holds, its layout and its read speed."""
    from stemcls.store.describe import describe
    from stemcls.store.find import find_store

    store = find_store(store, workspace)
    verified = _verified(store, json) if verify else {}
    document = {**describe(store), **verified}
    if json:
        print_json(document)
        return
    rows: list[tuple[str, Any]] = [
        ("crops", "{} of {}x{} px".format(document["crops"], *document["size_px"])),
        ("channels", _channels(document)),
        ("pixels", document["dtype"]),
        ("pixel size", _size(document["pixel_size_um"])),
        *_units(document),
        *((f"class {name}", count) for name, count in document["classes"].items()),
        ("unlabelled", document["unlabelled"]),
        *((name, _values(counts)) for name, counts in document["metadata"].items()),
        *((name, _range(summary)) for name, summary in document["quality"].items()),
        *((f"scale of {row['slice']}", _scale(row)) for row in document["scale"]),
        *((f"left out: {reason}", count) for reason, count in document["dropped"].items()),
        ("layout", document["layout"]["kind"]),
        ("size", f"{document['bytes'] / 2**20:.1f} MiB"),
        ("random reads", f"{document['read_crops_per_second']:.0f} crops/s"),
    ]
    if verify:
        rows.append(("content", "as it was built" if document["verified"] else "no digest"))
    print_table(str(store), ("what", "value"), rows)
    if document["read_cost"]:
        say(document["read_cost"])


def _verified(path: Path, json: bool) -> dict[str, Any]:
    """Return what `--verify` adds to the document, or end with exit code 1 for a changed store."""
    from stemcls.store.columns import ChangedStoreError
    from stemcls.store.cropstore import CropStore
    from stemcls.store.verify import verify

    try:
        with progress("verify") as update:
            checked = verify(CropStore.open(path), update, again=True)
    except ChangedStoreError as error:
        if json:
            print_json({"store": str(path), "verified": False, "why": str(error)})
        raise StemclsError(str(error)) from error
    if not checked:
        say(
            f"{path} has no digest that can be compared: another program wrote it, whose "
            "content_hash is its own, or a newer stemcls; nothing was verified"
        )
    return {"verified": True if checked else None}


def _units(document: dict[str, Any]) -> list[tuple[str, int]]:
    groups = document["groups"]
    named = [] if groups["what"] == "field" else [(f"{groups['what']}s", groups["count"])]
    return [("fields", document["fields"]), *named]


def _channels(document: dict[str, Any]) -> str:
    if len(document["slices"]) < 2 or document["slices"] == document["channels"]:
        return ", ".join(document["slices"] or document["channels"])
    if len(document["channels"]) == 1:
        return f"{document['channels'][0]} (mean of {', '.join(document['slices'])})"
    pairs = zip(document["channels"], (*document["slices"], "empty"), strict=False)
    return ", ".join(f"{channel} = {name}" for channel, name in pairs)


def _values(counts: dict[str, int]) -> str:
    shown = [f"{value} ({n})" for value, n in list(counts.items())[:_MOST_VALUES]]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") + ", fields each"


def _range(summary: dict[str, float]) -> str:
    return "{min:.4g} to {max:.4g}, median {median:.4g}".format(**summary)


def _scale(row: dict[str, Any]) -> str:
    low, high = row["low"], row["high"]
    if low["min"] == low["max"] and high["min"] == high["max"]:
        return f"{low['min']:.6g} to {high['min']:.6g}, all fields"
    return f"each field its own: {low['median']:.6g} to {high['median']:.6g} (medians)"


def _size(pixel_size_um: float | None) -> str:
    return "unknown" if pixel_size_um is None else f"{pixel_size_um:g} um"
