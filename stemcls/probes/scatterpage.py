"""Write embeddings as one HTML page that needs no network: points, crops under the pointer."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from stemcls.atomic import dump_json
from stemcls.evaluation.figures import COLOURS
from stemcls.evaluation.page import pixel_data
from stemcls.imaging.shrink import scaled

if TYPE_CHECKING:
    from stemcls.probes.embed import Panel, Shown

THUMB_PX = 56
_QUALITY = 85


def scatter_page(document: dict[str, Any], shown: Shown, panels: list[Panel]) -> str:
    """Return the page.

    Args:
        document: Of `embed_run`.
        shown: The crops.
        panels: Every space in every layout.
    """
    columns = max(1, math.isqrt(len(shown.rows)))
    data = {
        "panels": [
            {"title": panel.space.title, "method": panel.method,
             "points": np.round(_unit(panel.points), 4).tolist()}
            for panel in panels
        ],
        "spaces": {space["title"]: space for space in document["spaces"]},
        "classes": shown.classes, "labels": shown.labels.tolist(), "rows": shown.rows.tolist(),
        "groups": [shown.group_names[group] for group in shown.groups],
        "colours": COLOURS, "thumb": THUMB_PX, "columns": columns,
        "sprite": _sprite(shown, columns),
    }
    title = f"{document['run']}: {document['n']} crops of the {document['part']}"
    # "</" would end the script, whatever the names of classes are.
    text = dump_json(data).replace("</", "<\\/")
    return _PAGE.replace("@TITLE@", html.escape(title)).replace("@DATA@", text)


def _unit(points: np.ndarray) -> np.ndarray:
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - low) / np.where(high > low, high - low, 1)


def _sprite(shown: Shown, columns: int) -> str:
    """Return all crops as one JPEG in a data URI, in rows of `columns`."""
    lines = math.ceil(len(shown.rows) / columns)
    sheet = np.zeros((lines * THUMB_PX, columns * THUMB_PX, 3), np.uint8)
    white = float(np.iinfo(shown.store.dtype).max)
    for place, row in enumerate(shown.rows):
        crop = shown.store.read([row])[0].astype(np.float32) * (255 / white)
        colour = crop[..., :3] if crop.shape[2] >= 3 else np.repeat(crop[..., :1], 3, axis=2)
        small = scaled(colour, THUMB_PX / max(crop.shape[:2]))
        y, x = place // columns * THUMB_PX, place % columns * THUMB_PX
        sheet[y : y + small.shape[0], x : x + small.shape[1]] = np.clip(np.rint(small), 0, 255)
    return pixel_data(sheet, ".jpg", _QUALITY)


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>@TITLE@</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.2em; color: #222; background: #fff; }
h1 { font-size: 1.05em; overflow-wrap: anywhere; }
#bar > * { margin-right: 1em; }
#stage { position: relative; display: inline-block; }
canvas#plot { border: 1px solid #ccc; }
#tip { position: absolute; pointer-events: none; background: #fff; border: 1px solid #888;
  padding: 4px; display: none; font-size: 12px; white-space: pre; }
#legend button { border: 1px solid #ccc; background: #fff; margin: 2px; cursor: pointer; }
#legend button[aria-pressed="false"] { opacity: 0.35; }
#legend span { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.4em; }
</style></head><body>
<h1>@TITLE@</h1>
<div id="bar">
<label>space <select id="space"></select></label>
<label>layout <select id="method"></select></label>
<label>colour <select id="by"><option>class</option><option>group</option></select></label>
</div>
<p id="numbers"></p>
<div id="legend"></div>
<div id="stage"><canvas id="plot" width="760" height="620"></canvas>
<div id="tip"><canvas id="crop" width="112" height="112"></canvas><div id="text"></div></div></div>
<script id="data" type="application/json">@DATA@</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const get = id => document.getElementById(id);
const plot = get("plot"), pen = plot.getContext("2d"), margin = 14;
const sprite = new Image();
sprite.src = data.sprite;
const groupNames = [...new Set(data.groups)];
const hidden = new Set();
const fill = (id, names) => names.forEach(name => get(id).add(new Option(name, name)));
fill("space", Object.keys(data.spaces));
fill("method", [...new Set(data.panels.map(p => p.method))]);
const names = () => get("by").value === "class" ? data.classes : groupNames;
const kind = i => get("by").value === "class" ? data.labels[i] : groupNames.indexOf(data.groups[i]);
const colour = k => k < data.colours.length ? data.colours[k]
  : `hsl(${(k * 137.5) % 360} 65% 45%)`;
const panel = () => data.panels.find(
  p => p.title === get("space").value && p.method === get("method").value);
const at = p => [margin + p[0] * (plot.width - 2 * margin),
  plot.height - margin - p[1] * (plot.height - 2 * margin)];
function interval(space, key) {
  const value = space[key], ends = space[key + "_ci"];
  if (value === null) return "unknown";
  return value.toFixed(3) + (ends ? ` (${ends[0].toFixed(3)} to ${ends[1].toFixed(3)})` : "");
}
function draw() {
  const space = data.spaces[get("space").value];
  get("numbers").textContent = `silhouette ${interval(space, "silhouette")}; ` +
    `purity of neighbours ${interval(space, "purity")}, of those in other groups ` +
    `${interval(space, "purity_other_groups")} (chance ${space.purity_chance.toFixed(3)})`;
  pen.clearRect(0, 0, plot.width, plot.height);
  panel().points.forEach((p, i) => {
    if (hidden.has(kind(i))) return;
    const [x, y] = at(p);
    pen.globalAlpha = 0.75;
    pen.fillStyle = colour(kind(i));
    pen.beginPath(); pen.arc(x, y, 3.2, 0, 7); pen.fill();
  });
}
function legend() {
  get("legend").replaceChildren(...names().map((name, k) => {
    const button = document.createElement("button"), box = document.createElement("span");
    box.style.background = colour(k);
    button.append(box, name);
    button.setAttribute("aria-pressed", "true");
    button.onclick = () => {
      hidden.has(k) ? hidden.delete(k) : hidden.add(k);
      button.setAttribute("aria-pressed", String(!hidden.has(k)));
      draw();
    };
    return button;
  }));
}
plot.onmousemove = event => {
  const box = plot.getBoundingClientRect();
  const mx = event.clientX - box.left, my = event.clientY - box.top;
  let best = -1, least = 100;
  panel().points.forEach((p, i) => {
    if (hidden.has(kind(i))) return;
    const [x, y] = at(p), d = (x - mx) ** 2 + (y - my) ** 2;
    if (d < least) { least = d; best = i; }
  });
  const tip = get("tip");
  tip.style.display = best < 0 ? "none" : "block";
  if (best < 0) return;
  const t = data.thumb, sx = best % data.columns * t, sy = Math.floor(best / data.columns) * t;
  get("crop").getContext("2d").drawImage(sprite, sx, sy, t, t, 0, 0, 112, 112);
  get("text").textContent = `row ${data.rows[best]}\\n${data.classes[data.labels[best]]}\\n` +
    data.groups[best];
  tip.style.left = `${Math.min(mx + 14, plot.width - 140)}px`;
  tip.style.top = `${Math.min(my + 14, plot.height - 190)}px`;
};
plot.onmouseleave = () => { get("tip").style.display = "none"; };
["space", "method"].forEach(id => { get(id).onchange = draw; });
get("by").onchange = () => { hidden.clear(); legend(); draw(); };
legend();
draw();
</script></body></html>
"""
