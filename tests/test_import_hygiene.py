"""The command line and everything left of the models start without Keras."""

import subprocess
import sys

import pytest

FRAMEWORKS = ("keras", "tensorflow", "torch", "jax", "keras_tuner")
LIGHT = (
    "stemcls", "stemcls.cli", "stemcls.config.experiment", "stemcls.runs", "stemcls.errors",
    "stemcls.imaging.detection.detect", "stemcls.imaging.readers",
    "stemcls.imaging.simulation.simulate",
    "stemcls.store.build", "stemcls.store.splits", "stemcls.models.backend",
    "stemcls.evaluation.evaluation", "stemcls.audit.run", "stemcls.probes.learning",
    "stemcls.tuning.session", "tui",
)


@pytest.mark.parametrize("module", LIGHT)
def test_importing_it_imports_no_backend(module):
    code = (
        f"import {module}, sys; "
        f"print([name for name in {FRAMEWORKS!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom stemcls.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = ('keras', 'tensorflow', 'torch', 'jax', 'sklearn', 'skimage', 'scipy', 'cv2',\n"
        "         'h5py', 'matplotlib', 'textual', 'numpy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_exists():
    import stemcls

    missing = [name for name in stemcls.__all__ if not hasattr(stemcls, name)]
    assert not missing
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        stemcls.nothing  # noqa: B018
