"""A small learnable store, built once per session by the real builder, and a run trained on it."""

from __future__ import annotations

import atexit
import gc
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from stemcls.models.backend import keep_freed_memory
from stemcls.store.cropstore import CropStore

# The same examples in every run, on however busy a machine.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("repeatable")

# Kept away from GPUs and quiet, for this process and for those that tests start.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# Compiling takes most of the time of the small programs that tests run on JAX, and under XLA.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)
# What was verified is remembered in the user's cache, which tests leave alone.
if "STEMCLS_CACHE" not in os.environ:
    os.environ["STEMCLS_CACHE"] = tempfile.mkdtemp(prefix="stemcls-tests-")
    atexit.register(shutil.rmtree, os.environ["STEMCLS_CACHE"], ignore_errors=True)
# Workers share the cores, and threads that wait for one another spin: PyTorch trains the small
# networks of tests in an eighth of the processor's time on one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
keep_freed_memory()  # as `load_keras` does; tests import Keras by themselves

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"
EDGE_PX = 24
# Files that take longest, first of all: a worker that began one last would end long after others.
LONGEST = (
    "models/test_backbones.py", "training/test_every_backend.py", "recipes/test_recipes.py",
    "models/test_saved_elsewhere.py", "training/test_survival.py", "end_to_end/test_train.py",
    "end_to_end/test_tui_in_tmux.py", "tui/test_form.py", "export/test_export.py",
    "bench/test_bench_training.py", "commands/test_tune.py", "explain/test_gradients.py",
    "training/test_stages.py",
    "models/test_torch_weights.py", "commands/test_compare.py", "tuning/test_kerastuner.py",
    "commands/test_weights.py", "training/test_precision_and_xla.py",
)


# Objects that come and go between two searches for garbage: backends hold millions that stay.
GARBAGE_THRESHOLD = 50_000


def pytest_collection_finish() -> None:
    """Search for garbage more rarely, and not in what importing and collecting has left."""
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; `--no-loadscope-reorder` keeps that order."""

    def place(item: pytest.Item) -> int:
        path = item.path.as_posix()
        found = (number for number, name in enumerate(LONGEST) if path.endswith(f"tests/{name}"))
        return next(found, len(LONGEST))

    items.sort(key=place)


def striped(label: int, rng: np.random.Generator) -> np.ndarray:
    """Return one (24, 24, 3) uint8 crop: stripes along x for class 0, along y for class 1."""
    phase = rng.uniform(0, 2 * np.pi)
    wave = 60 * np.sin(np.arange(EDGE_PX) * 2 * np.pi / 6 + phase)
    crop = 128 + np.repeat(wave[:, None], EDGE_PX, axis=1) + rng.normal(0, 25, (EDGE_PX, EDGE_PX))
    crop = crop if label else crop.T
    return np.repeat(np.clip(crop, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.fixture(scope="session")
def striped_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store of 160 crops, 2 classes, 10 donors: stripes one way or the other."""
    from stemcls.config.imaging import BuildConfig
    from stemcls.store.build import build_store

    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("striped") / "src"
    for label in range(2):
        (folder / f"c{label}").mkdir(parents=True)
        for number in range(80):
            path = folder / f"c{label}" / f"d{number % 10}_{number:03}.png"
            cv2.imwrite(str(path), striped(label, rng))
    lines = ["path,label,group"]
    for label, name in enumerate(("along x", "quer/süß")):
        lines += [f"c{label}/d{i % 10}_{i:03}.png,{name},donor {i % 10}" for i in range(80)]
    manifest = folder.parent / "manifest.csv"
    manifest.write_text("\n".join(lines), encoding="utf-8")
    out = folder.parent / "striped.h5"
    build_store(folder, out, BuildConfig(kind="crops", group_what="donor"), manifest)
    return out


TINY_TOML = """
seed = 3
name = "tiny"
[split]
validation = 0.2
test = 0.2
[model]
backbone = "TinyCNN"
weights = "none"
[augment]
rotate_deg = 10.0
[stages.scratch]
epochs = 3
batch_size = 16
learning_rate = 0.003
"""


@pytest.fixture
def tiny_config(tmp_path: Path) -> Path:
    """TOML of an experiment that trains in seconds."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY_TOML)
    return path


@pytest.fixture(scope="session")
def trained_workspace(tmp_path_factory: pytest.TempPathFactory, striped_store: Path) -> Path:
    """Workspace with one finished run of TinyCNN on the striped store, `tiny-...`."""
    workspace = tmp_path_factory.mktemp("workspace")
    config = workspace / "tiny.toml"
    config.write_text(TINY_TOML)
    result = run_here("train", striped_store, "--config", config, "--workspace", workspace)
    assert result.returncode == 0, result.stderr
    return workspace


@pytest.fixture
def trained_run(trained_workspace: Path) -> Path:
    """Folder of the finished run."""
    return next((trained_workspace / "saved_models").glob("tiny-*"))


@pytest.fixture(scope="session")
def stemcls() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own: `stemcls("info", store, "--json")`."""

    def run(*arguments: object, backend: str = "tensorflow", timeout: float = 240.0, **options):
        environment = {**os.environ, "KERAS_BACKEND": backend, "COLUMNS": "120"}
        return subprocess.run(
            [sys.executable, "-m", "stemcls", *map(str, arguments)],
            capture_output=True, text=True, timeout=timeout, env=environment, check=False,
            **options,
        )

    return run


def run_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in this process, which has Keras loaded already."""
    from stemcls.cli import main

    words = ["stemcls", *map(str, arguments)]
    code, out, err = 0, io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", words)
        patch.setenv("COLUMNS", "120")
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def invoke() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in this process: `invoke("info", store, "--json")`."""
    return run_here


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium, or a skip where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    return browser


@pytest.fixture
def browse(tmp_path: Path, chromium: str) -> Callable[[Path, str], Any]:
    """Open a page in headless Chromium; return the value of a JavaScript expression there.

    The page may load nothing but what is inside itself: the browser would say so in its console,
    which must stay empty.
    """

    def show(page: Path, expression: str) -> Any:
        inside = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        policy = f'<meta http-equiv="Content-Security-Policy" content="{inside}img-src data:">'
        asked = (
            "<script>addEventListener('load', () => { const asked = document.createElement('pre');"
            f"asked.id = 'asked'; asked.textContent = JSON.stringify({expression});"
            "document.body.append(asked); });</script>"
        )
        text = page.read_text(encoding="utf-8")
        text = text.replace("<head>", f"<head>{policy}", 1).replace("</body>", f"{asked}</body>", 1)
        copy = tmp_path / "browsed.html"
        copy.write_text(text, encoding="utf-8")
        shown = subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
             "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", copy.as_uri()],
            capture_output=True, text=True, timeout=120, check=True,
        )
        assert [line for line in shown.stderr.splitlines() if "CONSOLE" in line] == []
        found = re.search(r'<pre id="asked">(.*?)</pre>', shown.stdout, re.DOTALL)
        assert found is not None, "the page's script failed"
        return json.loads(html.unescape(found[1]))

    return show


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images, or a skip where it is not here."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real images (../shared/data) are not on this machine")
    return SHARED_DATA


@pytest.fixture
def foreign_store(tmp_path: Path) -> Callable[..., CropStore]:
    """Write a store in the documented layout by h5py alone, as another program would."""

    def write(
        labels: Any, fields: Any = None, groups: Any = None, name: str = "foreign.h5",
        what: str = "donor", edge: int = 4, **layout: Any,
    ) -> CropStore:
        labels = np.asarray(labels, np.int32)
        n_crops = len(labels)
        fields = np.arange(n_crops) if fields is None else np.asarray(fields)
        n_fields = int(fields.max()) + 1
        named = groups is not None
        groups = np.asarray(groups) if named else fields
        images = np.random.default_rng(0).integers(0, 256, (n_crops, edge, edge, 3), np.uint8)
        text = h5py.string_dtype()
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file.create_dataset("images", data=images, **layout)
            file["label"] = labels
            classes = [chr(ord("A") + k) for k in range(int(labels.max()) + 1)]
            file["label"].attrs["names"] = np.array(classes, dtype=text)
            file["field"] = fields.astype(np.int32)
            file["group"] = groups.astype(np.int32)
            file["group"].attrs["what"] = what if named else "field"
            if named:
                names = [f"{what} {k}" for k in range(int(groups.max()) + 1)]
                file["group"].attrs["names"] = np.array(names, dtype=text)
            file["center_px"] = np.zeros((n_crops, 2), np.float32)
            file["radius_px"] = np.zeros(n_crops, np.float32)
            file["intensity"] = np.zeros((n_crops, 1), np.float32)
            file["fields/path"] = np.array([f"f{k}.png" for k in range(n_fields)], dtype=text)
            file["fields/sha256"] = np.array(["0" * 64] * n_fields, dtype=text)
            file["fields/shape"] = np.zeros((n_fields, 3), np.int32)
            file["fields/pixel_size_um"] = np.full(n_fields, np.nan)
            file["fields/brightness"] = np.zeros(n_fields, np.float32)
            file["fields/n_cells"] = np.ones(n_fields, np.int32)
            file.attrs.update({
                "format": "stemcls-crops", "version": 1, "config": json.dumps({}),
                "channels": np.array(["red", "green", "blue"], dtype=text),
                "pixel_size_um": 0.5, "content_hash": f"hash of {name}",
            })
        return CropStore.open(path)

    return write


@pytest.fixture(scope="session")
def restamp() -> Callable[[Path], None]:
    """Give a store that a test changed the digests of what it holds now: another whole store."""
    from stemcls.store.writer import stamp

    def write(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            stamp(file, path, hashlib.sha256(file["images"][()].tobytes()).hexdigest())

    return write


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let figures be laid out but their files stay empty: painting is what takes time."""
    from matplotlib.figure import Figure

    def save(figure: Figure, path: Path, **options: object) -> None:
        Path(path).touch()

    monkeypatch.setattr(Figure, "savefig", save)
