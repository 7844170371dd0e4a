"""What the UI remembers: a person's settings, and where they were in each workspace.

They are read before anything else of the UI, so nothing slow is imported here before it is needed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from platformdirs import user_config_path, user_state_path

from stemcls.config.options import from_mapping, option, read_toml

DARK = "stemcls-dark"
WORKSPACES_KEPT = 50


@dataclass(frozen=True)
class Settings:
    """Settings of a person; the file is made when one is changed."""

    theme: str = option(DARK, "Name of the theme.")
    pictures: str = option(
        "auto", "How pictures are drawn.", choices=("auto", "kitty", "sixel", "halfcell", "off")
    )
    toured: bool = option(False, "Whether the first-run tour was seen.")


@dataclass(frozen=True)
class Place:
    """Where a person was in a workspace; a path is "" where nothing was chosen."""

    mode: str = "datasets"
    run: str = ""
    store: str = ""


def settings_path() -> Path:
    """Return the settings file: $XDG_CONFIG_HOME/stemcls/tui.toml, or the system's like of it."""
    return user_config_path("stemcls", appauthor=False) / "tui.toml"


def state_path() -> Path:
    """Return the state file: $XDG_STATE_HOME/stemcls/tui.json, or the system's like of it."""
    return user_state_path("stemcls", appauthor=False) / "tui.json"


def read_settings() -> Settings:
    """Return the settings of this person.

    Raises:
        InputError: The file is no TOML, or a setting is not known or out of range.
    """
    path = settings_path()
    return from_mapping(Settings, read_toml(path)) if path.is_file() else Settings()


def keep_settings(settings: Settings) -> None:
    """Write the settings whole, or leave the old ones.

    Raises:
        OSError: The folder cannot be written.
    """
    import tomli_w

    from stemcls import atomic

    path = settings_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, tomli_w.dumps(asdict(settings)))


def read_place(workspace: Path) -> Place:
    """Return where a person was in a workspace; the start where nothing is (well) remembered."""
    known = _places().get(str(workspace))
    try:
        place = Place(**known) if isinstance(known, dict) else Place()
    except TypeError:  # written by another version
        return Place()
    gone = {name: "" for name in ("run", "store") if not Path(getattr(place, name)).exists()}
    return replace(place, **gone)


def keep_place(workspace: Path, place: Place) -> None:
    """Remember where a person is, the latest workspaces only.

    Raises:
        OSError: The folder cannot be written.
    """
    from stemcls import atomic

    places = _places()
    places.pop(str(workspace), None)
    places[str(workspace)] = asdict(place)
    path = state_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_json(path, dict(list(places.items())[-WORKSPACES_KEPT:]))


def _places() -> dict[str, Any]:
    try:
        places = json.loads(state_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return places if isinstance(places, dict) else {}
