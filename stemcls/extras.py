"""Packages that only some commands need, and the extras of the installation that bring them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from stemcls.errors import InputError


def check_extra(what: str, packages: Iterable[str], extra: str, otherwise: str = "") -> None:
    """Refuse to go on without packages, before anything heavy is loaded.

    Args:
        what: What needs them.
        packages: By the names they are imported by.
        extra: Of stemcls, which brings them.
        otherwise: Another way out, if there is one.
    Raises:
        InputError: Names those that are missing, and the extra.
    """
    missing = [package for package in packages if not is_installed(package)]
    if missing:
        raise InputError(
            f"{what} needs the package {', '.join(missing)}, which is not installed; "
            f"pip install 'stemcls[{extra}]'" + (f", or {otherwise}" if otherwise else "")
        )


def is_installed(package: str) -> bool:
    """Tell whether a package can be imported, without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of a package inside another, when that is missing
        return False
