"""Time `stemcls --help` against the import of Keras, which it must not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from stemcls.bench.measure import interleave, result

# Help in at most 15 % of the time that `import keras` takes.
TARGET = 1 / 0.15


def startup(data: Path) -> dict[str, Any]:  # noqa: ARG001 - every benchmark takes the data folder
    """Return seconds until `stemcls --help` has ended, beside `python -c 'import keras'`."""
    helped = _run("-m", "stemcls", "--help")
    ours, baseline = interleave(
        lambda: _run("-m", "stemcls", "--help"), lambda: _run("-c", "import keras")
    )
    return result("startup", ours, baseline, "s", TARGET, equal_outputs="Usage" in helped)


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return done.stdout
