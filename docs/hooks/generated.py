"""Pages that are made from the code when the site is built, so that they stay true."""

from __future__ import annotations

import ast
import html
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PACKAGES = ("stemcls",)
CONFIGS = (
    ("stemcls train, tune: an experiment", "stemcls.config.experiment", "Experiment"),
    ("A stage of training: [[stages]]", "stemcls.config.experiment", "StageConfig"),
    ("stemcls build", "stemcls.config.imaging", "BuildConfig"),
    ("stemcls simulate", "stemcls.config.imaging", "SimulateConfig"),
    ("stemcls explain", "stemcls.config.explain", "ExplainConfig"),
    ("stemcls audit", "stemcls.config.probes", "AuditConfig"),
    ("stemcls curve", "stemcls.config.probes", "CurveConfig"),
    ("stemcls embed", "stemcls.config.probes", "EmbedConfig"),
    ("stemcls adapt", "stemcls.config.adapt", "AdaptConfig"),
)


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages to those of docs/."""
    pages = {
        "reference/cli.md": cli_page(),
        "reference/settings.md": settings_page(),
        "reference/python.md": python_page(),
        "reference/methods.md": methods_page(),
        "screens.md": screens_page(),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def cli_page() -> str:
    """Return every command with its arguments and options."""
    import typer.main

    from stemcls.cli import app

    group = typer.main.get_command(app)
    lines = [
        "# Commands", "", "Made from `stemcls COMMAND --help` when these pages are built. Every "
        "command has `--json`, prints data on stdout and everything else on stderr, and exits with "
        "0 (done), 1 (failed), 2 (bad input), 3 (something was skipped, with `--strict`) or 130 "
        "(interrupted).", "",
    ]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        lines += [f"## {name}", "", *_paragraphs(command.help or ""), ""]
        taken = [one for one in command.params if one.param_type_name == "argument"]
        usage = " ".join(_argument(one) for one in taken)
        lines += ["```sh", f"stemcls {name} {usage} [OPTIONS]".replace("  ", " "), "```", ""]
        lines += ["| argument or option | meaning |", "|---|---|"]
        for one in [*taken, *(p for p in command.params if p not in taken)]:
            if one.name == "help":
                continue
            shown = _argument(one) if one in taken else ", ".join([*one.opts, *one.secondary_opts])
            lines.append(f"| `{shown}` | {_cell(getattr(one, 'help', '') or '')} |")
        lines.append("")
    return "\n".join(lines)


def settings_page() -> str:
    """Return every setting as it is written in TOML files and after `--set`."""
    import importlib

    from stemcls.config.options import options_of

    lines = [
        "# Settings", "", "Keys of TOML files (`--config`) and of `--set KEY=VALUE`; each has a "
        "command-line option too ([commands](cli.md)).", "",
    ]
    for title, module, name in CONFIGS:
        cls = getattr(importlib.import_module(module), name)
        lines += [f"## {title}", "", inspect.getdoc(cls) or "", ""]
        lines += ["| key | default | meaning |", "|---|---|---|"]
        for entry in options_of(cls):
            default = "" if entry.default in (None, "", ()) else f"`{entry.default}`"
            choices = f" One of: {', '.join(entry.choices)}." if entry.choices else ""
            lines.append(
                f"| `{'.'.join(entry.keys)}` | {_cell(default)} | {_cell(entry.help + choices)} |"
            )
        lines.append("")
    return "\n".join(lines)


def python_page() -> str:
    """Return the public names, documented from their docstrings."""
    import stemcls

    lines = [
        "# Python", "", "`from stemcls import NAME` imports what is needed when it is needed; "
        "`import stemcls` alone loads no framework.", "",
    ]
    for name, home in sorted(stemcls._HOMES.items(), key=lambda item: item[0].lower()):
        lines += [f"## {name}", "", f"::: {home}.{name}", ""]
    return "\n".join(lines)


def methods_page() -> str:
    """Return every function and class whose docstring names a source."""
    lines = [
        "# Methods and their sources", "", "Every function and class that follows a published "
        "method, as its docstring says. The pages under Explanation tell how to read what they "
        "compute.", "", "| method | source | where |", "|---|---|---|",
    ]
    for module, name, text in _documented():
        summary, source = text.split("\n")[0], _source(text)
        if source:
            lines.append(f"| {_cell(summary)} | {_cell(source)} | `{module}.{name}` |")
    return "\n".join(lines) + "\n"


def screens_page() -> str:
    """Return the pictures in docs/screens, whichever there are."""
    lines = [
        "# The terminal UI in pictures", "", "`stemcls tui` (or bare `stemcls`) opens it; it works "
        "[over ssh](howto/tui-over-ssh.md) too.", "",
    ]
    for path in sorted((ROOT / "docs" / "screens").glob("*.svg")):
        title = path.stem.replace("-", " ").capitalize()
        lines += [f"## {title}", "", f"![{title}](screens/{path.name})", ""]
    return "\n".join(lines)


def _documented() -> Iterator[tuple[str, str, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    text = ast.get_docstring(node)
                    if text and not node.name.startswith("_"):
                        yield module.removesuffix(".__init__"), node.name, text


def _source(text: str) -> str:
    found = re.search(r"^Source: (.+?)(?=^\S|\Z)", text, re.DOTALL | re.MULTILINE)
    return " ".join(found.group(1).split()) if found else ""


def _argument(one: Any) -> str:
    name = one.metavar or one.name.upper()
    return name if one.required else f"[{name}]"


def _paragraphs(text: str) -> list[str]:
    return [html.escape(line, quote=False) for line in inspect.cleandoc(text).splitlines()]


def _cell(text: str) -> str:
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|")
