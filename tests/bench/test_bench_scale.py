"""The benchmark of sizes measures whole trees of processes, and fails where a cost grows."""

from __future__ import annotations

import csv
import subprocess
import sys

import pytest

from stemcls.bench import scale as module
from stemcls.bench.measure import passed
from stemcls.bench.scale import Cost, peak_of, scale, write_crops
from stemcls.errors import InputError
from stemcls.imaging.readers.read import read_field

MB = 2**20


def test_memory_of_a_child_counts_and_mapped_files_do_not(tmp_path):
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(200 * MB))
    child = "import time; kept = bytearray(b'x') * (60 * 2**20); time.sleep(0.5)"
    program = (
        "import mmap, subprocess, sys\n"
        f"file = open({str(large)!r}, 'rb')\n"
        "mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
        "total = sum(mapped[at] for at in range(0, len(mapped), 4096))\n"
        f"subprocess.run([sys.executable, '-c', {child!r}])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    peak = peak_of(process.pid, lambda: process.poll() is None)
    assert 60 * MB < peak < 150 * MB


def test_crops_are_files_of_their_own_with_classes_and_donors(tmp_path):
    manifest = write_crops(tmp_path / "crops", 100)
    with manifest.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100
    assert {row["label"] for row in rows} == {f"class {k}" for k in range(4)}
    assert len({row["group"] for row in rows}) == 20
    assert len({(tmp_path / "crops" / row["path"]).read_bytes() for row in rows}) == 100
    assert read_field(tmp_path / "crops" / rows[0]["path"]).pixels.shape == (3, 64, 64)


@pytest.mark.parametrize(
    ("cpu_seconds", "peak_mb", "good"),
    [((2.0, 8.0), (100, 101), (True, True)),  # linear, and hardly more memory
     ((2.0, 32.0), (100, 101), (False, True)),  # quadratic
     ((2.0, 8.0), (100, 400), (True, False))],  # 50 kB a crop
)
def test_a_cost_that_grows_faster_than_the_crops_misses_its_target(
    monkeypatch, cpu_seconds, peak_mb, good
):
    found = {
        size: {"info": Cost(1.0, seconds, peak * MB)}
        for size, seconds, peak in zip((2000, 8000), cpu_seconds, peak_mb, strict=True)
    }
    monkeypatch.setattr(module, "measure_size", lambda folder, crops, wanted: found[crops])
    time_row, memory_row = scale(None, steps=("info",))
    assert (passed(time_row), passed(memory_row)) == good
    exponent = 2.0 if not good[0] else 1.0
    assert time_row["seconds_grow"] == pytest.approx(exponent)


def test_one_size_or_an_unknown_step_is_refused():
    with pytest.raises(InputError, match="give --crops twice or more"):
        scale(None, crops=(2000,))
    with pytest.raises(InputError, match="no step 'biuld'; one of build"):
        scale(None, steps=("biuld",))
