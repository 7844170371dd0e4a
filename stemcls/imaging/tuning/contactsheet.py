"""Draw one sheet of many small overlays, so that settings can be compared by eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stemcls.atomic import replacing
from stemcls.errors import explained_disk_errors
from stemcls.imaging.tuning.tile import FALSE, HIT, MISSED, TILE_PX, draw_mark

_GAP_PX, _TEXT_PX = 8, 13
_LINE_PX = _TEXT_PX + 5
_PAPER, _INK = (255, 255, 255), (20, 20, 20)
_LEGEND = (
    (HIT, "circle", "found and known"),
    (FALSE, "crossed", "found, not known"),
    (MISSED, "square", "known, missed"),
)


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of the sheet, RGB uint8 of at most `TILE_PX` each way, and what it says."""

    picture: np.ndarray
    caption: str


@dataclass(frozen=True, eq=False)
class Row:
    """One field under every combination of settings."""

    title: str
    tiles: tuple[Tile, ...]


def write_sheet(
    path: Path, headings: Sequence[Sequence[str]], rows: Sequence[Row], legend: bool
) -> tuple[int, int]:
    """Write the sheet as a PNG, atomically.

    Args:
        path: The file.
        headings: Lines above each column.
        rows: As many tiles each as there are headings.
        legend: Whether to explain the marks of a score.
    Returns: Its width and height in pixels.

    Raises:
        StemclsError: The disk is full.
    """
    from PIL import Image, ImageDraw

    font = _font()
    column_px = TILE_PX + _GAP_PX
    head_px = _LINE_PX * max(map(len, headings)) + _GAP_PX
    heights = [max(tile.picture.shape[0] for tile in row.tiles) for row in rows]
    width = column_px * len(headings) + _GAP_PX
    height = head_px + sum(heights) + len(rows) * (2 * _LINE_PX + _GAP_PX) + _GAP_PX
    height += 2 * _LINE_PX if legend else 0
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)

    def write(text: str, x: int, y: int, room: int = TILE_PX) -> None:
        draw.text((x, y), _cut(text, font, room), _INK, font)

    lefts = [_GAP_PX + column_px * number for number in range(len(headings))]
    for left, lines in zip(lefts, headings, strict=True):
        for number, line in enumerate(lines):
            write(line, left, _GAP_PX + number * _LINE_PX)
    top = head_px + _GAP_PX
    for row, row_px in zip(rows, heights, strict=True):
        draw.line((_GAP_PX, top - 3, width - _GAP_PX, top - 3), (190, 190, 190))
        write(row.title, _GAP_PX, top, width - 2 * _GAP_PX)
        for left, tile in zip(lefts, row.tiles, strict=True):
            sheet.paste(Image.fromarray(tile.picture), (left, top + _LINE_PX))
            write(tile.caption, left, top + _LINE_PX + row_px + 2)
        top += row_px + 2 * _LINE_PX + _GAP_PX
    if legend:
        _draw_legend(sheet, top, font)
    with (
        explained_disk_errors(path, "make room and repeat the command"),
        replacing(path) as temporary,
    ):
        sheet.save(temporary)
    return width, height


def _draw_legend(sheet: Any, top: int, font: Any) -> None:
    from PIL import Image, ImageDraw

    canvas = np.full((2 * _LINE_PX, sheet.width, 3), 128, np.uint8)
    left = 20
    places = []
    for color, mark, text in _LEGEND:
        draw_mark(canvas, (left, _LINE_PX), 8.0, mark, color)
        places.append((left + 16, text))
        left += 40 + int(font.getlength(text))
    strip = Image.fromarray(canvas)
    for x, text in places:
        ImageDraw.Draw(strip).text((x, _LINE_PX - _TEXT_PX // 2 - 2), text, _PAPER, font)
    sheet.paste(strip, (0, top))


def _font() -> Any:
    """Return the font that ships with matplotlib: the same on every machine."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), _TEXT_PX
    )


def _cut(text: str, font: Any, room: int) -> str:
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text + "…"
