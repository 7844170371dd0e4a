"""One HTML page of explanations that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.evaluation.page import image, table
from stemcls.evaluation.saliency import BACKGROUND
from stemcls.explain.methods import METHODS

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
       color: #222; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
h3 { font-size: 1rem; margin-bottom: .3rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .7rem; text-align: left;
       border-bottom: 1px solid #ddd; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; display: block; margin: .4rem 0; }
.warn { border-left: 4px solid #b35900; padding: .3rem .8rem; background: #fff7ee; }
.cells { display: flex; flex-wrap: wrap; gap: .6rem; }
"""


def write_gallery(
    path: Path,
    title: str,
    document: Mapping[str, Any],
    pictures: Mapping[str, Sequence[Path]],
    figures: Mapping[str, Path],
) -> None:
    """Write the page, atomically.

    Args:
        path: A new .html file.
        title: Of the page.
        document: As `stemcls explain --json` prints it.
        pictures: Heading -> PNG files, in order.
        figures: Heading -> PNG file.
    """
    parts = [
        "<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>", _concluded(document["methods"]),
        _methods(document["methods"]), _hits(document["methods"]),
        _checks(document["methods"]),
    ]
    for heading, file in figures.items():
        parts.append(f"<h2>{escape(heading)}</h2>{image(file, heading)}")
    parts.append("<h2>Cells</h2>")
    for heading, files in pictures.items():
        images = "".join(image(file, file.stem) for file in files)
        parts.append(f'<h3>{escape(heading)}</h3><div class="cells">{images}</div>')
    atomic.write_text(path, "\n".join([*parts, "</body></html>", ""]))


def _concluded(rows: Sequence[Mapping[str, Any]]) -> str:
    said = (
        f"<p{' class=warn' if row['looks_at'] == BACKGROUND else ''}>{escape(row['conclusion'])}."
        "</p>" for row in rows
    )
    return "".join(said)


def _methods(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for row in rows:
        method, inside = METHODS[row["method"]], row["inside"]
        share = (
            f"{inside['mass']:.2f} of the saliency on {inside['area']:.2f} of the area"
            if inside else "cell size unknown"
        )
        lines.append([
            row["method"], method.summary, row["layer"] or "-", f"{row['pixel_score']:.3f}", share,
            method.source,
        ])
    columns = ("method", "what it shows", "layer", "pixel score", "inside the cell", "source")
    return f"<h2>Methods</h2>{table(columns, lines)}"


def _hits(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        [
            row["method"], hit["class"], f"{hit['n_tp']} / {hit['n_tn']}",
            f"{_figure(hit['median_tp'])} / {_figure(hit['median_tn'])}",
            _figure(hit["superiority"]), _figure(hit["p"]), _figure(hit["p_groups"]), hit["note"],
        ]
        for row in rows for hit in row["hits"]
    ]
    columns = (
        "method", "class", "TP / TN", "median pixel score", "TP above TN", "p (cells)",
        "p (groups)", "",
    )
    return (
        "<h2>Pixel scores of true positives and true negatives</h2>" + table(columns, lines)
        + "<p>TP above TN: how often a true positive scores higher; 0.50 is no difference. "
        "p (cells) takes cells for independent, which those of one donor are not: where groups "
        "are known, judge by p (groups).</p>"
    )


def _checks(rows: Sequence[Mapping[str, Any]]) -> str:
    said = [(row["method"], row["check"]["verdict"]) for row in rows if row.get("check")]
    if not said:
        return ""
    return f"<h2>Sanity checks</h2>{table(('method', 'verdict'), said)}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
