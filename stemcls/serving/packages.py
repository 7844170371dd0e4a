"""Check that what the web page needs is installed, before it is imported."""

from __future__ import annotations

import importlib.util

from stemcls.errors import InputError

PACKAGES = ("fastapi", "uvicorn", "python_multipart")


def check_packages() -> None:
    """Refuse to go on without the packages of the extra `web`.

    Raises:
        InputError: Names those that are missing, and the extra.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"the page needs the package {', '.join(missing)}, which is not installed; "
            "pip install 'stemcls[web]'"
        )
