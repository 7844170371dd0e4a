"""Benchmarks compare fairly, and the command fails where a target is missed."""

from __future__ import annotations

import json
import sys
import types

import pytest
from typer.testing import CliRunner

from stemcls.bench.evaluation import measure as measure_evaluation
from stemcls.bench.measure import interleave, passed, result
from stemcls.bench.store import measure_store
from stemcls.cli import app
from stemcls.errors import InputError, StemclsError

bench_module = sys.modules["stemcls.commands.bench"]
runner = CliRunner()


def test_both_sides_take_turns():
    calls = []
    ours, baseline = interleave(lambda: calls.append("o"), lambda: calls.append("b"))
    assert calls == ["o", "b", "b", "o", "o", "b"]
    assert 0 <= ours < 1
    assert 0 <= baseline < 1
    with pytest.raises(ValueError, match="at least 3 rounds, not 2"):
        interleave(list, list, rounds=2)


@pytest.mark.parametrize(("higher", "ratio"), [(False, 0.5), (True, 2.0)])
def test_a_ratio_above_one_means_that_ours_is_better(higher, ratio):
    row = result("x", 2.0, 1.0, "s", 1.0, True, higher_is_better=higher)
    assert row["ratio"] == ratio
    assert passed(row) is higher
    assert not passed({**row, "equal_outputs": False})


@pytest.fixture
def one_benchmark(monkeypatch):
    def install(ratio: float, equal: bool = True) -> None:
        module = types.ModuleType("fake_benchmark")
        module.fake = lambda data: result("fake", 1.0, ratio, "s", 2.0, equal)
        monkeypatch.setitem(sys.modules, "fake_benchmark", module)
        monkeypatch.setattr(bench_module, "BENCHMARKS", {"fake": ("fake_benchmark", "fake")})

    return install


def test_a_row_has_the_keys_that_checks_read(one_benchmark):
    one_benchmark(3.0)
    done = runner.invoke(app, ["bench", "--json"])
    assert done.exit_code == 0
    (row,) = json.loads(done.stdout)
    assert set(row) == {"name", "ours", "baseline", "ratio", "unit", "target", "equal_outputs"}


@pytest.mark.parametrize(("ratio", "equal"), [(1.9, True), (3.0, False)])
def test_a_missed_target_or_another_output_ends_with_code_1(one_benchmark, ratio, equal):
    one_benchmark(ratio, equal)
    done = runner.invoke(app, ["bench", "fake", "--json"])
    assert json.loads(done.stdout)[0]["name"] == "fake"
    assert isinstance(done.exception, StemclsError)
    assert done.exception.exit_code == 1


def test_an_unknown_name_is_answered_with_the_nearest():
    done = runner.invoke(app, ["bench", "stor"])
    assert isinstance(done.exception, InputError)
    assert "no benchmark 'stor'; did you mean 'store'?" in str(done.exception)


def test_every_name_leads_to_a_module_of_this_package():
    assert {"startup", "store"} <= set(bench_module.BENCHMARKS)
    assert all(module.startswith("stemcls.") for module, _ in bench_module.BENCHMARKS.values())


def test_the_store_benchmark_runs_on_a_small_scale(tmp_path):
    row = measure_store(tmp_path, crops=300, fields=2, field_px=256)
    assert row["equal_outputs"]
    assert row["crops"] == 300
    assert 0 < row["peak_gib"] < 1


def test_the_evaluation_benchmark_runs_on_a_small_scale():
    row = measure_evaluation(crops=300, groups=12, resamples=40)
    assert row["largest_difference"] < 1e-9
    assert row["within_limit"]
    assert row["name"] == "evaluate"
