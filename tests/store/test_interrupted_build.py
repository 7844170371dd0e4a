"""A build that is killed, stopped or runs out of disk goes on, with the same result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stemcls.config.imaging import BuildConfig
from stemcls.errors import CancelledError, InputError
from stemcls.store import build as module
from stemcls.store.build import build_store
from stemcls.store.cropstore import CropStore

CROPS = BuildConfig(kind="crops")
N_IMAGES = 60
# A build slow enough to be interrupted, in a process of its own.
SLOW = """
import sys, time
from pathlib import Path
from stemcls.config.imaging import BuildConfig
from stemcls.errors import StemclsError
from stemcls.store import build
original = build.harvest
def slow(*arguments, **settings):
    time.sleep({seconds})
    return original(*arguments, **settings)
build.harvest = slow
try:
    build.build_store(Path(sys.argv[1]), Path(sys.argv[2]), BuildConfig(kind="crops"))
except StemclsError as error:
    print(type(error).__name__, error, flush=True)
    sys.exit(error.exit_code)
"""


@pytest.fixture
def source(tmp_path, write_image) -> Path:
    for number in range(N_IMAGES):
        write_image(tmp_path / "src" / f"class {number % 2}" / f"{number:03}.png", seed=number)
    return tmp_path / "src"


def start(source: Path, out: Path, seconds: float = 0.05, prefix: str = "") -> subprocess.Popen:
    program = prefix + SLOW.format(seconds=seconds)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(source), str(out)], stdout=subprocess.PIPE, text=True
    )


def journal_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.building") / "journal.jsonl"


def wait_for_lines(out: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if journal_of(out).exists() and journal_of(out).read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.02)
    raise AssertionError("the build never got going")


def content(source: Path, out: Path) -> str:
    build_store(source, out, CROPS)
    return CropStore.open(out).content_hash


def interrupt(out: Path, source: Path, number: int) -> tuple[int, str]:
    process = start(source, out)
    wait_for_lines(out, 4)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=30)
    assert not out.exists()
    return process.returncode, printed


def test_a_killed_build_goes_on_and_ends_like_an_undisturbed_one(source, tmp_path):
    out = tmp_path / "out.h5"
    code, _ = interrupt(out, source, signal.SIGKILL)
    assert code == -signal.SIGKILL
    notes = []
    document = build_store(source, out, CROPS, tell=notes.append)
    notes = [note for note in notes if not note.startswith("warning: ")]
    assert 0 < document["continued_at"] < N_IMAGES
    following = document["continued_at"] + 1
    assert notes == [f"continuing an interrupted build at image {following} of {N_IMAGES}"]
    assert document["crops"] == N_IMAGES
    assert CropStore.open(out).content_hash == content(source, tmp_path / "whole.h5")
    assert not journal_of(out).parent.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_build_says_how_to_go_on(source, tmp_path, number):
    out = tmp_path / "out.h5"
    code, printed = interrupt(out, source, number)
    assert code == CancelledError.exit_code == 130
    assert "CancelledError stopped after" in printed
    assert f"of {N_IMAGES} images; run the same command again" in printed
    assert build_store(source, out, CROPS)["continued_at"] > 0
    assert CropStore.open(out).content_hash == content(source, tmp_path / "whole.h5")


def partial(source: Path, out: Path, images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what a build killed after some images leaves."""

    class Killed(BaseException):
        pass

    def killed(done: int, total: int, note: str) -> None:
        if done == images and "kind of images" not in note:
            raise Killed

    with pytest.raises(Killed):
        build_store(source, out, CROPS, update=killed)
    assert journal_of(out).exists()


@pytest.mark.parametrize("torn", [b'{"path":"class 1/0', b"\0\0\0\0\n", b'{"n":1}'])
def test_a_torn_line_and_crops_beyond_the_journal_are_dropped(source, tmp_path, monkeypatch, torn):
    out = tmp_path / "out.h5"
    partial(source, out, 20, monkeypatch)
    with journal_of(out).open("ab") as journal:
        journal.write(torn)
    with (journal_of(out).parent / "images.bin").open("ab") as images:
        images.write(b"half a crop")
    document = build_store(source, out, CROPS)
    assert document["continued_at"] == 20
    assert CropStore.open(out).content_hash == content(source, tmp_path / "whole.h5")


def test_a_journal_ahead_of_its_crops_is_cut_back(source, tmp_path, monkeypatch):
    out = tmp_path / "out.h5"
    partial(source, out, 20, monkeypatch)
    os.truncate(journal_of(out).parent / "images.bin", 16 * 16 * 5 + 3)
    assert build_store(source, out, CROPS)["continued_at"] == 5
    assert CropStore.open(out).content_hash == content(source, tmp_path / "whole.h5")


def test_crops_that_changed_on_disk_are_made_again(source, tmp_path, monkeypatch):
    out = tmp_path / "out.h5"
    partial(source, out, 20, monkeypatch)
    with (journal_of(out).parent / "images.bin").open("rb+") as images:
        images.seek(16 * 16 * 7)
        images.write(b"\0" * 16)
    assert build_store(source, out, CROPS)["continued_at"] == 7
    assert CropStore.open(out).content_hash == content(source, tmp_path / "whole.h5")


def test_other_settings_start_over_and_say_so(source, tmp_path, monkeypatch):
    out = tmp_path / "out.h5"
    partial(source, out, 20, monkeypatch)
    notes = []
    config = BuildConfig(kind="crops", crop_px=8)
    document = build_store(source, out, config, tell=notes.append)
    notes = [note for note in notes if not note.startswith("warning: ")]
    assert document["restarted"] == "settings changed since the interrupted build"
    assert notes == ["starting over: settings changed since the interrupted build"]
    assert (document["continued_at"], document["size_px"]) == (0, (8, 8))


@pytest.mark.parametrize("change", ["touched", "added"])
def test_other_sources_start_over_and_say_so(source, tmp_path, monkeypatch, write_image, change):
    out = tmp_path / "out.h5"
    partial(source, out, 20, monkeypatch)
    if change == "touched":
        os.utime(source / "class 0" / "000.png", ns=(1, 1))
    else:
        write_image(source / "class 0" / "new.png", seed=99)
    document = build_store(source, out, CROPS)
    assert document["restarted"] == "sources changed since the interrupted build"
    assert document["crops"] == N_IMAGES + (change == "added")


def test_a_build_stopped_while_writing_the_store_only_writes_it_again(
    source, tmp_path, monkeypatch
):
    out = tmp_path / "out.h5"

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_store", full)
        with pytest.raises(Exception, match=r"no space left while writing .*what was done so far"):
            build_store(source, out, CROPS)
    assert build_store(source, out, CROPS)["continued_at"] == N_IMAGES


def test_two_builds_of_one_target_do_not_mix(source, tmp_path):
    out = tmp_path / "out.h5"
    process = start(source, out)
    wait_for_lines(out, 2)
    with pytest.raises(InputError, match=r"another build of .* is running; wait for it"):
        build_store(source, out, CROPS)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert CropStore.open(out).content_hash == content(source, tmp_path / "whole.h5")


# Crops need 15,360 bytes and the whole store more: the first limit stops the crops, the second
# HDF5's own writing.
@pytest.mark.parametrize("limit", [9_000, 16_000])
def test_a_full_disk_is_explained_and_the_work_is_kept(source, tmp_path, limit):
    for path in source.rglob("*.png"):
        assert path.stat().st_size < 9_000
    out = tmp_path / "out.h5"
    prefix = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    process = start(source, out, seconds=0, prefix=prefix)
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 1, printed
    assert "StemclsError no space left while writing" in printed
    assert "free some space and run the same command again" in printed
    assert not out.exists()
    assert build_store(source, out, CROPS)["restarted"] is None
    assert CropStore.open(out).content_hash == content(source, tmp_path / "whole.h5")


def test_the_journal_is_one_json_object_a_line(source, tmp_path, monkeypatch):
    out = tmp_path / "out.h5"
    partial(source, out, 3, monkeypatch)
    header, *entries = map(json.loads, journal_of(out).read_text().splitlines())
    assert set(header) == {"settings", "sources"}
    assert [entry["path"] for entry in entries] == [f"class 0/{n:03}.png" for n in (0, 2, 4)]
