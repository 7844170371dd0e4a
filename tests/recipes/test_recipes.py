"""Every recipe runs from a folder of images to its report; wrong folders are told what is wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from stemcls.config.options import to_mapping
from stemcls.recipes.layout import find_images
from stemcls.recipes.read import PAPERS, changes_of, read_protocol, recipe_names
from stemcls.recipes.run import check_steps
from stemcls.recipes.work import list_begun

from .standins import composite_fields, flow_crops, hsc_fields, lines

HEAD_ALONE = (
    "experiment.stages.frozen.start=any", "experiment.stages.frozen.epochs=2",
    "experiment.stages.frozen.batch_size=8", "experiment.stages.frozen.views=1",
    "experiment.stages.finetune.epochs=0",
    "experiment.model.dense=[8]", "experiment.model.input_px=0",
)
WHOLE = (
    "experiment.stages.finetune.start=any", "experiment.stages.finetune.epochs=1",
    "experiment.stages.finetune.batch_size=8",
)
CELLS = ("build.crop_px=32",)
LOOK = ("explain.per_class=1", "explain.cells=4", "audit.shuffles=199", "embed.crops=20")
# How the stand-in of each recipe is made, and what is made small.
STAND_INS = {
    "wang-lsm": (hsc_fields, (*HEAD_ALONE, *CELLS, "curve.features=simple", "curve.repeats=3")),
    "wang-ya": (hsc_fields, (*HEAD_ALONE, *CELLS)),
    "khalkhali-cells": (composite_fields, (*WHOLE, *CELLS)),
    "khalkhali-images": (
        composite_fields,
        (*WHOLE, "build.crop_px=48", "experiment.stages.finetune.trainable=none",
         "experiment.stages.finetune.views=1"),
    ),
    "kim-muse": (
        lines, (*HEAD_ALONE, "search.trials=1", "build.resize=24x32", "embed.methods=pca",
                "experiment.stages.frozen.batch_size=4", "explain.methods=gradcam++"),
    ),
    "parthasarathy-nsc4": (
        flow_crops, (*HEAD_ALONE, "build.subsample=1.0", "build.resize=40x40"),
    ),
    "parthasarathy-nsc2": (
        flow_crops, (*HEAD_ALONE, "build.subsample=0.7", "build.resize=40x40"),
    ),
}


@pytest.fixture
def run(invoke: Callable, unpainted: None, tmp_path: Path) -> Callable:
    """Run a recipe on its stand-in in this process, in a small version."""

    def call(name: str, *words: object):
        make, changes = STAND_INS[name]
        if not (tmp_path / name).exists():
            make(tmp_path / name, read_protocol(name).layout)
        told = [word for change in (*changes, *LOOK) for word in ("--set", change)]
        return invoke(
            "recipes", "run", name, "--data", tmp_path / name, "--workspace", tmp_path,
            "--backbone", "TinyCNN", "--weights", "none", *told, *words,
        )

    return call


def document_of(result) -> dict:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


# wang-ya and parthasarathy-nsc2 run in tests of their own below.
RUN_HERE = [name for name in STAND_INS if name not in ("wang-ya", "parthasarathy-nsc2")]


@pytest.mark.parametrize("name", RUN_HERE)
def test_a_recipe_runs_from_its_folder_to_a_report_beside_the_papers_figures(name, run, tmp_path):
    document = document_of(run(name, "--json"))

    assert not document["not_done"]
    # with a handful of test images a class may never be predicted, which leaves these undefined
    missing = [row["name"] for row in document["figures"] if row["ours"] is None]
    assert all("predictive value" in name for name in missing)
    page = Path(document["report"]).read_text(encoding="utf-8")
    assert "This is not the recipe" in page
    assert "experiment.model.backbone" in page
    for figure in read_protocol(name).figures:
        assert f"{figure.paper:.3f}" in page
        assert figure.where in page
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    steps = read_protocol(name).steps
    assert list(document["steps"]) == list(steps)
    assert set(document["steps"]["build"]["classes"]) == set(read_protocol(name).layout.classes)
    for link in re.findall(r'href="([^"]+)"', page):
        assert (Path(document["report"]).parent / link).is_file()


def test_an_interrupted_recipe_goes_on_where_it_stopped(run, invoke, tmp_path, monkeypatch):
    from stemcls.training.journal import Journal

    epoch = Journal.epoch

    def stopped(self, *arguments):
        epoch(self, *arguments)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Journal, "epoch", stopped)
    result = run("wang-ya", "--name", "mine")
    monkeypatch.setattr(Journal, "epoch", epoch)

    assert result.returncode == 130
    folder = list_begun(tmp_path)[0]
    assert folder.name == "mine"
    assert "mine is there already" in run("wang-ya", "--name", "mine").stderr.replace("\n", "")
    assert f"recipes run --resume {folder.path}" in result.stderr.replace("\n", "")
    begun = json.loads((folder.path / "results.json").read_text())
    assert begun["train"]["state"] == "begun"
    listed = json.loads(invoke("recipes", "list", "--workspace", tmp_path, "--json").stdout)
    assert [run["state"] for run in listed["runs"]] == ["cancelled"]

    refused = invoke("recipes", "run", "--resume", folder.name, "--backbone", "VGG19")
    assert refused.returncode == 2
    result = invoke(
        "recipes", "run", "--resume", folder.name, "--workspace", tmp_path, "--json"
    )
    document = document_of(result)
    assert "build: done before" in result.stderr
    assert document["steps"]["train"]["run"] == begun["train"]["run"]
    assert {step["state"] for step in document["steps"].values()} == {"done"}
    assert len(list((tmp_path / "saved_models").glob("mine-*"))) == 1

    again = document_of(
        invoke("recipes", "run", "--resume", folder.path, "--workspace", tmp_path, "--json")
    )
    assert again["figures"] == document["figures"]


@pytest.mark.parametrize("name", sorted(path.stem for path in PAPERS.glob("*.toml")))
def test_every_recipe_is_whole_and_tested(name):
    protocol = read_protocol(name)

    check_steps(protocol)
    assert name in STAND_INS
    assert protocol.name == name
    assert not changes_of(protocol)
    assert protocol.paper.title
    assert protocol.figures
    assert all(figure.where and figure.ours for figure in protocol.figures)


def test_a_recipe_is_shown_with_its_settings_and_what_was_chosen(invoke):
    shown = invoke("recipes", "show", "kim-muse", "--set", "search.trials=3")
    assert shown.returncode == 0
    settings = shown.stdout[shown.stdout.index('name = "kim-muse"') :]
    assert tomllib.loads(settings)["search"]["trials"] == 3
    assert "an assumption" in shown.stdout

    document = json.loads(invoke("recipes", "show", "wang-lsm", "--json").stdout)
    plain = json.loads(json.dumps(to_mapping(read_protocol("wang-lsm"))))
    # Every line stays; the setting that it speaks of, in brackets, is for the program alone.
    chosen = [re.sub(r"^\[[\w.]+\] ", "", line) for line in plain["chosen"]]
    assert document == plain | {"changed": [], "chosen": chosen}
    names = json.loads(invoke("recipes", "--json").stdout)["recipes"]
    assert [row["name"] for row in names] == recipe_names()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "wang"), "there is no recipe 'wang'; did you mean 'wang-ya'?"),
        (("run",), "recipes run needs a name; one of: khalkhali-cells"),
        (("run", "wang-lsm"), "needs --data FOLDER"),
        (("run", "wang-lsm", "--data", "nowhere"), "nowhere is not a folder: expected nowhere/LT-"),
        (("walk",), "recipes cannot 'walk'"),
        (("show", "kim-muse", "--set", "search.trails=3"), "did you mean 'trials'?"),
        (("show", "kim-muse", "--set", "paper.title=x"), "cannot be changed"),
        (("run", "wang-lsm", "--set", "steps=['train']", "--data", "."), "expected build, then"),
        (("run", "--resume", "nothing"), "there is no run of a recipe nothing"),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(words, told, invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke("recipes", *words)
    assert result.returncode == 2
    assert told in " ".join(result.stderr.split())
    assert not (tmp_path / "recipes").exists()


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (["train/LT_HSC/a.png", "train/ST_HSC/a.png", "train/MPP/a.png"],
         "one level down: give --data DATA/train"),
        (["LT-HSC/a.png", "MPP/a.png"], "no folder for ST-HSC: rename or link"),
        (["LT-HSC/a.png", "ST-HSC/a.png", "MPP/a.png", "debris/a.png"], "move debris elsewhere"),
        (["LT-HSC/a.png", "ST-HSC/a.png", "MPP/a.png", "a.png"], "move loose images elsewhere"),
        (["lt hsc/a.png", "LT-HSC/a.png", "ST-HSC/a.png", "MPP/a.png"], "has several folders"),
        (["LT-HSC/e1/a.png", "ST-HSC/a.png", "MPP/a.png"], "2 of 3 images are in no folder of"),
        ([], "holds no images"),
    ],
)
def test_a_folder_of_another_layout_is_told_what_was_expected_and_found(
    files, told, invoke, tmp_path
):
    data = tmp_path / "data"
    data.mkdir()
    for name in files:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    result = invoke("recipes", "run", "wang-lsm", "--data", data, "--workspace", tmp_path)
    assert result.returncode == 2
    said = " ".join(result.stderr.split())
    assert told.replace("DATA", str(data)) in said
    assert f"{data}/LT-HSC/EXPERIMENT/FIELD.oir" in said
    assert not (tmp_path / "recipes").exists()


def test_units_of_one_name_in_two_classes_are_two_unless_the_layout_shares_them(tmp_path):
    for name in ("low/1/a.png", "low/2/a.png", "high/1/a.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    layout = read_protocol("kim-muse", ["layout.groups_per_class=1"]).layout
    found = find_images(tmp_path, layout)
    assert [source.group for source in found] == ["high/1", "low/1", "2"]

    layout = read_protocol("kim-muse").layout
    with pytest.raises(Exception, match="low holds 2 lines, but this recipe needs 4"):
        find_images(tmp_path, layout)


def test_a_step_that_nothing_builds_on_may_fail_and_the_report_says_so(
    run, monkeypatch, tmp_path
):
    from stemcls.errors import InputError

    def refuse(*arguments, **options):
        raise InputError("no heat today")

    monkeypatch.setattr("stemcls.explain.report.explain_run", refuse)
    document = document_of(run("parthasarathy-nsc2", "--json"))
    assert document["not_done"] == {"explain": "no heat today"}
    assert "no heat today" in Path(document["report"]).read_text()
