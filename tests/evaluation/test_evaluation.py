"""An evaluation writes numbers that read back and figures for any number of classes."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stemcls.errors import InputError
from stemcls.evaluation.evaluation import evaluate_predictions
from stemcls.evaluation.external import read_label_map
from stemcls.evaluation.figures import draw_confusion, draw_roc, fitted, write_figure
from stemcls.evaluation.predictions import read_predictions

from .conftest import certain, simulated

FILES = {
    "metrics.json", "confusion.csv", "predictions.csv", "roc.csv",
    "confusion.png", "confusion.svg", "roc.png", "roc.svg",
}


def table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_folder_holds_every_file_and_nothing_half_written(tmp_path: Path) -> None:
    evaluation = evaluate_predictions(simulated(), resamples=50)
    paths = evaluation.write(tmp_path / "evaluation")
    assert {path.name for path in paths} == FILES
    assert {path.name for path in (tmp_path / "evaluation").iterdir()} == FILES


def test_numbers_on_disk_are_the_numbers_of_the_evaluation(tmp_path: Path) -> None:
    evaluation = evaluate_predictions(simulated(), resamples=50)
    evaluation.write(tmp_path)
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert set(document) == {"metrics", "confusion", "labels", "n"}
    assert document["metrics"]["auroc"] == evaluation.metrics["auroc"]
    assert document["n"] == np.sum(document["confusion"]) == 400
    header, *lines = table(tmp_path / "confusion.csv")
    assert header == ["truth", "A", "B", "C"]
    assert [[int(cell) for cell in line[1:]] for line in lines] == document["confusion"]
    again = evaluate_predictions(read_predictions(tmp_path / "predictions.csv"), resamples=50)
    assert again.metrics == evaluation.metrics


def test_the_area_below_the_written_curve_is_the_reported_one(tmp_path: Path) -> None:
    evaluation = evaluate_predictions(simulated(), resamples=0)
    evaluation.write(tmp_path)
    header, *lines = table(tmp_path / "roc.csv")
    assert header == ["class", "threshold", "false_positive_rate", "true_positive_rate"]
    points = np.array([[float(line[2]), float(line[3])] for line in lines if line[0] == "B"])
    area = np.trapezoid(points[:, 1], points[:, 0])
    assert area == pytest.approx(evaluation.metrics["per_class"]["B"]["auroc"], abs=1e-6)


def test_rows_of_the_confusion_are_the_truth() -> None:
    evaluation = evaluate_predictions(certain([0, 0, 1], [1, 1, 1], ("a", "b")), resamples=0)
    assert evaluation.confusion.tolist() == [[0, 2], [0, 1]]


@pytest.mark.parametrize("k", [2, 12])
def test_figures_take_long_foreign_and_odd_class_names(tmp_path: Path, k: int) -> None:
    odd = ("_hidden $x^2$", "造血幹細胞" * 12, "Lin⁻ Sca1⁺ / c-Kit⁺ " * 5, "клетка")
    names = tuple(f"{odd[index % 4]} {index}" for index in range(k))
    predictions = dataclasses.replace(simulated(n=60, k=k), classes=names)
    evaluation = evaluate_predictions(predictions, resamples=10)
    evaluation.write(tmp_path)
    assert "_hidden $x^2$ 0" in (tmp_path / "roc.svg").read_text(encoding="utf-8")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_figures_of_classes_without_crops_or_curves_are_drawn(tmp_path: Path) -> None:
    evaluation = evaluate_predictions(certain([0, 0], [0, 1], ("a", "b")), resamples=10)
    evaluation.write(tmp_path)
    assert "none" in (tmp_path / "confusion.svg").read_text()


def test_the_same_figure_is_the_same_file(tmp_path: Path) -> None:
    evaluation = evaluate_predictions(simulated(n=60), resamples=0)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        stem = tmp_path / folder / "roc"
        write_figure(draw_roc(evaluation.predictions, evaluation.metrics), stem)
    for name in ("roc.png", "roc.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_confusion_figure_shows_counts_and_shares() -> None:
    figure = draw_confusion(np.array([[1200, 400], [0, 8]]), ("a", "b"))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["1,200\n75%", "400\n25%", "0\n0%", "8\n100%"]


def test_long_names_are_wrapped_and_cut() -> None:
    assert fitted("short") == "short"
    assert fitted("long-term haematopoietic stem cell") == "long-term\nhaematopoietic stem\ncell"
    assert len(fitted("x" * 200)) <= 42


def test_evaluation_imports_no_keras_and_no_global_plotting_state(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, numpy as np\n"
        "from stemcls.evaluation.predictions import Predictions\n"
        "from stemcls.evaluation.evaluation import evaluate_predictions\n"
        "assert 'matplotlib' not in sys.modules\n"
        "n = np.arange(4)\n"
        "p = Predictions(n, n % 2, np.eye(2)[n % 2], n, ('a', 'b'))\n"
        "evaluate_predictions(p, 10).write(pathlib.Path(sys.argv[1]))\n"
        "bad = {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_label_map_may_be_a_table(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("Label;Class\nLT-HSC (SLAM);LT-HSC\ndebris;\n", encoding="utf-8")
    assert read_label_map(path) == {"LT-HSC (SLAM)": "LT-HSC", "debris": ""}
    path.write_text("label,class\na,x\na,y\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 3: 'a' is there twice"):
        read_label_map(path)
