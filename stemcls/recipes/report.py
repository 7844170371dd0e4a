"""Lay a recipe's results beside the paper's, and write both as one HTML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stemcls.atomic import write_text
from stemcls.config.options import to_toml
from stemcls.config.protocol import ProtocolConfig
from stemcls.evaluation.numbertext import interval_text, number_text
from stemcls.evaluation.page import file_data, templates
from stemcls.recipes.words import chosen_lines, expected
from stemcls.recipes.work import Work

# Pictures that steps may leave, below the recipe's folder or the trained run's.
_PICTURES = (
    ("Confusion matrix", "evaluate", "confusion.svg"),
    ("ROC", "evaluate", "roc.svg"),
    ("Learning curve", "curve", "curve.svg"),
)


def compared(protocol: ProtocolConfig, results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the paper's figures with ours beside them.

    Returns: `name`, `paper`, `spread`, `ours` (None where there is none), `interval`, `our_spread`,
        `where` and `note` of each.
    """
    places = {
        "scores": results.get("evaluate", {}).get("metrics", {}),
        "curve": results.get("curve", {}),
        "search": results.get("search", {}),
        "diameter_um": results.get("morphometry", {}).get("diameter_um", {}),
    }
    rows = []
    for figure in protocol.figures:
        folder, _, key = figure.ours.rpartition("/")
        place = _at(places, folder) if figure.ours else None
        place = place if isinstance(place, Mapping) else {}
        interval = place.get(f"{key}_ci") or (place.get("interval") if key == "value" else None)
        rows.append({
            "name": figure.name, "paper": figure.paper, "spread": figure.spread or None,
            "ours": place.get(key), "interval": interval,
            "our_spread": place.get("std") if key == "score" else None,
            "where": figure.where, "note": figure.note,
        })
    return rows


def write_report(work: Work, document: Mapping[str, Any]) -> Path:
    """Write report.html, which needs no network and no other file; return its path."""
    pages = templates("stemcls.recipes")
    pages.filters.update(number=number_text, interval=interval_text)
    path = work.run.path / "report.html"
    text = pages.get_template("recipe.html.j2").render(
        protocol=work.protocol, chosen=chosen_lines(work.protocol, document["changed"]),
        document=document, steps=work.results,
        layout=expected(Path("DATA"), work.protocol.layout), pictures=_pictures(work),
        links=_links(work), settings=to_toml(work.protocol), version=version("stemcls"),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    write_text(path, text)
    return path


def _at(places: Mapping[str, Any], path: str) -> Any:
    found: Any = places
    for key in path.split("/"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _pictures(work: Work) -> list[dict[str, str]]:
    found = []
    for title, step, name in _PICTURES:
        if not work.is_done(step):
            continue
        home = work.results[step].get("folder") or work.run.path / step
        path = Path(home) / name
        if path.is_file():
            found.append({"title": title, "data": file_data(path)})
    return found


def _links(work: Work) -> list[dict[str, str]]:
    """Return what else there is to read, relative to the report."""
    places = {
        "All scores, cells and settings of the model": ("evaluate", "report"),
        "The search": ("search", "report"),
        "What the model looks at": ("explain", "gallery"),
    }
    return [
        {"title": title, "to": os.path.relpath(work.results[step][key], work.run.path)}
        for title, (step, key) in places.items() if work.is_done(step)
    ]
