"""Inputs that went wrong once, made anew from their recipes in `../shared/cases`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CASES = Path(__file__).parents[2].parent / "shared" / "cases"


@pytest.fixture(scope="session")
def case(tmp_path_factory) -> Callable[[str], Path]:
    """Give a function that makes the files of a case, once, and returns their folder."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if not (CASES / name).is_dir():
            pytest.skip(f"{CASES / name} is not here")
        if name not in made:
            folder = tmp_path_factory.mktemp("cases") / name
            shutil.copytree(CASES / name, folder)
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o755)
            if (folder / "make.py").exists():
                command = [sys.executable, str(folder / "make.py")]
                quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
                subprocess.run(command, check=True, env=quiet, capture_output=True)
            made[name] = folder
        return made[name]

    return make
