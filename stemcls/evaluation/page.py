"""Parts of an HTML page that needs no network and no other file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stemcls.safetext import safe_text

_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg"}


def templates(package: str, autoescape: bool = True) -> Any:
    """Return the jinja2.Environment of the templates that a package holds.

    Args:
        package: As it is imported; its templates are in `templates/`.
        autoescape: True for HTML.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(package), autoescape=autoescape, undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True, lstrip_blocks=True,
    )


def _shown(value: Any) -> Any:
    made_here = not isinstance(value, str) or hasattr(value, "__html__")
    return value if made_here else safe_text(value, keep="\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table; numbers are set to the right, None is -."""
    head = "".join(f"<th>{escape(safe_text(name))}</th>" for name in columns)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def image(file: Path, text: str) -> str:
    """Return a picture file as an <img> that says `text` where it cannot be seen."""
    return f'<img alt="{escape(safe_text(text), quote=True)}" src="{file_data(file)}">'


def file_data(path: Path) -> str:
    """Return a PNG, SVG or JPEG file as a data: address."""
    return _address(path.suffix.lower(), path.read_bytes())


def is_picture(path: Path) -> bool:
    """Tell whether `file_data` takes it."""
    return path.suffix.lower() in _TYPES


def pixel_data(pixels: np.ndarray, suffix: str = ".png", quality: int = 95) -> str:
    """Return (H, W, 3) uint8 colours as a data: address; `quality` is that of a .jpg."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else []
    _, data = cv2.imencode(suffix, pixels[..., ::-1], options)
    return _address(suffix, data.tobytes())


def _address(suffix: str, content: bytes) -> str:
    return f"data:{_TYPES[suffix]};base64,{base64.b64encode(content).decode('ascii')}"


def _cell(value: Any) -> str:
    if value is None:
        return '<td class="n">-</td>'
    if isinstance(value, float):
        return f'<td class="n">{value:.4g}</td>'
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{escape(safe_text(str(value)))}</td>"
