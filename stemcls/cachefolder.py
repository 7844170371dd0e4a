"""The folder of the user's cache: what lies there can be deleted, which costs time only."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return $STEMCLS_CACHE, else stemcls in the user's cache folder."""
    given = os.environ.get("STEMCLS_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "stemcls"
