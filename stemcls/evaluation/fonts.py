"""Find fonts that have the characters of a figure, and number words that none has."""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIRST = "DejaVu Sans"
# Preferred where several have a character: their letters fit together.
_PREFERRED = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Source Han Sans", "Noto Sans", "Microsoft YaHei",
    "Yu Gothic", "PingFang SC", "Hiragino Sans", "WenQuanYi Zen Hei", "IPAGothic", "NanumGothic",
    "Droid Sans Fallback", "Arial Unicode MS",
)
_WORD = re.compile(r"[^\s()\[\],:>]+")
# Fonts of symbols and variants, whose characters look like others.
_UNFIT = re.compile(r"emoji|symbol|last resort|lastresort|mono|serif|mincho|ming|song", re.I)


def fonts_for(characters: Iterable[str]) -> tuple[list[str], set[str]]:
    """Return families that have the characters, in order of preference, and those that none has.

    Matplotlib knows the fonts that were there when it first ran; where they do not do, the system
    is searched anew.
    """
    wanted = {one for one in characters if ord(one) > 126 and not one.isspace()}
    families = [FIRST]
    missing = wanted - _characters_of(_path_of(FIRST) or "")
    for search in (False, True):
        if not missing:
            break
        for name, path in _candidates(search):
            found = missing & _characters_of(path)
            if found:
                families.append(name)
                missing -= found
            if not missing:
                break
    return families, missing


def number_words(figure: Figure, texts: Sequence[Any], lacking: set[str]) -> None:
    """Replace words with characters of `lacking` by #1, #2, and say below which these are.

    Args:
        figure: That holds the texts.
        texts: Matplotlib's text artists.
        lacking: Characters that cannot be drawn.
    """
    numbers: dict[str, int] = {}

    def number(word: re.Match[str]) -> str:
        if not lacking & set(word[0]):
            return word[0]
        return f"#{numbers.setdefault(word[0], len(numbers) + 1)}"

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        if lacking & set("".join(labels)):  # drawing would put them back into their texts
            axis.set_ticklabels([_WORD.sub(number, label) for label in labels])
    for text in texts:
        text.set_text(_WORD.sub(number, text.get_text()))
    said = ", ".join(
        f"#{n} = {word.encode('unicode_escape').decode('ascii')}" for word, n in numbers.items()
    )
    said = f"No installed font has these words: {said}"
    figure.text(
        0.01, -0.01, textwrap.fill(said, int(18 * figure.get_figwidth())), fontsize=6, va="top"
    )


def _candidates(search: bool) -> list[tuple[str, str]]:
    """Return name and path of fonts besides the first, the preferred ones first."""
    from matplotlib import font_manager

    if search:
        _add_system_fonts()
    found: dict[str, str] = {}
    for font in font_manager.fontManager.ttflist:
        if font.name != FIRST and font.style == "normal" and not _UNFIT.search(font.name):
            found.setdefault(font.name, font.fname)
    return sorted(
        found.items(),
        key=lambda one: (_PREFERRED.index(one[0]) if one[0] in _PREFERRED else 99, one[0]),
    )


@functools.cache
def _add_system_fonts() -> None:
    from matplotlib import font_manager

    known = {Path(font.fname) for font in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if Path(path) in known:
            continue
        try:
            font_manager.fontManager.addfont(path)
        except (OSError, RuntimeError, ValueError):  # no font that FreeType reads
            continue


def _path_of(name: str) -> str | None:
    from matplotlib import font_manager

    fonts = font_manager.fontManager.ttflist
    return next((font.fname for font in fonts if font.name == name), None)


@functools.cache
def _characters_of(path: str) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()
