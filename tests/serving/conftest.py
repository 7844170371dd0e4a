"""A small model on a real server: in one thread it serves, in another it computes."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tifffile

from stemcls.config.imaging import BuildConfig, DetectConfig, SimulateConfig
from stemcls.config.options import to_mapping
from stemcls.config.serve import ServeConfig
from stemcls.imaging.simulation.simulate import simulate_field
from stemcls.models.saved import ModelCard

CLASSES = ("naïve, early", "primed")
CROP_PX = 32
LIMITS = ServeConfig(port=0, max_upload_mb=2, max_files=8, max_megapixels=2.0, max_seconds=60.0)


def card() -> ModelCard:
    """Return the card of a model of fields of three slices."""
    detect = DetectConfig(diameter_px=24.0)
    build = BuildConfig(crop_px=CROP_PX, edge="drop", detect=detect)
    return ModelCard(
        CLASSES, (CROP_PX, CROP_PX), ("red", "green", "blue"), "uint8", build=to_mapping(build)
    )


@contextmanager
def serving(
    load: Callable[[], Any], config: ServeConfig = LIMITS, until: str = "ready"
) -> Iterator[str]:
    """Serve in a thread; yield the address once the model is in the state `until`."""
    from stemcls.serving.serve import open_server

    server = open_server(load, card(), "tiny", config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        for _ in range(1200):
            try:
                if requests.get(f"{server.url}health", timeout=10).json()["status"] == until:
                    break
            except requests.ConnectionError:
                pass
            time.sleep(0.05)
        yield server.url
    finally:
        server.stop()
        thread.join(20)


def send(
    url: str, *files: tuple[str, bytes], path: str = "api/predict", **form: object
) -> requests.Response:
    """Upload files of these names and contents; return what is answered."""
    sent = [("files", (name, content)) for name, content in files]
    return requests.post(f"{url}{path}", files=sent, data=form, timeout=120)


@pytest.fixture(scope="module")
def uploads_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this process keeps temporary files; empty again when nothing is kept."""
    folder = tmp_path_factory.mktemp("uploads")
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    yield folder
    tempfile.tempdir = before


@pytest.fixture(autouse=True)
def nothing_is_kept(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test the server's folder of temporary files is empty."""
    yield
    if "url" in request.fixturenames:
        folder = request.getfixturevalue("uploads_folder")
        for _ in range(100):
            left = [path for home in folder.glob("stemcls-*") for path in home.iterdir()]
            if not left:
                return
            time.sleep(0.05)
        assert left == []


@pytest.fixture(scope="session")
def loaded() -> Any:
    """A TinyCNN with random weights, as the server holds it."""
    from stemcls.bench.prediction import random_network
    from stemcls.serving.work import Loaded

    return Loaded(random_network("TinyCNN", 1.0, CROP_PX, len(CLASSES)), card())


@pytest.fixture(scope="module")
def url(loaded: Any, uploads_folder: Path) -> Iterator[str]:
    """Address of the server, its model ready."""
    with serving(lambda: loaded) as address:
        yield address


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A field of 256x256 pixels with eight cells."""
    config = SimulateConfig(size_px=256, cells=8, radius_px=12.0, clusters=0, debris=0, slices=3)
    pixels, _ = simulate_field(config, 0, 0)
    path = tmp_path_factory.mktemp("fields") / "field of ten.tif"
    tifffile.imwrite(path, np.asarray(pixels), photometric="minisblack")
    return path
